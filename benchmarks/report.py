"""Writes docs/performance.md: performance.md.jinja, with what was measured and what it comes to."""

from statistics import median
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.functions import HERE, NO_FUNCTION
from benchmarks.measure import ROUNDS, WARM
from tools import costs, scale
from tools.build import ROOT

OURS = ("create_payment", "get_payment")
STACKS = {
    "this API": OURS,
    "hello-world": ("HelloCreate", "HelloRead"),
    "Flask": ("FlaskCreate", "FlaskRead"),
    "Chalice": ("ChaliceCreate", "ChaliceRead"),
    "FastAPI": ("FastApiCreate", "FastApiRead"),
    "Powertools": ("PowertoolsCreate", "PowertoolsRead"),
    "TypeScript": ("TypeScriptCreate", "TypeScriptRead"),
}
PROCESSOR_MB = 1769  # makes a whole processor (Lambda Developer Guide, "Configure function memory")
WAITING_MS = 5  # for DynamoDB, as it is said to answer: "single-digit milliseconds"

RATES = (10, 1_000, 100_000)
MONTH = 30 * 24 * 3600
# A REST API's calls get cheaper by the month's number: up to how many, at USD a million
# (us-east-1, aws.amazon.com/api-gateway/pricing).
API_TIERS = [(333e6, 3.50), (1_000e6, 2.80), (20_000e6, 2.38), (float("inf"), 1.51)]

Functions = dict[str, dict[str, Any]]


class Bar(NamedTuple):
    """A count of this API as a part of hello-world's, and the most that it may be."""

    name: str
    value: float
    limit: float

    @property
    def verdict(self) -> str:
        """Whether the bar is met."""
        return "pass" if self.value <= self.limit else "MISS"


def bars(functions: Functions) -> list[Bar]:
    """Hold this API's counts against hello-world's."""
    create, read = (functions[name] for name in OURS)
    hello, hello_read = (functions[name] for name in STACKS["hello-world"])
    return [
        Bar("cold create", create["cold"] / hello["cold"], 0.92),
        Bar("cold create, as shipped", create["cold"] / hello["as_shipped"], 0.35),
        Bar("cold read", read["cold"] / hello_read["cold"], 0.65),
        Bar("warm create", create["warm"] / hello["warm"], 1.0),
        Bar("warm read", read["warm"] / hello_read["warm"], 1.0),
    ]


def write(figures: dict[str, Any]) -> None:
    """Write the page."""
    functions: Functions = figures["functions"]
    functions[OURS[0]]["as_shipped"] = functions[OURS[0]]["cold"]  # it ships bytecode
    stacks = [
        {"name": name, "create": functions[create], "read": functions[read]}
        for name, (create, read) in STACKS.items()
    ]
    environment = Environment(  # noqa: S701 - it makes Markdown
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["millions"] = lambda count, places=0: f"{count / 1e6:,.{places}f}"
    environment.filters["thousands"] = lambda count: f"{count:,.0f}"
    page = environment.get_template("performance.md.jinja").render(
        figures,
        stacks=stacks,
        counted=[stack for stack in stacks if "cold" in stack["create"]],
        own={name: of for name, of in functions.items() if "_" in name},
        runtimes={name: functions[name] for name in NO_FUNCTION},
        bars=bars(functions),
        memory=_memory(functions),
        months=[_month(rate) for rate in RATES],
        rates=RATES,
        scale=scale,
        costs=costs,
        rounds=ROUNDS,
        warm_calls=WARM,
    )
    (ROOT / "docs/performance.md").write_text(page + "\n")


def _memory(functions: Functions) -> dict[str, Any]:
    """Return what a warm create takes and costs at each memory size."""
    creates = [functions[create] for create, _ in STACKS.values()]
    per_ms = median(of["warm"] / of["warm_ms"] for of in creates if "warm" in of)
    rows = []
    for size in (128, 256, 512, 1024, PROCESSOR_MB):
        ms = functions[OURS[0]]["warm"] / per_ms * PROCESSOR_MB / size + WAITING_MS
        usd = ms / 1000 * size / 1024 * costs.PRICES["compute"].usd * 1e6
        rows.append({"size": size, "share": size / PROCESSOR_MB, "ms": ms, "usd": usd})
    return {"per_ms": per_ms, "waiting_ms": WAITING_MS, "rows": rows}


def _month(rate: int) -> dict[str, Any]:
    """Return what a month of so many creates a second costs, in USD."""
    calls = rate * MONTH
    tiers = zip([0.0, *(upto for upto, _ in API_TIERS)], API_TIERS, strict=False)
    prices = {name: price.usd * calls for name, price in costs.PRICES.items()}
    usd = [
        sum(max(0, min(calls, upto) - start) * price / 1e6 for start, (upto, price) in tiers),
        prices["invoke"] + prices["compute"] * costs.BILLED_MS / 1000 * costs.MEMORY_GB,
        prices["write"] * costs.ITEM_KB,
        prices["logs"] * (costs.FUNCTION_LOG_BYTES + costs.ACCESS_LOG_BYTES) / 1e9,
        prices["trace"] * costs.TRACED,
    ]
    return {
        "rate": rate,
        "calls": calls,
        "usd": [*usd, sum(usd)],
        "million": sum(usd) / calls * 1e6,
    }
