"""The function on the table's stream: events reach the bus, in order, or are sent again."""

import copy
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from local.loopback import listen, serving
from publish_events.app import handler
from shared import bus as shared_bus
from shared.api.stream import BatchToSplit
from shared.errors import BusUnavailable
from shared.payments.events import events
from shared.payments.payment import Payment
from shared.store.items import to_item
from tests.bus import FOR_NOW, Fault, ScriptedBus, deliver, scripted_bus
from tests.conftest import Context, forget, proxy_event
from tests.moto import moto
from tests.unit.samples import payment

PAUSE = shared_bus.FIRST_PAUSE_SECONDS
WITHOUT_TIME = 4  # seconds: too few for a second try
SAMPLE = proxy_event("publish_events")


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBus]:
    with scripted_bus() as bus:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.url)
        monkeypatch.setattr(shared_bus, "FIRST_PAUSE_SECONDS", 0.001)
        yield bus


def record(number: int, after: Payment | None, before: Payment | None = None) -> dict[str, Any]:
    images = {"OldImage": before, "NewImage": after}
    shown = {name: to_item(image) for name, image in images.items() if image}
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": f"{1000 + number}", **shown}}


def created(number: int, **fields: Any) -> dict[str, Any]:
    return record(number, payment(payment_id=f"pay_{number:032}", **fields))


def publish(*records: dict[str, Any], seconds: float = 60) -> list[str]:
    """Return the sequence numbers that are reported as failed."""
    answer = handler(copy.deepcopy({"Records": list(records)}), Context(seconds))
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def life(number: int) -> list[dict[str, Any]]:
    """Return the records of a payment that is held, then captured."""
    made = payment(payment_id=f"pay_{number:032}")
    held = replace(made, status="AUTHORIZED", state="AUTHORIZED", version=2)
    paid = replace(held, status="CAPTURED", state="CAPTURED", captured_minor=10000, version=3)
    number *= 10
    return [
        record(number, made),
        record(number + 1, held, made),
        record(number + 2, paid, held),
    ]


def test_the_sample_event_is_told(bus: ScriptedBus) -> None:
    assert publish(*SAMPLE["Records"]) == []

    [entry] = bus.told
    detail = json.loads(entry["Detail"])
    assert (entry["EventBusName"], entry["Source"]) == ("payments", "payment-api")
    assert entry["DetailType"] == "payment.created"
    assert detail["eventId"] == f"{detail['paymentId']}.1.created"
    assert (detail["amount"], detail["currency"], detail["status"]) == (100, "USD", "PENDING")
    assert entry["Time"] == 1795510800.123


def test_events_of_several_payments_share_a_call(bus: ScriptedBus) -> None:
    assert publish(*map(created, range(25))) == []

    assert bus.calls == [10, 10, 5]
    assert [each["paymentId"] for each in bus.details()] == [f"pay_{n:032}" for n in range(25)]


def test_events_of_one_payment_never_share_a_call(bus: ScriptedBus) -> None:
    """One of a call may fail where its others do not."""
    assert publish(*life(1), created(2)) == []

    assert bus.calls == [1, 1, 2]
    assert [each["version"] for each in bus.details()] == [1, 2, 3, 1]


def test_large_events_do_not_make_a_call_too_large(bus: ScriptedBus) -> None:
    metadata = {f"{index}": "😀" * 500 for index in range(20)}

    assert publish(*(created(number, metadata=metadata) for number in range(10))) == []

    assert sum(bus.calls) == 10
    assert max(bus.calls) * 40_000 < shared_bus.CALL_BYTES < (max(bus.calls) + 2) * 41_000


def test_a_change_that_is_no_news_is_done_without_a_call(bus: ScriptedBus) -> None:
    made = payment()

    assert publish(record(1, replace(made, attempts=2), made), record(2, None, made)) == []

    assert bus.calls == []


def test_of_a_call_only_what_failed_is_put_again(bus: ScriptedBus) -> None:
    bus.plan(Fault.LAST_FAILS)

    assert publish(created(1), created(2), created(3)) == []

    assert bus.calls == [3, 1]
    assert [each["paymentId"][-1] for each in bus.details()] == ["1", "2", "3"]


