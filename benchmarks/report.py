"""Writes what was measured, and what it comes to, into docs/performance.md."""

from typing import Any

from benchmarks import chart
from benchmarks.stacks import NAMES, OURS
from tools.build import ROOT
from tools.costs import (
    ACCESS_LOG_BYTES,
    BILLED_MS,
    FUNCTION_LOG_BYTES,
    ITEM_KB,
    MEMORY_GB,
    PRICES,
    PRICES_OF,
    REGION,
    TRACED,
)

RATES = (10, 1_000, 100_000)
MONTH = 30 * 24 * 3600

# A REST API's calls get cheaper by the month's number: up to how many, at USD a million
# (us-east-1, aws.amazon.com/api-gateway/pricing).
API_TIERS = [(333e6, 3.50), (1_000e6, 2.80), (20_000e6, 2.38), (float("inf"), 1.51)]
WAITING_MS = 5  # for DynamoDB, as it is said to answer: "single-digit milliseconds"
MEMORY_FOR_A_PROCESSOR = 1769  # MB (Lambda Developer Guide, "Configure Lambda function memory")


def write(result: dict[str, Any]) -> None:
    """Replace what stands between the page's markers, and draw the chart."""
    page = ROOT / "docs/performance.md"
    text = page.read_text()
    parts = {
        "measured": _measured(result),
        "memory": _memory(result),
        "cost": _cost(),
        "limits": _limits(),
    }
    for name, part in parts.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = before + start + part + "\n" + end + rest.partition(end)[2]
    page.write_text(text)
    compiled = {stack: of["cold create"] for stack, of in result["instructions"].items()}
    shipped = {stack: of["cold create"] for stack, of in result["as_shipped"].items()}
    (ROOT / "docs/performance.svg").write_text(chart.svg(compiled, shipped))


def _table(*rows: list[str]) -> str:
    """Return Markdown; the first row is the head, the first column reads from the left."""
    head, *body = rows
    line = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, line, *body))


def _measured(result: dict[str, Any]) -> str:
    return f"""\
Made {result["made"]} with {result["build"]}.

Millions of instructions above the bare runtime; with bytecode, and (as `sam build` ships it):

{_instructions(result)}

This API against each, in pairs: processor time of a cold create, and the wall time to the first
answer under Lambda's runtime client and interface emulator (median, and the range of the rounds):

{_times(result)}

What DynamoDB is asked for each, on DynamoDB Local: calls (capacity units). Under Lambda, each
execution environment of this API adds one call at init (a write's unit, or half of one for reads):

{_units(result)}"""


def _instructions(result: dict[str, Any]) -> str:
    head = [
        "stack",
        "cold create",
        "cold read",
        "warm create",
        "warm read",
        "package, MB",
        "memory, MB",
    ]
    rows = []
    for stack, of in result["instructions"].items():
        shipped = result["as_shipped"].get(stack)
        cold = [
            f"{of[key] / 1e6:,.0f}" + (f" ({shipped[key] / 1e6:,.0f})" if shipped else "")
            for key in ("cold create", "cold read")
        ]
        warm = [f"{of[key] / 1e6:.1f}" for key in ("warm create", "warm read")]
        megabytes = f"{result['sizes'][stack]['create'] / 1e6:.1f}"
        memory = str(result["processor"][stack]["memory"])
        rows.append([NAMES[stack], *cold, *warm, megabytes, memory])
    return _table(head, *rows)


def _times(result: dict[str, Any]) -> str:
    head = ["against", "processor time", "first answer", "first, second answer, ms"]
    rows = []
    for stack in [*(name for name in NAMES if name != OURS), OURS]:
        starts, processor = result["starts"][stack], result["processor"][stack]
        ratios = [_ratio(processor["ratios"]), _ratio(starts["ratios"])]
        answers = f"{starts['first']:.0f}, {starts['second']:.1f}"
        rows.append([NAMES[stack], *(["1", "1"] if stack == OURS else ratios), answers])
    return _table(head, *rows)


