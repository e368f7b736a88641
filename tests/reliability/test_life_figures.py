"""What a payment's life costs: the size of its item, calls and units of each call, a long sweep.

`make reliability` prints the figures, which docs/performance.md repeats. Units are DynamoDB
Local's; moto counts none.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from settle_payments.app import handler as settle_payments
from shared import wiring
from shared.payments.clock import later, now, seconds_between
from shared.payments.facts import Facts, revise
from shared.payments.ids import new_operation_id
from shared.payments.payment import (
    MAX_REFUNDS,
    Change,
    Operation,
    Payment,
    Refund,
    new_payment,
)
from shared.store.items import to_item
from shared.store.payments import payments
from tests.conftest import forget
from tests.reliability.conftest import Network, lives
from tests.reliability.gateway import Scripted
from tests.reliability.life import CALLS, Life, StandInLife
from tests.reliability.proxy import Answer, Fault, FaultProxy, Request
from tools import scale

DUE = 10_000
AGES_AGO = later(now(), -3600)
Record = Callable[[str, object], None]


def longest() -> Payment:
    """Return a payment with all that it can have: everything as long as it may be."""
    at = now()
    new = new_payment(
        "o" * 36,
        None,
        amount_minor=10**15 - 1,
        currency="USD",
        description="d" * 255,
        metadata={f"{n:040}": "v" * 500 for n in range(20)},
        gateway="scripted",
        return_url="https://shop.example/".ljust(2000, "u"),
    )
    refund = Refund("", 10**13, "SUCCEEDED", at, at, "r" * 255, "f" * 40, "e" * 100)
    refunds = [replace(refund, refund_id=f"ref_{n:032}") for n in range(MAX_REFUNDS)]
    return replace(
        new,
        refunds=tuple(refunds),
        history=(Change("PARTIALLY_REFUNDED", at, "gateway"),) * 100,
        operation=Operation("op_" + "a" * 32, "refund", at, 10**13, "ref_" + "a" * 32),
        due_at=at,
    )


def size(value: Any) -> int:
    """Return the bytes of an attribute (Developer Guide, "DynamoDB item sizes and formats")."""
    [(kind, content)] = value.items()
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + size(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + size(each) for each in content)
    return len(content) // 2 + 2 if kind == "N" else len(content.encode())


def item_bytes(payment: Payment) -> int:
    return sum(len(name.encode()) + size(value) for name, value in to_item(payment).items())


@pytest.mark.slow
def test_the_largest_item_is_far_below_the_store_s_limit(record_property: Record) -> None:
    whole = longest()
    plain = replace(
        whole,
        metadata={},
        description=None,
        return_url="https://shop.example/",
        refunds=tuple(replace(each, reason=None, error=None) for each in whole.refunds),
    )
    record_property(
        "figure",
        f"item with {MAX_REFUNDS} refunds and 100 changes: {item_bytes(plain) / 1024:.1f} KB,"
        f" with the longest texts everywhere {item_bytes(whole) / 1024:.1f} KB",
    )

    assert item_bytes(whole) < 100 * 1024
    payments().create(whole)
    assert payments().get(whole.payment_id, None) == whole


class Meter(FaultProxy):
    """Counts what the store is asked for, and the capacity units that it says this takes.

    Attributes:
        of_place: units of the table, and of each index, of writes and of reads.
    """

    def __init__(self, store_url: str) -> None:
        self.calls_of: list[str] = []
        self.units = 0.0
        self.of_place: Counter[tuple[str, str]] = Counter()
        super().__init__(store_url)

    def _forward(self, request: Request) -> Answer:
        body = {**json.loads(request.body), "ReturnConsumedCapacity": "INDEXES"}
        text = json.dumps(body).encode()
        names = [name for name in request.headers if name.lower() != "content-length"]
        headers = {name: request.headers[name] for name in names}
        headers["Content-Length"] = str(len(text))
        answer = super()._forward(request._replace(headers=headers, body=text))
        [target] = [
            text for name, text in request.headers.items() if name.lower() == "x-amz-target"
        ]
        self.calls_of.append(target.rpartition(".")[2])
        used = json.loads(answer.body).get("ConsumedCapacity") or {}
        self.units += used.get("CapacityUnits", 0)
        kind = "read" if self.calls_of[-1] in ("GetItem", "Query") else "write"
        places = {"table": used.get("Table", {}), **used.get("GlobalSecondaryIndexes", {})}
        for place, of in places.items():
            self.of_place[place, kind] += of.get("CapacityUnits", 0)
        return answer


@pytest.fixture
def meter(store_url: str, monkeypatch: pytest.MonkeyPatch, life: Life) -> Iterator[Meter]:
    meter = Meter(store_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", meter.url)
    forget()
    yield meter
    meter.close()


@pytest.mark.slow
def test_what_each_call_asks_of_the_store(
    life: Life, meter: Meter, record_property: Record
) -> None:
    def measured(name: str, call: Callable[[], object]) -> None:
        meter.calls_of, meter.units = [], 0.0
        call()
        record_property("figure", f"{name}: {', '.join(meter.calls_of)}; {meter.units:g} units")

    body = {"amount": 100, "currency": "USD"}
    manual = life.alice.create(body).json["paymentId"]
    measured("create", lambda: life.alice.create(body))
    measured("read", lambda: life.alice.get(manual))
    measured("list", life.alice.list)
    measured("capture, manual", lambda: life.office.do("capture", manual))
    measured("refund, manual", lambda: life.refund(manual, "r-1", amount=1))
    for name, call in CALLS.items():
        payment_id = life.made(call.capture, call.before)
        measured(f"{name}, at a gateway", lambda: life.do(call, payment_id))  # noqa: B023
        measured(f"{name}, again", lambda: life.do(call, payment_id))  # noqa: B023
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.plan(Fault.DROPPED_REQUEST)
    life.office.do("capture", payment_id)
    measured("the schedule, one payment due in one part of the index", life.sweep)


@pytest.mark.slow
@lives("stripe", "paypal")
def test_what_a_whole_life_takes(
    life: StandInLife, meter: Meter, record_property: Record, request: pytest.FixtureRequest
) -> None:
    """Create, confirm, the payer pays, a read, a refund of all; and every webhook meanwhile."""
    meter.of_place.clear()
    life.stand_in.plan()
    payment_id = life.made(status="APPROVED")
    webhooks = life.hear(life.stand_in.new_events())
    assert life.alice.get(payment_id).json["status"] == "CAPTURED"
    life.refund(payment_id, "r-1")
    webhooks += life.hear(life.stand_in.new_events())
    assert life.kept(payment_id).status == "REFUNDED"

    units = ", ".join(f"{place} {kind} {n:g}" for (place, kind), n in meter.of_place.items())
    writes = sum(each in ("PutItem", "UpdateItem") for each in meter.calls_of)
    if life.name == "stripe":
        if "dynamodb-local" in request.node.name:  # moto counts otherwise
            assert {" ".join(of): n for of, n in meter.of_place.items()} == scale.UNITS
        assert (len(webhooks), writes) == (scale.WEBHOOKS, scale.WRITES)
        assert life.stand_in.calls == scale.GATEWAY_REQUESTS
    record_property(
        "figure",
        f"a life at {life.name}: {len(webhooks)} webhooks, {life.stand_in.calls} requests of"
        f" the gateway, {writes} writes; units: {units}",
    )


@pytest.mark.slow
@lives("stripe")
def test_what_an_abandoned_life_takes(
    life: StandInLife, meter: Meter, record_property: Record, request: pytest.FixtureRequest
) -> None:
    """Create, confirm, and the schedule's looks until the page ends, each when it is due."""
    life.stand_in.plan()
    payment_id, looks = life.made(status="REQUIRES_ACTION"), 0
    while due_at := life.kept(payment_id).due_at:
        life.sweep_seconds = int(seconds_between(now(), due_at)) + 1
        life.sweep()
        looks += 1

    assert life.kept(payment_id).status == "EXPIRED"
    assert (looks, life.stand_in.calls) == (scale.looks(), 1 + looks)
    units = {" ".join(of): n for of, n in meter.of_place.items() if of[1] == "write"}
    if "dynamodb-local" in request.node.name:
        assert units == scale.ABANDONED_UNITS
    record_property("figure", f"a life abandoned at Stripe: {looks} looks; units: {units}")