def test_a_failed_entry_is_where_the_stream_goes_on(bus: ScriptedBus, logs: io.StringIO) -> None:
    bus.plan(Fault.LAST_FAILS)

    assert publish(*map(created, range(15)), seconds=WITHOUT_TIME) == [
        str(1000 + number) for number in range(9, 15)
    ]

    assert bus.calls == [10]  # nothing is put after it
    assert '"CallsRefused":[1.0]' in logs.getvalue()
    assert '"reason":"unavailable"' in logs.getvalue()
    assert "BusRefused('ThrottlingException')" in logs.getvalue()


@pytest.mark.parametrize("fault", FOR_NOW, ids=lambda fault: fault.name)
def test_a_bus_that_fails_for_now_is_asked_again(
    fault: Fault, bus: ScriptedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = 0.1 if fault.value[1] == "silence" else 10
    monkeypatch.setattr(shared_bus, "ANSWER_SECONDS", wait)
    forget()
    bus.plan(fault, fault)

    assert publish(created(1), created(2)) == []

    assert bus.is_over
    assert len(bus.calls) == 3
    assert {each["paymentId"][-1] for each in bus.details()} == {"1", "2"}


def test_the_pauses_grow_and_end_with_the_time(
    bus: ScriptedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_bus, "FIRST_PAUSE_SECONDS", PAUSE)
    left = [30.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        left[0] -= seconds

    monkeypatch.setattr(shared_bus, "sleep", sleep)
    monkeypatch.setattr(shared_bus, "time_left", lambda: left[0])
    monkeypatch.setattr(shared_bus, "uniform", lambda _, most: most)
    bus.plan(*[Fault.ALL_FAIL] * 50)

    [made] = events(None, payment())
    with pytest.raises(BusUnavailable) as raised:
        list(shared_bus.Bus("payments").publish([[made]]))

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]
    assert left[0] < 5 + shared_bus.CONNECT_SECONDS + shared_bus.ANSWER_SECONDS
    assert repr(raised.value.__cause__) == "BusRefused('ThrottlingException')"


@pytest.mark.parametrize("fault", [Fault.CLOSED_AFTER, Fault.SILENT_AFTER, Fault.FIRST_FAILS])
def test_what_may_have_been_told_is_sent_again_whole(
    fault: Fault, bus: ScriptedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = 0.1 if fault.value[1] == "silence" else 4
    monkeypatch.setattr(shared_bus, "ANSWER_SECONDS", wait)
    forget()
    bus.plan(fault)
    records = life(1)

    assert publish(*records, seconds=1.2 if wait < 1 else WITHOUT_TIME) == ["1010", "1011", "1012"]
    assert deliver(records, lambda event: handler(event, Context())) == 1

    ids = list(dict.fromkeys(each["eventId"].partition(".")[2] for each in bus.details()))
    assert ids == ["1.created", "2.authorized", "3.captured"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.FORBIDDEN, "AccessDeniedException"), (Fault.FIRST_REFUSED, "InvalidArgument")],
)
def test_what_the_bus_refuses_for_good_is_a_defect_at_once(
    fault: Fault, code: str, bus: ScriptedBus, logs: io.StringIO
) -> None:
    bus.plan(fault)

    with pytest.raises(BatchToSplit):
        publish(created(1), created(2))

    assert len(bus.calls) == 1
    assert '"reason":"internal"' in logs.getvalue()
    assert f"BusRefused('{code}')" in logs.getvalue()


def test_a_record_that_is_no_payment_stops_what_follows_it_and_nothing_before(
    bus: ScriptedBus, logs: io.StringIO
) -> None:
    poison = created(2)
    del poison["dynamodb"]["NewImage"]["owner"]

    assert publish(created(1), poison, created(3)) == ["1002", "1003"]

    assert [each["paymentId"][-1] for each in bus.details()] == ["1"]
    assert '"reason":"internal"' in logs.getvalue()
    assert '"failedAt":"1002"' in logs.getvalue()
    with pytest.raises(BatchToSplit):
        publish(poison, created(3))
    assert publish(poison) == ["1002"]
    assert len(bus.told) == 1


def test_a_bus_that_hangs_is_given_up_before_the_function_s_end(bus: ScriptedBus) -> None:
    bus.plan(Fault.SILENT_BEFORE)

    assert publish(created(1), created(2), seconds=0.7) == ["1001", "1002"]


