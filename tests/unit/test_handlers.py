"""The ways in: a webhook, a stream, a schedule; and the deadline that all of them keep."""

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from threading import Event
from time import perf_counter
from typing import Any

import pytest

from shared.api import events
from shared.api.events import JOB_SECONDS, schedule
from shared.api.handlers import api_call, public_call
from shared.api.request import PublicRequest, Request, refuse
from shared.api.response import Response
from shared.api.stream import BatchToSplit, stream
from shared.errors import DeadlineExceeded, StoreUnavailable
from tests.conftest import Context, call, proxy_event


@public_call
def webhook(request: PublicRequest) -> Response:
    """Answer with what it was sent; refuse it without a signature."""
    if request.header("Stripe-Signature") is None:
        refuse("Stripe-Signature", "is required")
    sent = {"body": request.raw_body.hex(), "gateway": request.path_parameter("gateway")}
    return Response(HTTPStatus.OK, json.dumps(sent))


def signed(body: str, **changes: object) -> dict[str, Any]:
    """Return a webhook's event, as API Gateway sends it: without an authorizer."""
    event = {**proxy_event("create_payment"), "resource": "/webhook/{gateway}", "body": body}
    del event["requestContext"]["authorizer"]
    event["multiValueHeaders"] = {"stripe-signature": ["t=1,v1=2"]}
    return {**event, "pathParameters": {"gateway": "stripe"}, **changes}


def entries(logs: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logs.getvalue().splitlines()]


@pytest.mark.parametrize("text", ['{"id": "evt_1",  "ä": 1.10}\r\n', "\ufeff{}", ""])
@pytest.mark.parametrize("is_base64", [False, True])
def test_a_webhook_has_its_body_byte_for_byte(
    text: str, is_base64: bool, logs: io.StringIO
) -> None:
    body = base64.b64encode(text.encode()).decode() if is_base64 else text

    response = call(webhook, signed(body, isBase64Encoded=is_base64))

    assert response.json == {"body": text.encode().hex(), "gateway": "stripe"}
    [line] = entries(logs)
    assert (line["route"], line["status"]) == ("POST /webhook/{gateway}", 200)
    assert "user" not in line


def test_a_webhook_is_refused_as_any_call_is() -> None:
    unsigned = call(webhook, signed("{}", multiValueHeaders=None))
    damaged = call(webhook, signed("****", isBase64Encoded=True))
    large = call(webhook, signed("x" * 262_145))

    assert (unsigned.status, unsigned.errors) == (400, {"Stripe-Signature": "is required"})
    assert (damaged.status, large.status) == (400, 413)


@pytest.mark.parametrize("make", [api_call, public_call])
def test_a_call_by_nobody_reaches_a_handler_that_is_open_and_no_other(make: Any) -> None:
    status = call(make(lambda _: Response(HTTPStatus.NO_CONTENT)), signed("{}")).status

    assert status == (204 if make is public_call else 401)


def records(*numbers: int) -> dict[str, Any]:
    return {
        "Records": [
            {"eventName": "INSERT", "dynamodb": {"SequenceNumber": str(number)}}
            for number in numbers
        ]
    }


