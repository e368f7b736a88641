"""Whoever drops repeats by their id hears each change of each payment once, and in order.

The records are those of the store's own stream, moto's or DynamoDB Local's; Lambda is played by
`deliver`, EventBridge by a stand-in that fails on purpose.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publish_events.app import handler
from shared import bus as shared_bus
from shared.store.payments import payments
from tests.bus import FOR_NOW, Fault, ScriptedBus, deliver, scripted_bus
from tests.conftest import Client, Context, forget
from tests.integration.conftest import new_client, new_table
from tests.reliability.test_killed import Killer
from tests.reliability.worker import Worker

Record = dict[str, Any]
Expected = dict[str, list[str]]

# What is done to payments, and what is to be heard of each of these.
LIVES: list[list[tuple[str, str]]] = [
    [
        ("create", "created"),
        ("capture", "captured"),
        ("refund", "refunded"),
        ("refund", "refunded"),
    ],
    [("create", "created"), ("AUTHORIZED", "authorized"), ("CAPTURED", "captured")],
    [("create", "created"), ("cancel", "canceled")],
    [
        ("create", "created"),
        ("REQUIRES_ACTION", "requires_action"),
        ("PROCESSING", ""),
        ("FAILED", "failed"),
    ],
    [("create", "created"), ("internal", ""), ("AUTHORIZED", "authorized"), ("EXPIRED", "expired")],
    *[[("create", "created")] for _ in range(9)],
]


def do(step: str, payment_id: str, alice: Client, office: Client) -> str:
    """Take a step in the life of a payment; return its id."""
    if step == "create":
        return str(alice.create({"amount": 100, "currency": "USD"}).json["paymentId"])
    if step == "internal":  # a write that no client hears of
        payment = payments().get(payment_id, owner=None)
        payments().save(replace(payment, version=payment.version + 1), payment)
        return payment_id
    if step.isupper():
        response = office.do("update", payment_id, {"status": step})
    else:
        body = {"amount": 40} if step == "refund" else None
        headers = {"Idempotency-Key": str(uuid.uuid4())} if step == "refund" else None
        response = office.do(step, payment_id, body, headers)
    assert response.status in {200, 201}, response.text
    return payment_id


MADE: dict[str, tuple[list[Record], Expected]] = {}


@pytest.fixture
def history(
    network: object,
    store_url: str,
    alice: Client,
    office: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[list[Record], Expected]:
    """Return the records of lives that went on at the same time, and what is to be heard of each.

    They are made once on each store.
    """
    if store_url not in MADE:
        with new_table(store_url, stream=True) as (client, name):
            monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", store_url)
            monkeypatch.setenv("TABLE_NAME", name)
            forget()
            ids = [""] * len(LIVES)
            for turn in range(max(map(len, LIVES))):
                for index, life in enumerate(LIVES):
                    if turn < len(life):
                        ids[index] = do(life[turn][0], ids[index], alice, office)
            expected = {
                payment_id: [event for _, event in life if event]
                for payment_id, life in zip(ids, LIVES, strict=True)
            }
            MADE[store_url] = list(read(client, name)), expected
    return MADE[store_url]


def read(client: Any, table: str) -> Iterator[Record]:
    """Yield what the table's stream holds, as Lambda sends it."""
    arn = client.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    streams = new_client("dynamodbstreams", client.meta.endpoint_url)
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while place:
            page = streams.get_records(ShardIterator=place)
            place = page.get("NextShardIterator") if page["Records"] else None
            for record in page["Records"]:
                record["dynamodb"].pop("ApproximateCreationDateTime")
                yield json.loads(json.dumps(record))


@pytest.fixture
def bus(network: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBus]:
    with scripted_bus() as bus:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.url)
        monkeypatch.setattr(shared_bus, "FIRST_PAUSE_SECONDS", 0.001)
        monkeypatch.setattr(shared_bus, "LONGEST_PAUSE_SECONDS", 0.001)
        yield bus


def assert_heard(bus: ScriptedBus, expected: Expected) -> None:
    """Check what a consumer has heard that drops repeats by their id."""
    first = {detail["eventId"]: detail for detail in reversed(bus.details())}
    ids = dict.fromkeys(detail["eventId"] for detail in bus.details())
    heard: dict[str, list[tuple[int, str]]] = {}
    for event_id in ids:
        detail, kind = first[event_id], event_id.rpartition(".")[2]
        heard.setdefault(detail["paymentId"], []).append((detail["version"], kind))
    assert {key: [kind for _, kind in each] for key, each in heard.items()} == expected
    for each in heard.values():
        assert each == sorted(each, key=lambda event: event[0])