class Instant(Scripted):
    """A gateway that answers at once: what was asked for has happened."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1")

    def fetch(self, payment: Payment) -> Facts:
        return Facts("CAPTURED", payment.amount_minor)


class Clock:
    """Lambda's context of a function that may run for so many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return round((self._end - time.monotonic()) * 1000)


def due_item() -> dict[str, Any]:
    """Return a payment whose capture was asked for, and not answered, as an item."""
    new = new_payment("o", None, amount_minor=10000, currency="USD", gateway="scripted")
    held = replace(new, state="AUTHORIZED", status="AUTHORIZED")
    asked = replace(held, operation=Operation(new_operation_id(), "capture", AGES_AGO, 10000))
    return to_item(revise(held, asked, "capture"))


@pytest.mark.slow
def test_a_sweep_settles_ten_thousand_due_payments(  # noqa: PLR0917
    network: Network,
    store_url: str,
    table: tuple[Any, str],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    """The schedule runs, a minute at most each time, until nothing is due."""
    client, name = table
    number = DUE if "dynamodb-local" in request.node.name else DUE // 20
    for _ in range(number // 25):
        puts = [{"PutRequest": {"Item": due_item()}} for _ in range(25)]
        client.batch_write_item(RequestItems={name: puts})
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", store_url)
    monkeypatch.setattr(wiring, "gateways", lambda: {"scripted": Instant()})
    forget()

    seconds = []
    while any(payments().due(now(), 1)):
        start = time.monotonic()
        settle_payments({}, Clock(60))
        seconds.append(time.monotonic() - start)

    record_property(
        "figure",
        f"{number:,} due payments: {len(seconds)} runs, {sum(seconds):.0f} s,"
        f" {number / sum(seconds):.0f} payments a second",
    )
    pages = client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
    found = [item for page in pages for item in page["Items"] if item["owner"] == {"S": "o"}]
    assert {item["status"]["S"] for item in found} == {"CAPTURED"}
    assert len(found) == number
    for item in found:
        client.delete_item(TableName=name, Key={"paymentId": item["paymentId"]})
