"""What a million payments cost on AWS, worked out from published prices: `python -m tools.costs`.

A payment is one create, one event and one read. A second table is what watching them costs in a
month. Free tiers are left out. The tables stand in docs/costs.md, where a test holds them to these.
The prices were held against public copies of the pages named, the youngest of September 2026; not
against the live pages.
"""

import json
from typing import NamedTuple

from samtranslator.yaml_helper import yaml_parse

from shared.api.problems import PROBLEMS
from tools.build import ROOT

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


def lines() -> list[tuple[str, str, float]]:
    """Return what is paid for, how much of it a million payments take, and USD."""
    seconds = CALLS * BILLED_MS / 1000 * MEMORY_GB
    log_gb = CALLS * (FUNCTION_LOG_BYTES + ACCESS_LOG_BYTES) / 1e9
    event_seconds = EVENTS * BILLED_MS / 1000 * MEMORY_GB
    event_log_gb, archived_gb = EVENTS * EVENT_LOG_BYTES / 1e9, EVENTS * EVENT_BYTES / 1e9
    amounts = [
        ("API Gateway", "api", CALLS, f"{CALLS:,} calls"),
        ("Lambda, requests", "invoke", CALLS, f"{CALLS:,} requests"),
        ("Lambda, time", "compute", seconds, f"{seconds:,.0f} GB-seconds at {BILLED_MS} ms"),
        (
            "DynamoDB, creates",
            "write",
            CALLS / 2 * 2 * ITEM_KB,
            "2 units each: the payment and its place in the list, up to 1 KB",
        ),
        ("DynamoDB, reads", "read", CALLS / 2, "1 unit each, consistent, up to 4 KB"),
        ("CloudWatch Logs", "logs", log_gb, f"{log_gb:.1f} GB"),
        ("X-Ray", "trace", CALLS * TRACED, f"{TRACED:.0%} of the calls"),
        ("Events: EventBridge", "event", EVENTS, f"{EVENTS:,} events"),
        ("Events: Lambda, requests", "invoke", EVENTS, f"{EVENTS:,} requests at most"),
        (
            "Events: Lambda, time",
            "compute",
            event_seconds,
            f"{event_seconds:,.0f} GB-seconds at {BILLED_MS} ms",
        ),
        ("Events: CloudWatch Logs", "logs", event_log_gb, f"{event_log_gb:.1f} GB"),
        ("Events: archive", "archive", archived_gb, f"{archived_gb:.1f} GB"),
        ("Events: X-Ray", "trace", EVENTS * TRACED, f"{TRACED:.0%} of the requests"),
    ]
    return [(name, amount, PRICES[key].usd * units) for name, key, units, amount in amounts]


def watching() -> list[tuple[str, str, float]]:
    """Return what watching costs in a month, how much of it there is, and USD.

    A metric is charged for each of its kinds that counted something, and for the hours of that.
    """
    template = yaml_parse((ROOT / "template.yaml").read_text())  # type: ignore[no-untyped-call]
    resources = template["Resources"].values()
    alarms = [
        each["Properties"]
        for each in resources
        if each["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in each
    ]
    looked_at = sum(max(1, json.dumps(each).count('"MetricStat"')) for each in alarms)
    filters = sum(each["Type"] == "AWS::Logs::MetricFilter" for each in resources)
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    queries = sum("query" in each["properties"] for each in json.loads(body)["widgets"])
    shown_gb = (CALLS * FUNCTION_LOG_BYTES + EVENTS * EVENT_LOG_BYTES) / 1e9 * 3 / 730
    gateway_gb = EVENTS * GATEWAY_LOG_BYTES / 1e9
    kinds = [
        ("Metrics: payments, and money by status", 8 * CURRENCIES, f"{CURRENCIES} currencies"),
        ("Metrics: calls and webhooks of gateways", 8 * GATEWAYS, f"{GATEWAYS} gateways"),
        ("Metrics: refused calls by reason", len(PROBLEMS), "all reasons"),
        ("Metrics: the schedule, and from the logs", 4 + filters, "all"),
    ]
    amounts = [
        *((name, "metric", count, f"{count} at most, {of}") for name, count, of in kinds),
        ("Alarms", "alarm", looked_at, f"{looked_at} metrics"),
        ("Dashboard", "dashboard", 1, "the first three of an account are free"),
        (
            "Dashboard: its queries",
            "scan",
            queries * 60 * OPEN_HOURS * shown_gb,
            f"{queries} of three hours' log, each minute of {OPEN_HOURS} hours that it is open",
        ),
        (
            "Gateways: CloudWatch Logs",
            "logs",
            gateway_gb,
            f"{gateway_gb:.1f} GB for a million calls",
        ),
    ]
    return [(name, amount, PRICES[key].usd * units) for name, key, units, amount in amounts]


def table(what: str, found: list[tuple[str, str, float]]) -> str:
    """Return lines as Markdown, with their sum."""
    total = sum(usd for _, _, usd in found)
    return "\n".join(
        [
            f"| {what}, {REGION}, {PRICES_OF} | amount | USD |",
            "| --- | --- | ---: |",
            *(f"| {name} | {amount} | {usd:.2f} |" for name, amount, usd in found),
            f"| **sum** | | **{total:.2f}** |",
        ]
    )


def tables() -> list[str]:
    """Return what a million payments cost, and what a month of watching them does."""
    return [table("a million payments", lines()), table("watching, a month", watching())]


if __name__ == "__main__":
    print(*tables(), sep="\n\n", end="\n\n")
    for price in PRICES.values():
        print(f"{price.usd:.10f} USD a {price.unit}: {price.source}")