def written(logs: io.StringIO, message: str) -> list[dict[str, Any]]:
    lines = map(json.loads, logs.getvalue().splitlines())
    return [line for line in lines if line.get("message") == message]


def test_an_event_is_logged_by_its_ids_and_not_by_what_it_says(
    bus: ScriptedBus, logs: io.StringIO
) -> None:
    publish(created(1, description="a secret surprise", owner="owner-1", correlation_id="call-1"))

    [line] = written(logs, "event")
    [detail] = bus.details()
    assert line["correlationId"] == detail["correlationId"] == "call-1"
    assert (line["paymentId"], line["eventId"]) == (detail["paymentId"], detail["eventId"])
    assert line["type"] == "payment.created"
    assert [each["records"] for each in written(logs, "call")] == [1]
    assert "surprise" not in logs.getvalue()
    assert "owner-1" not in logs.getvalue()


def test_what_is_not_told_yet_is_neither_logged_nor_counted(
    bus: ScriptedBus, logs: io.StringIO
) -> None:
    bus.plan(Fault.NONE, Fault.NONE, Fault.ALL_FAIL)

    assert publish(*life(1), seconds=WITHOUT_TIME) == ["1012"]
    assert [each["type"] for each in written(logs, "event")] == [
        "payment.created",
        "payment.authorized",
    ]
    assert money(logs) == {("USD", "AUTHORIZED"): [10000]}

    assert publish(life(1)[2]) == []
    assert money(logs) == {("USD", "AUTHORIZED"): [10000], ("USD", "CAPTURED"): [10000]}


def money(logs: io.StringIO) -> dict[tuple[str, str], list[float]]:
    """Return the amounts that were counted, by currency and status."""
    found: dict[tuple[str, str], list[float]] = {}
    for line in map(json.loads, logs.getvalue().splitlines()):
        if "Money" in line:
            found.setdefault((line["currency"], line["status"]), []).extend(line["Money"])
    return found


def test_a_rule_of_a_subscriber_gets_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's EventBridge and SQS stand for a subscriber: what we put is an event, and matches."""
    with serving(moto(), listen(0)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", url)
        client, sqs = (boto3.client(name, endpoint_url=url) for name in ("events", "sqs"))
        client.create_event_bus(Name="payments")
        queue = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        arn = "arn:aws:sqs:eu-central-1:123456789012:subscriber"
        pattern = {"source": ["payment-api"], "detail": {"status": ["CAPTURED"]}}
        client.put_rule(Name="r", EventBusName="payments", EventPattern=json.dumps(pattern))
        client.put_targets(Rule="r", EventBusName="payments", Targets=[{"Id": "q", "Arn": arn}])

        assert publish(*life(1)) == []

        [message] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        client.remove_targets(Rule="r", EventBusName="payments", Ids=["q"])
        client.delete_rule(Name="r", EventBusName="payments")
        client.delete_event_bus(Name="payments")
    event = json.loads(message["Body"])
    assert (event["source"], event["detail-type"]) == ("payment-api", "payment.captured")
    assert event["detail"]["amountCapturedMinor"] == 10000


def test_a_change_without_news_is_told_between_others(bus: ScriptedBus) -> None:
    made = payment()
    changes = [events(None, made), events(made, made), events(made, payment("CANCELED", version=2))]

    assert list(shared_bus.bus().publish(changes)) == [None] * 3

    assert [each["version"] for each in bus.details()] == [1, 2]


def test_a_call_that_ends_after_the_function_did_is_followed_by_none(
    bus: ScriptedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda thaws its thread with the next invocation, which tells the same events in order."""
    before = set(threading.enumerate())
    shared_bus.bus()  # a client takes its time to make; the call has to have begun in time
    bus.plan(Fault.SILENT_BEFORE)

    assert publish(*life(1), seconds=1.5) == ["1010", "1011", "1012"]
    assert publish(*life(1)) == []
    late = [each for each in threading.enumerate() if type(each).__name__ == "_Worker"]
    bus.end_silence()
    for thread in set(late) - before:
        thread.join(10)

    assert [each["version"] for each in bus.details()] == [1, 2, 3]
