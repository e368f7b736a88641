"""What a million payments cost on AWS, worked out from published prices: `python -m tools.costs`.

A payment is one create, one event and one read. A second table is what watching them costs in a
month. Free tiers are left out. The tables stand in docs/costs.md, where a test holds them to these.
The prices were held against public copies of the pages named, the youngest of September 2026; not
against the live pages.
"""

import json
from typing import NamedTuple

from shared.api.problems import PROBLEMS
from tools.dashboard import widgets
from tools.functions import resources

REGION, PRICES_OF = "us-east-1", "list prices as copied by September 2026"

# What a call is taken to need. Bytes are those of one call's log lines; the time on AWS is not
# measured here: read `durationMs` and the REPORT lines of your own calls.
BILLED_MS, MEMORY_GB = 20, 0.5
FUNCTION_LOG_BYTES, ACCESS_LOG_BYTES = 1500, 350
EVENT_LOG_BYTES, EVENT_BYTES = 1250, 1500
GATEWAY_LOG_BYTES = 700  # the line of a gateway's call, and its metric's
ITEM_KB = 1
CURRENCIES, GATEWAYS, OPEN_HOURS = 2, 2, 160  # of a month's example
TRACED = 0.05  # X-Ray's default rule: one call a second, and five in a hundred of the rest


class Price(NamedTuple):
    """USD for one unit, and where it is published."""

    usd: float
    unit: str
    source: str


PRICES = {
    "api": Price(3.50 / 1e6, "REST API call", "aws.amazon.com/api-gateway/pricing"),
    "invoke": Price(0.20 / 1e6, "Lambda request", "aws.amazon.com/lambda/pricing"),
    "compute": Price(0.0000133334, "Lambda GB-second, arm64", "aws.amazon.com/lambda/pricing"),
    "write": Price(0.625 / 1e6, "write request unit", "aws.amazon.com/dynamodb/pricing/on-demand"),
    "read": Price(0.125 / 1e6, "read request unit", "aws.amazon.com/dynamodb/pricing/on-demand"),
    "logs": Price(0.50, "GB of logs", "aws.amazon.com/cloudwatch/pricing"),
    "event": Price(1.00 / 1e6, "event, up to 64 KB", "aws.amazon.com/eventbridge/pricing"),
    "archive": Price(0.10, "GB of archived events", "aws.amazon.com/eventbridge/pricing"),
    "trace": Price(5.00 / 1e6, "X-Ray trace", "aws.amazon.com/xray/pricing"),
    "metric": Price(0.30, "custom metric and month", "aws.amazon.com/cloudwatch/pricing"),
    "alarm": Price(0.10, "metric of an alarm and month", "aws.amazon.com/cloudwatch/pricing"),
    "dashboard": Price(3.00, "dashboard and month", "aws.amazon.com/cloudwatch/pricing"),
    "scan": Price(0.005, "GB that a query scans", "aws.amazon.com/cloudwatch/pricing"),
}

CALLS = 2_000_000  # a create and a read for each of a million payments
EVENTS = 1_000_000  # of the creates; the function gets one at a time where there is little to do


class Row(NamedTuple):
    """What is paid for, of which price, how many units, and these in words."""

    name: str
    price: str
    units: float
    amount: str

    @property
    def usd(self) -> float:
        """What the units cost."""
        return PRICES[self.price].usd * self.units


