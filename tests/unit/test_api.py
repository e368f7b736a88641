"""What every route does alike: who is calling, what an error looks like, what is logged."""

import base64
import io
import json
import re
from http import HTTPStatus
from typing import Any

import pytest

from shared.api import line
from shared.api.handlers import api_call
from shared.api.problems import PROBLEMS
from shared.api.request import Request
from shared.api.response import Response
from shared.errors import (
    IdempotencyKeyReused,
    PaymentApiError,
    PaymentNotFound,
    RequestTooLarge,
    StoreUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
)
from tests.conftest import call, proxy_event


@api_call
def who_is_calling(request: Request) -> Response:
    return Response(HTTPStatus.OK, json.dumps(request.caller.sub), log={"paymentId": "pay_1"})


@api_call
def what_is_sent(request: Request) -> Response:
    return Response(HTTPStatus.OK, json.dumps(request.json(), default=str))


def failing_with(error: Exception) -> Any:
    @api_call
    def handler(_: Request) -> Response:
        raise error

    return handler


def bearer(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"Bearer e30.{payload}.c2lnbmF0dXJl"


def without_claims(token: str | None = None) -> dict[str, Any]:
    event = proxy_event("create_payment")
    del event["requestContext"]["authorizer"]
    for name in ("headers", "multiValueHeaders"):
        event[name].pop("Authorization")
    if token is not None:
        event["headers"]["Authorization"] = token
        event["multiValueHeaders"]["Authorization"] = [token]
    return event


def test_the_caller_is_the_sub_that_the_authorizer_verified() -> None:
    assert call(who_is_calling, proxy_event("create_payment", "user-1")).json == "user-1"


@pytest.mark.parametrize(
    "authorizer",
    [
        None,
        {},
        {"claims": None},
        {"claims": {}},
        {"claims": {"sub": ""}},
        {"claims": {"sub": None}},
        {"claims": {"sub": 7}},
        {"principalId": "user-1"},
    ],
)
def test_without_verified_claims_nobody_is_calling(authorizer: object) -> None:
    event = without_claims(bearer({"sub": "mallory"}))
    event["requestContext"]["authorizer"] = authorizer
    event["body"] = json.dumps({"requestContext": {"authorizer": {"claims": {"sub": "mallory"}}}})

    response = call(who_is_calling, event)

    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json["type"] == "urn:problem:payment-api:unauthorized"


@pytest.mark.parametrize("value", ["", "1", "True", "false", "TRUE "])
def test_a_bearer_token_is_believed_under_sam_local_alone(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", value)

    assert call(who_is_calling, without_claims(bearer({"sub": "mallory"}))).status == 401


def test_under_sam_local_the_caller_is_read_from_the_bearer_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")

    for user in ("user", "user-", "user-1"):  # Base64 of every length but the one there is not
        assert call(who_is_calling, without_claims(bearer({"sub": user}))).json == user


def test_under_sam_local_an_authorizers_word_still_counts_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")
    event = without_claims(bearer({"sub": "mallory"}))
    event["requestContext"]["authorizer"] = {"claims": {"sub": "user-1"}}

    assert call(who_is_calling, event).json == "user-1"


@pytest.mark.parametrize(
    "token",
    [None, "", "Bearer", "Bearer ", "Bearer a.b.c", "Bearer ..", bearer([]), bearer({"sub": 1})],
)
def test_under_sam_local_no_readable_token_is_a_401(
    monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")

    assert call(who_is_calling, without_claims(token)).status == 401


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unauthenticated("why"), 401),
        (PaymentNotFound("why"), 404),
        (RequestTooLarge("why"), 413),
        (UnsupportedMediaType("why"), 415),
        (IdempotencyKeyReused("why"), 422),
        (StoreUnavailable("why"), 503),
    ],
)
def test_an_error_is_answered_as_its_problem(error: PaymentApiError, status: int) -> None:
    event = proxy_event("create_payment")

    response = call(failing_with(error), event)

    assert response.status == response.json["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json["detail"] == "why"
    assert response.json["title"]
    assert response.json["type"].startswith("urn:problem:payment-api:")
    assert response.json["traceId"] == event["requestContext"]["extendedRequestId"]


def test_sam_cli_s_calls_have_an_id_as_well() -> None:
    event = proxy_event("get_payment")
    event["requestContext"]["extendedRequestId"] = None

    response = call(failing_with(PaymentNotFound("why")), event)

    assert response.json["traceId"] == event["requestContext"]["requestId"]


def test_every_error_has_its_problem() -> None:
    assert set(PROBLEMS) == {*PaymentApiError.__subclasses__(), Exception}
    assert len({problem.name for problem in PROBLEMS.values()}) == len(PROBLEMS)


def test_what_may_be_repeated_says_when() -> None:
    response = call(failing_with(StoreUnavailable("why")), proxy_event("get_payment"))

    assert response.headers["Retry-After"] == "1"


def test_a_defect_shows_its_stack_to_the_log_alone(logs: io.StringIO) -> None:
    event = proxy_event("create_payment")
    error = RuntimeError("cannot read a secret")
    error.__cause__ = ValueError("of a secret")

    response = call(failing_with(error), event)

    assert response.status == 500
    assert set(response.json) == {"type", "title", "status", "traceId"}
    defect = json.loads(logs.getvalue().splitlines()[0])
    assert "test_api.py" in defect["stack"]
    assert "raise error\nRuntimeError\ncaused by\nValueError" in defect["stack"]
    frames = defect["stack"].partition("RuntimeError")[0].splitlines()
    assert len(frames) >= 4
    assert all(line.startswith("  ") for line in frames)
    assert (defect["level"], defect["message"]) == ("ERROR", "defect")
    assert (
        defect["traceId"]
        == response.json["traceId"]
        == event["requestContext"]["extendedRequestId"]
    )


def test_a_defect_shows_what_was_being_handled(logs: io.StringIO) -> None:
    error = RuntimeError("while")
    error.__context__ = KeyError("this")

    call(failing_with(error), proxy_event("create_payment"))

    assert (
        "RuntimeError\ncaused by\nKeyError" in json.loads(logs.getvalue().splitlines()[0])["stack"]
    )


def test_what_an_error_quotes_stays_out_of_the_log(logs: io.StringIO) -> None:
    error = RuntimeError("cannot read a secret")
    error.__cause__ = ValueError("of a secret")

    call(failing_with(error), proxy_event("create_payment"))

    assert "a secret" not in logs.getvalue()


def test_a_call_is_one_log_line_with_ids_and_no_content(logs: io.StringIO) -> None:
    event = proxy_event("create_payment", "user-1")
    event["body"] = '{"amount": 123456, "currency": "USD", "description": "a gift"}'

    call(who_is_calling, event)

    [line] = logs.getvalue().splitlines()
    entry = json.loads(line)
    assert set(entry) == {
        *("level", "message", "timestamp", "service"),
        *("traceId", "route", "user", "status", "durationMs", "paymentId"),
    }
    assert (entry["level"], entry["message"]) == ("INFO", "call")
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}\+00:00", entry["timestamp"])  # RFC 3339
    assert re.fullmatch("[0-9a-f]{16}", entry["user"])
    assert entry["route"] == "POST /payment"
    assert entry["status"] == 200
    assert entry["paymentId"] == "pay_1"
    assert entry["traceId"] == event["requestContext"]["extendedRequestId"]
    assert event["requestContext"]["requestId"] not in line  # a client can choose that one
    assert "123456" not in line
    assert "gift" not in line
    assert "eyJ" not in line