def lambda_(seconds: float) -> Callable[[Record], Record]:
    return lambda event: handler(json.loads(json.dumps(event)), Context(seconds))


def seconds_for(is_patient: bool) -> float:
    """Return how long the function has: enough to try again itself, or for one try."""
    return 60 if is_patient else 0.45 + shared_bus.CONNECT_SECONDS + shared_bus.ANSWER_SECONDS


# `make test` meets each fault once first and once second, `make reliability` all pairs both ways.
CASES = [
    pytest.param(
        *(first, second, is_patient),
        id=f"{first.name}-{second.name}-{'again' if is_patient else 'redelivered'}",
        marks=[]
        if FOR_NOW[(index + 5) % len(FOR_NOW)] == second and is_patient == index % 2
        else [pytest.mark.slow],
    )
    for index, first in enumerate(FOR_NOW)
    for second in FOR_NOW
    for is_patient in (True, False)
]


@pytest.mark.parametrize(("first", "second", "is_patient"), CASES)
def test_every_change_is_heard_once_and_in_order(  # noqa: PLR0917
    first: Fault,
    second: Fault,
    is_patient: bool,
    history: tuple[list[Record], Expected],
    bus: ScriptedBus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records, expected = history
    is_silent = "silence" in (first.value[1], second.value[1])
    monkeypatch.setattr(shared_bus, "ANSWER_SECONDS", 0.1 if is_silent else 10)
    forget()
    bus.plan(Fault.NONE, first, second, Fault.NONE, second)

    deliver(records, lambda_(seconds_for(is_patient)))

    assert bus.is_over
    assert_heard(bus, expected)


@pytest.mark.parametrize(
    ("nth", "moment"),
    [
        (1, "after_effect"),
        (4, "before_call"),
        pytest.param(1, "before_call", marks=pytest.mark.slow),
        pytest.param(2, "before_call", marks=pytest.mark.slow),
        pytest.param(2, "after_effect", marks=pytest.mark.slow),
        pytest.param(4, "after_effect", marks=pytest.mark.slow),
    ],
)
def test_a_killed_function_s_batch_is_sent_again(  # noqa: PLR0917
    nth: int,
    moment: str,
    history: tuple[list[Record], Expected],
    bus: ScriptedBus,
    workers: list[Worker],
    environment: dict[str, str],
) -> None:
    records, expected = history
    killer = Killer(nth)
    setattr(bus, moment, killer)
    names = ("AWS_ENDPOINT_URL_EVENTBRIDGE", "EVENT_BUS_NAME")
    environment |= {name: os.environ[name] for name in names}

    def invoke(event: Record) -> Record | None:
        killer.pid.put(workers[0].start([{**event, "call": "publish"}], environment))
        answers = workers[0].answers()
        return answers[0] if answers else None

    assert deliver(records, invoke) == 2
    assert_heard(bus, expected)


def test_a_batch_is_split_anywhere_and_sent_twice(
    history: tuple[list[Record], Expected], bus: ScriptedBus
) -> None:
    records, expected = history
    plans = st.lists(
        st.sampled_from([f for f in Fault if f in FOR_NOW and f.value[1] != "silence"])
    )

    @settings(max_examples=5)
    @given(plans, st.integers(1, len(records)), st.booleans())
    def run(faults: list[Fault], size: int, is_patient: bool) -> None:
        bus.told.clear()
        bus.plan(*faults[:6])
        deliver(records, lambda_(seconds_for(is_patient)), size)
        deliver(records[-size:], lambda_(60))  # Lambda forgot that it had sent these
        assert_heard(bus, expected)

    run()


def test_a_function_that_dies_for_good_keeps_nothing_from_the_others(
    history: tuple[list[Record], Expected], bus: ScriptedBus
) -> None:
    """Lambda gives a record up, to the queue, and goes on behind it."""
    records, expected = history
    given_up = next(each for each in records if each["eventName"] == "MODIFY")
    payment_id = given_up["dynamodb"]["Keys"]["paymentId"]["S"]
    broken = json.loads(json.dumps(given_up))
    del broken["dynamodb"]["NewImage"]["owner"]
    place = records.index(given_up)

    left = handler({"Records": [*records[:place], broken, *records[place + 1 :]]}, Context())
    assert left["batchItemFailures"][0]["itemIdentifier"] == broken["dynamodb"]["SequenceNumber"]
    deliver(records[place + 1 :], lambda_(60))

    assert_heard(bus, {**expected, payment_id: expected[payment_id][:1] + expected[payment_id][2:]})
    deliver([given_up], lambda_(60))  # by hand, from the queue: late, and told apart by its version
    assert bus.details()[-1]["version"] < max(
        each["version"] for each in bus.details() if each["paymentId"] == payment_id
    )
