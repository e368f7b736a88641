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

MONTH = 30 * 24 * 3600

# A REST API's calls get cheaper by the month's number: up to how many, at USD a million
# (us-east-1, aws.amazon.com/api-gateway/pricing).
API_TIERS = [(333e6, 3.50), (1_000e6, 2.80), (20_000e6, 2.38), (float("inf"), 1.51)]
MEMORY_FOR_A_PROCESSOR = 1769  # MB (Lambda Developer Guide, "Configure Lambda function memory")


def write(result: dict[str, Any]) -> None:
    """Replace what stands between the page's markers, and draw the chart."""
    page = ROOT / "docs/performance.md"
    text = page.read_text()
    parts = {"measured": _measured(result), "memory": _memory(result), "cost": _cost()}
    for name, part in parts.items():
        start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = before + start + part + end + rest.partition(end)[2]
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
        million = second / share / 1000 * size / 1024 * PRICES["compute"].usd * 1e6
        rows.append([f"{size:,}", f"{share:.2f}", f"{second / share:.1f}", f"{million:.2f}"])
    return _table(["memory, MB", "share of a processor", "warm create, ms", "$ per million"], *rows)


def _cost() -> str:
    megabytes = MEMORY_GB * 1024
    log_bytes = FUNCTION_LOG_BYTES + ACCESS_LOG_BYTES
    rows = []
    for rate in (10, 1_000, 100_000):
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
items up to {ITEM_KB} KB, {log_bytes:,} bytes of log, {TRACED:.0%} of the calls traced. A read costs
the same but for DynamoDB's part, a fifth of it. Cognito (per monthly user) and storage are apart.

{_table(head, *rows)}"""


def _gateway(calls: float) -> float:
    """Return USD for a month's calls."""
    usd, done = 0.0, 0.0
    for upto, price in API_TIERS:
        part = max(0.0, min(calls, upto) - done)
        usd, done = usd + part * price / 1e6, done + part
    return usd