def test_the_time_of_a_call_is_logged_in_milliseconds(
    logs: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "perf_counter", iter([10.0, 10.0123456]).__next__)

    call(who_is_calling, proxy_event("create_payment"))

    assert json.loads(logs.getvalue())["durationMs"] == 12.346


def test_a_refusal_without_a_cause_logs_none(logs: io.StringIO) -> None:
    call(failing_with(PaymentNotFound("why")), proxy_event("get_payment"))

    assert "cause" not in json.loads(logs.getvalue().splitlines()[-1])


def test_the_reason_why_the_store_is_away_is_logged(logs: io.StringIO) -> None:
    error = StoreUnavailable("later")
    error.__cause__ = TimeoutError("no answer from 192.0.2.1")

    response = call(failing_with(error), proxy_event("get_payment"))

    assert "192.0.2.1" in json.loads(logs.getvalue().splitlines()[-1])["cause"]
    assert "192.0.2.1" not in response.text


def test_a_browser_of_the_allowed_origin_may_read_every_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALLOWED_ORIGIN", "https://shop.example")

    for handler in (who_is_calling, failing_with(PaymentNotFound("why"))):
        headers = call(handler, proxy_event("get_payment")).headers
        assert headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "Idempotent-Replayed" in headers["Access-Control-Expose-Headers"]
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("prefix", ["", "\ufeff"])
@pytest.mark.parametrize("is_base64", [False, True])
def test_a_body_is_read_however_api_gateway_sends_it(prefix: str, is_base64: bool) -> None:
    event = proxy_event("create_payment")
    text = prefix + '{"amount": 1.10, "name": "ä😀"}'
    event["body"] = base64.b64encode(text.encode()).decode() if is_base64 else text
    event["isBase64Encoded"] = is_base64

    assert call(what_is_sent, event).json == {"amount": "1.10", "name": "ä😀"}


@pytest.mark.parametrize(
    "body", ["****", "é", "gA==", base64.b64encode("{}".encode("utf-16")).decode()]
)
def test_a_base64_body_that_is_no_utf8_is_refused(body: str) -> None:
    event = proxy_event("create_payment")
    event["body"] = body
    event["isBase64Encoded"] = True

    response = call(what_is_sent, event)

    assert response.status == 400
    assert response.errors == {"body": "must be JSON in UTF-8"}