def paying() -> list[Row]:
    """Return what a million payments take."""
    archived_gb = EVENTS * EVENT_BYTES / 1e9
    units = "2 units each: the payment and its place in the list, up to 1 KB"
    return [
        Row("API Gateway", "api", CALLS, f"{CALLS:,} calls"),
        Row("Lambda, requests", "invoke", CALLS, f"{CALLS:,} requests"),
        _time("Lambda, time", CALLS),
        Row("DynamoDB, creates", "write", CALLS / 2 * 2 * ITEM_KB, units),
        Row("DynamoDB, reads", "read", CALLS / 2, "1 unit each, consistent, up to 4 KB"),
        _logs("CloudWatch Logs", CALLS * (FUNCTION_LOG_BYTES + ACCESS_LOG_BYTES)),
        Row("X-Ray", "trace", CALLS * TRACED, f"{TRACED:.0%} of the calls"),
        Row("Events: EventBridge", "event", EVENTS, f"{EVENTS:,} events"),
        Row("Events: Lambda, requests", "invoke", EVENTS, f"{EVENTS:,} requests at most"),
        _time("Events: Lambda, time", EVENTS),
        _logs("Events: CloudWatch Logs", EVENTS * EVENT_LOG_BYTES),
        Row("Events: archive", "archive", archived_gb, f"{archived_gb:.1f} GB"),
        Row("Events: X-Ray", "trace", EVENTS * TRACED, f"{TRACED:.0%} of the requests"),
    ]


def watching() -> list[Row]:
    """Return what watching takes in a month.

    A metric is charged for each of its kinds that counted something, and for the hours of that.
    """
    known = resources().values()
    alarms = [
        each["Properties"]
        for each in known
        if each["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in each
    ]
    looked_at = sum(max(1, json.dumps(each).count('"MetricStat"')) for each in alarms)
    filters = sum(each["Type"] == "AWS::Logs::MetricFilter" for each in known)
    queries = sum("query" in each["properties"] for each in widgets())
    shown_gb = (CALLS * FUNCTION_LOG_BYTES + EVENTS * EVENT_LOG_BYTES) / 1e9 * 3 / 730
    shown = f"{queries} of three hours' log, each minute of {OPEN_HOURS} hours that it is open"
    kinds = [
        ("Metrics: payments, and money by status", 8 * CURRENCIES, f"{CURRENCIES} currencies"),
        ("Metrics: calls and webhooks of gateways", 8 * GATEWAYS, f"{GATEWAYS} gateways"),
        ("Metrics: refused calls by reason", len(PROBLEMS), "all reasons"),
        ("Metrics: the schedule, and from the logs", 4 + filters, "all"),
    ]
    return [
        *(Row(name, "metric", count, f"{count} at most, {of}") for name, count, of in kinds),
        Row("Alarms", "alarm", looked_at, f"{looked_at} metrics"),
        Row("Dashboard", "dashboard", 1, "the first three of an account are free"),
        Row("Dashboard: its queries", "scan", queries * 60 * OPEN_HOURS * shown_gb, shown),
        _logs("Gateways: CloudWatch Logs", EVENTS * GATEWAY_LOG_BYTES, " for a million calls"),
    ]


def _time(name: str, calls: int) -> Row:
    seconds = calls * BILLED_MS / 1000 * MEMORY_GB
    return Row(name, "compute", seconds, f"{seconds:,.0f} GB-seconds at {BILLED_MS} ms")


def _logs(name: str, size: float, of: str = "") -> Row:
    return Row(name, "logs", size / 1e9, f"{size / 1e9:.1f} GB{of}")


def table(what: str, rows: list[Row]) -> str:
    """Return rows as Markdown, each in USD, and their sum."""
    return "\n".join(
        [
            f"| {what}, {REGION}, {PRICES_OF} | amount | USD |",
            "| --- | --- | ---: |",
            *(f"| {row.name} | {row.amount} | {row.usd:.2f} |" for row in rows),
            f"| **sum** | | **{sum(row.usd for row in rows):.2f}** |",
        ]
    )


def tables() -> list[str]:
    """Return what a million payments cost, and what a month of watching them does."""
    return [table("a million payments", paying()), table("watching, a month", watching())]


if __name__ == "__main__":
    print(*tables(), sep="\n\n", end="\n\n")
    for price in PRICES.values():
        print(f"{price.usd:.10f} USD a {price.unit}: {price.source}")