def test_a_record_that_fails_is_where_the_stream_goes_on(logs: io.StringIO) -> None:
    taken = []

    @stream
    def handler(records: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        for record in records:
            taken.append(record["dynamodb"]["SequenceNumber"])
            if taken[-1] == "12":
                raise KeyError("not to be logged")
            yield

    answer = handler(records(11, 12, 13), Context())

    assert taken == ["11", "12"]  # nothing overtakes it
    assert answer == {"batchItemFailures": [{"itemIdentifier": "12"}, {"itemIdentifier": "13"}]}
    defect, metric, line = entries(logs)
    assert (defect["level"], defect["message"]) == ("ERROR", "defect")
    assert defect["stack"].endswith("KeyError")
    assert (metric["CallsRefused"], metric["reason"]) == ([1.0], "internal")  # what alarms watch
    assert (line["status"], line["records"], line["failedAt"]) == ("failed", 1, "12")
    assert line["function"] == defect["function"]


def test_a_batch_without_a_failure_is_done(logs: io.StringIO) -> None:
    taken = []
    batch = records(11, 12)

    @stream
    def handler(records: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        for record in records:
            taken.append(record)
            yield

    assert handler(batch, Context()) == {"batchItemFailures": []}

    assert taken == batch["Records"]
    [line] = entries(logs)
    assert (line["status"], line["records"]) == ("done", 2)


def test_a_defect_at_the_first_of_several_records_has_the_batch_split(logs: io.StringIO) -> None:
    """Lambda gives up a batch as it was sent: those behind the record would go with it."""

    @stream
    def handler(records: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        raise KeyError("not to be logged")
        yield

    with pytest.raises(BatchToSplit) as raised:
        handler(records(11, 12), Context())

    assert raised.value.args == ()  # Lambda logs what it is told
    assert raised.value.__suppress_context__
    assert entries(logs)[-1]["failedAt"] == "11"
    assert handler(records(11), Context()) == {"batchItemFailures": [{"itemIdentifier": "11"}]}


def test_what_fails_for_now_at_the_first_record_is_no_crash() -> None:
    @stream
    def handler(records: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        raise StoreUnavailable
        yield

    assert len(handler(records(11, 12), Context())["batchItemFailures"]) == 2


def test_a_record_that_is_left_out_is_a_failure() -> None:
    @stream
    def handler(records: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        yield

    failed = handler(records(11, 12), Context())["batchItemFailures"]

    assert failed == [{"itemIdentifier": "12"}]


def test_what_a_schedule_did_is_logged(logs: io.StringIO) -> None:
    done: list[int] = []

    @schedule
    def handler() -> Iterator[Callable[[], object]]:
        yield from (partial(done.append, number) for number in range(20))

    assert handler({}, Context()) == {}

    assert sorted(done) == list(range(20))
    [line] = entries(logs)
    assert (line["jobs"], line["failed"]) == (20, 0)
    assert line["durationMs"] >= 0


def failing(error: Exception, done: list[int]) -> Any:
    def fail() -> None:
        raise error

    @schedule
    def handler() -> Iterator[Callable[[], object]]:
        yield fail
        yield partial(done.append, 1)

    return handler


def test_a_job_that_fails_stops_no_other(logs: io.StringIO) -> None:
    done: list[int] = []
    error = StoreUnavailable()
    error.__cause__ = TimeoutError("192.0.2.1")

    failing(error, done)({}, Context())

    metric, line = entries(logs)
    assert done == [1]
    assert metric["reason"] == "unavailable"
    assert (line["jobs"], line["failed"]) == (2, 1)
    assert line["cause"] == "TimeoutError('192.0.2.1')"


def test_lambda_is_told_of_a_defect_in_a_job(logs: io.StringIO) -> None:
    done: list[int] = []

    with pytest.raises(RuntimeError):
        failing(RuntimeError("a secret"), done)({}, Context())

    assert done == [1]
    assert entries(logs)[0]["message"] == "defect"
    assert "a secret" not in logs.getvalue()


def test_jobs_that_cannot_be_found_are_a_failure(logs: io.StringIO) -> None:
    @schedule
    def handler() -> Iterator[Callable[[], object]]:
        raise StoreUnavailable
        yield

    handler({}, Context())

    assert entries(logs)[-1]["failed"] == 1


def test_no_job_begins_without_the_time_to_end(logs: io.StringIO) -> None:
    done: list[int] = []

    @schedule
    def handler() -> Iterator[Callable[[], object]]:
        yield partial(done.append, 1)

    handler({}, Context(seconds=JOB_SECONDS))

    assert done == []
    assert entries(logs)[0]["jobs"] == 0


# --- The deadline: a context of 0.6 seconds leaves 0.1 to work in ---


@pytest.fixture
def hang() -> Iterator[Callable[[object], Any]]:
    """Return work that ends with the test."""
    end = Event()
    yield lambda _: end.wait(20)
    end.set()


@pytest.mark.parametrize("make", [api_call, public_call])
def test_a_call_that_hangs_is_answered_in_time(
    make: Any, hang: Callable[[object], Any], logs: io.StringIO
) -> None:
    start = perf_counter()

    response = call(make(hang), proxy_event("get_payment"), seconds=0.6)

    assert perf_counter() - start < 0.6
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json["type"] == "urn:problem:payment-api:unavailable"
    assert entries(logs)[-1]["status"] == 503


def test_a_record_that_hangs_keeps_those_before_it(hang: Callable[[object], Any]) -> None:
    @stream
    def handler(records: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        yield
        hang(records)
        yield

    assert handler(records(11, 12), Context(seconds=0.6)) == {
        "batchItemFailures": [{"itemIdentifier": "12"}]
    }


def test_a_schedule_that_hangs_fails_in_time(
    hang: Callable[[object], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    @schedule
    def handler() -> Iterator[Callable[[], object]]:
        yield partial(hang, None)

    monkeypatch.setattr(events, "JOB_SECONDS", 0)

    with pytest.raises(DeadlineExceeded):
        handler({}, Context(seconds=0.6))


def test_a_call_without_time_left_is_not_waited_for(hang: Callable[[object], Any]) -> None:
    assert call(api_call(hang), proxy_event("get_payment"), seconds=0.2).status == 503


def test_the_end_of_the_process_is_no_answer() -> None:
    @api_call
    def handler(_: Request) -> Response:
        raise SystemExit

    with pytest.raises(SystemExit):
        call(handler, proxy_event("get_payment"))
