"""What a million payments cost on AWS, worked out from published prices: `python -m tools.costs`.

A payment is one create, one event and one read. Free tiers are left out. The table stands in
docs/costs.md, where a test holds it to this one. The prices were held against public copies of the
pages named, the youngest of September 2026; not against the live pages.
"""

from typing import NamedTuple

REGION, PRICES_OF = "us-east-1", "list prices as copied by September 2026"

# What a call is taken to need. Bytes are those of one call's log lines; the time on AWS is not
# measured here: read `durationMs` and the REPORT lines of your own calls.
BILLED_MS, MEMORY_GB = 20, 0.5
FUNCTION_LOG_BYTES, ACCESS_LOG_BYTES = 1500, 350
EVENT_LOG_BYTES, EVENT_BYTES = 900, 1500
ITEM_KB = 1
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


def table() -> str:
    """Return the lines as Markdown, with their sum."""
    total = sum(usd for _, _, usd in lines())
    return "\n".join(
        [
            f"| a million payments, {REGION}, {PRICES_OF} | amount | USD |",
            "| --- | --- | ---: |",
            *(f"| {name} | {amount} | {usd:.2f} |" for name, amount, usd in lines()),
            f"| **sum** | | **{total:.2f}** |",
        ]
    )


if __name__ == "__main__":
    print(table())
    print()
    for price in PRICES.values():
        print(f"{price.usd:.10f} USD a {price.unit}: {price.source}")
