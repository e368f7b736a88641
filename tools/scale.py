"""What a payment's life takes of each part, and how many payments a second reach its limit.

docs/performance.md shows it. Limits are the defaults of an account, as published.
"""

from typing import NamedTuple

from shared.api.events import WORKERS
from shared.payments.facts import LONGEST_IDLE_SECONDS, PAYER_SECONDS
from shared.store.items import DUE_SHARDS, LIST_SHARDS
from tools.costs import BILLED_MS

# A life at Stripe: create, confirm, the payer pays, a read, a refund, and every webhook meanwhile.
# tests/reliability/test_life_figures.py counts it.
API_CALLS = 4
WEBHOOKS, GATEWAY_REQUESTS, WRITES = 5, 14, 6
UNITS = {"table write": 8, "list write": 6, "due write": 6, "table read": 10}
EVENTS = 4  # created, requires_action, captured, refunded

# One that is abandoned on Stripe's page: create, confirm, and looks until the page ends. The same
# test counts it: the confirm and each look take one request.
ABANDONED_CALLS, ABANDONED_EVENTS = 2, 3  # created, requires_action, expired
ABANDONED_UNITS = {"table write": 15, "list write": 4, "due write": 26}

# Assumed, not measured.
GATEWAY_SECONDS = 0.3  # a request of a gateway
ABANDONED = 0.2  # so many are abandoned for each that is paid
PAGE_SECONDS = 24 * 3600

KEY_WRITES = 1000  # a second, of one key of an index
LOOK_SECONDS = GATEWAY_SECONDS + BILLED_MS / 1000
LIST = "a list, if all payments have one owner"

# What each part gives in a second, and what that is.
LIMITS = {
    "Stripe": (100, "an account's, live; 25 in a sandbox"),
    "the stage": (100, "`RequestsPerSecond`"),
    "API Gateway": (10_000, "an account's in a Region; 2,500 in some"),
    "Lambda": (1_000, "environments of an account, 10 in a new one"),
    "the schedule": (WORKERS / LOOK_SECONDS, f"{WORKERS} at a time, {LOOK_SECONDS:.2f} s each"),
    "the table": (40_000, "a table's; a new one begins at 4,000"),
    LIST: (KEY_WRITES * LIST_SHARDS, f"{LIST_SHARDS} keys"),
    "what is due": (KEY_WRITES * DUE_SHARDS, f"{DUE_SHARDS} keys"),
    "EventBridge": (10_000, "calls in us-east-1, fewer elsewhere; a call takes up to ten events"),
}
# What to do there.
THEN = {
    "Stripe": "ask Stripe for more; subscribe to fewer events",
    "the stage": "the parameter",
    "API Gateway": "a higher quota, then cells: several accounts, users spread by `sub`",
    "Lambda": "a higher quota. Nearly all of it is waiting for the gateway",
    "the schedule": "more `Schedule` events: of two runs that find a payment, one takes it up",
    "the table": "a higher quota; warm throughput before the day",
    LIST: "`LIST_SHARDS`",
    "what is due": "`DUE_SHARDS`",
    "EventBridge": "a higher quota",
}


class Part(NamedTuple):
    """A part, what one payment takes of it, and what it gives in a second."""

    name: str
    takes: float
    unit: str
    limit: float
    limit_is: str
    then: str

    @property
    def reached_at(self) -> float:
        """How many payments a second reach the limit."""
        return self.limit / self.takes


def looks() -> int:
    """Return how often the schedule looks at a payment whose payer never comes."""
    count, seconds = 0, float(PAYER_SECONDS)
    while seconds < PAGE_SECONDS:
        seconds += min(PAYER_SECONDS * 2**count, LONGEST_IDLE_SECONDS)
        count += 1
    return count + 1


def parts() -> list[Part]:
    """Return the parts, the one whose limit comes first in front."""
    calls = API_CALLS + WEBHOOKS + ABANDONED * ABANDONED_CALLS
    requests = GATEWAY_REQUESTS + ABANDONED  # without those of the schedule
    busy = calls * BILLED_MS / 1000 + requests * GATEWAY_SECONDS
    units = {name: UNITS[name] + ABANDONED * more for name, more in ABANDONED_UNITS.items()}
    takes = {
        "Stripe": (requests + ABANDONED * looks(), "requests"),
        "the stage": (calls, "calls"),
        "API Gateway": (calls, "calls"),
        "Lambda": (busy, "seconds"),
        "the schedule": (ABANDONED * looks(), "looks"),
        "the table": (units["table write"], "write units"),
        LIST: (units["list write"], "write units"),
        "what is due": (units["due write"], "write units"),
        "EventBridge": (EVENTS + ABANDONED * ABANDONED_EVENTS, "events"),
    }
    found = [Part(name, *takes[name], *LIMITS[name], THEN[name]) for name in takes]
    return sorted(found, key=lambda part: part.reached_at)