def _ratio(ratios: list[float]) -> str:
    low, middle, high = ratios[0], ratios[len(ratios) // 2], ratios[-1]
    verdict = " inconclusive" if low <= 1 <= high else ""
    return f"{middle:.2f} ({low:.2f}-{high:.2f}){verdict}"


def _units(result: dict[str, Any]) -> str:
    rows = []
    for stack, steps in result["dynamodb"].items():
        cells = []
        for step in ("create", "replay", "read"):
            asked = dict(steps.get(step, {}))
            units = asked.pop("units", 0)
            cells.append(f"{sum(asked.values())} ({units:g})" if asked else "no such thing")
        rows.append([NAMES[stack], *cells])
    return _table(["stack", "create", "replay", "read"], *rows)


def _memory(result: dict[str, Any]) -> str:
    """Scale the second answer under Lambda's runtime client by the processor that a size gets."""
    second = result["starts"][OURS]["second"]
    rows = []
    for size in (128, 256, 512, 1024, MEMORY_FOR_A_PROCESSOR):
        share = size / MEMORY_FOR_A_PROCESSOR
        billed = second / share + WAITING_MS
        million = billed / 1000 * size / 1024 * PRICES["compute"].usd * 1e6
        rows.append([f"{size:,}", f"{share:.2f}", f"{billed:.0f}", f"{million:.2f}"])
    head = ["memory, MB", "share of a processor", "warm create, ms", "USD a million"]
    return f"""\
Lambda gives a function a processor for every {MEMORY_FOR_A_PROCESSOR:,} MB. On paper: a warm create
as measured above ({second:.1f} ms, all of it taken for processor time) scaled by that share, and
{WAITING_MS} ms of waiting for DynamoDB (assumed), which no memory makes shorter:

{_table(head, *rows)}"""


def _cost() -> str:
    megabytes = MEMORY_GB * 1024
    log_bytes = FUNCTION_LOG_BYTES + ACCESS_LOG_BYTES
    rows = []
    for rate in RATES:
        calls = rate * MONTH
        seconds = calls * BILLED_MS / 1000 * MEMORY_GB
        parts = [
            _gateway(calls),
            calls * PRICES["invoke"].usd + seconds * PRICES["compute"].usd,
            calls * ITEM_KB * PRICES["write"].usd,
            calls * log_bytes / 1e9 * PRICES["logs"].usd,
            calls * TRACED * PRICES["trace"].usd,
        ]
        dollars = [f"${part:,.0f}" for part in [*parts, sum(parts)]]
        million = f"${sum(parts) / calls * 1e6:.2f}"
        rows.append([f"{rate:,}", f"{calls / 1e6:,.0f} M", *dollars, million])
    parted = ["API Gateway", "Lambda", "DynamoDB", "logs", "X-Ray"]
    head = ["payments a second", "a month", *parted, "together", "per million"]
    return f"""\
On paper: creates alone, {REGION}, arm64, {megabytes:.0f} MB, {PRICES_OF},
without free tiers; {BILLED_MS} ms billed for a create (assumed: measure yours in the REPORT lines),
items up to {ITEM_KB} KB, {log_bytes:,} bytes of log, {TRACED:.0%} of the calls traced. Of discounts
by volume, only API Gateway's are in it. A read costs the same but for DynamoDB's part, a fifth of
it. Cognito (per monthly user) and storage are apart.

{_table(head, *rows)}"""


def _limits() -> str:
    """Tell which quota each rate meets first.

    An environment counts for ten calls a second at most, however short (Lambda Developer Guide,
    "Understanding Lambda function scaling").
    """
    few, some, many = RATES
    busy, too_busy = (f"{rate * BILLED_MS // 1000:,}" for rate in (some, many))
    return f"""\
- **{few:,} a second**: none. `RequestsPerSecond` (100 by default) is this stack's own; a new
  account may have a concurrency of 10, which is 100 calls a second.
- **{some:,}**: `RequestsPerSecond`, a parameter. {busy} environments, busy {BILLED_MS} ms a call,
  are far from Lambda's 1,000. Let the table grow over 30 minutes, or pre-warm it above 4,000
  writes a second.
- **{many:,}**: `RequestsPerSecond`; then, together, API Gateway's 10,000 calls a second for an
  account and Region (2,500 in some) and Lambda's default concurrency of 1,000, which is ten times
  as many calls a second at most, however short ({many // 10:,} are needed, though {too_busy} would
  be busy); then a table's 40,000 write units. Have the three raised, or make cells: several
  accounts, users spread by `sub`."""


def _gateway(calls: float) -> float:
    """Return USD for a month's calls."""
    usd, done = 0.0, 0.0
    for upto, price in API_TIERS:
        part = max(0.0, min(calls, upto) - done)
        usd, done = usd + part * price / 1e6, done + part
    return usd
