"""What the functions write of a call: ids, a metric, and nothing that a client sent."""

import io
import json
import logging
import time
from typing import Any

import pytest

from create_payment.app import handler as create_payment
from tests.conftest import Client, call, proxy_event

REQUEST = {"amount": 100, "currency": "EUR"}


def metrics(logs: io.StringIO) -> list[dict[tuple[str, ...], int]]:
    return [counted(line) for line in every_line(logs) if "_aws" in line]


def lines(logs: io.StringIO) -> list[dict[str, Any]]:
    return [line for line in every_line(logs) if "_aws" not in line]


def every_line(logs: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logs.getvalue().splitlines()]


def counted(entry: dict[str, Any]) -> dict[tuple[str, ...], int]:
    """Read a metric's line as CloudWatch does: every metric with its dimensions, and its sum."""
    return {
        (each["Name"], *(f"{name}={entry[name]}" for name in dimensions)): sum(entry[each["Name"]])
        for directive in entry["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for each in directive["Metrics"]
    }


def test_a_payment_is_counted_by_currency_and_a_replay_apart(
    alice: Client, logs: io.StringIO
) -> None:
    alice.create(REQUEST, key="order-1")
    alice.create(REQUEST, key="order-1")

    created, replayed = lines(logs)
    assert metrics(logs) == [
        {("PaymentsCreated", "service=payment-api", "currency=EUR"): 1},
        {("PaymentsReplayed", "service=payment-api", "currency=EUR"): 1},
    ]
    assert created["paymentId"] == replayed["paymentId"]


def test_a_start_and_a_call_say_nothing_but_the_calls_line(
    alice: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # as Lambda does by its JSON format

    alice.create(REQUEST)

    assert [record.message for record in caplog.records] == ["call"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({**REQUEST, "amount": 0}, "validation"),
        ({**REQUEST, "currency": "a currency that is none"}, "validation"),
        ({**REQUEST, "amount": 5}, "idempotency-key-reused"),
        ({**REQUEST, "description": "x" * 300_000}, "too-large"),
    ],
)
def test_a_refusal_is_counted_by_its_reason(
    alice: Client, body: object, reason: str, logs: io.StringIO
) -> None:
    alice.create(REQUEST, key="order-1")
    alice.create(body, key="order-1")

    assert metrics(logs)[-1] == {("CallsRefused", "service=payment-api", f"reason={reason}"): 1}


def test_a_read_is_logged_and_not_counted(alice: Client, logs: io.StringIO) -> None:
    payment_id = alice.create(REQUEST).json["paymentId"]
    alice.get(payment_id)

    read = lines(logs)[-1]
    assert (read["route"], read["status"], read["paymentId"]) == ("GET /payment", 200, payment_id)
    assert len(metrics(logs)) == 1  # of the create


def test_a_metric_is_written_as_cloudwatch_wants_it(alice: Client, logs: io.StringIO) -> None:
    alice.create(REQUEST)

    [entry] = [line for line in every_line(logs) if "_aws" in line]
    [directive] = entry["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "PaymentApi",
        "Dimensions": [["service", "currency"]],
        "Metrics": [{"Name": "PaymentsCreated", "Unit": "Count"}],
    }
    milliseconds = entry["_aws"]["Timestamp"]
    assert isinstance(milliseconds, int)
    assert abs(milliseconds / 1000 - time.time()) < 60


def test_each_line_is_written_in_one_piece(
    alice: Client, logs: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule's threads write at the same time: a line that is cut is no JSON."""
    pieces: list[str] = []
    monkeypatch.setattr(logs, "write", pieces.append)
    alice.create(REQUEST)

    assert len(pieces) == 2
    assert all(each.endswith("}\n") for each in pieces)


def test_a_caller_is_followed_without_being_named(
    alice: Client, bob: Client, logs: io.StringIO
) -> None:
    alice.create(REQUEST)
    alice.create({**REQUEST, "amount": 0})
    bob.create(REQUEST)

    one, same, other = (entry["user"] for entry in lines(logs))
    assert one == same != other
    assert alice.user not in logs.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        {"body": '{"amount": 100, "currency": "EUR", "description": "s3ntinel"}'},
        {"body": '{"amount": 100, "currency": "EUR", "metadata": {"s3ntinel": "s3ntinel"}}'},
        {"body": '{"amount": "s3ntinel", "currency": "EUR"}'},
        {"body": '{"amount": 1, "currency": "s3ntinel"}'},
        {"body": '{"amount": 1, "currency": "EUR", "s3ntinel": 1}'},
        {"body": '{"s3ntinel": 1, "s3ntinel": 2}'},
        {"body": "s3ntinel"},
        {"body": "s3ntinel" * 100_000},
        {"multiValueHeaders": {"Content-Type": ["text/s3ntinel"]}},
        {"multiValueHeaders": {"Idempotency-Key": ["s3ntinel"], "Authorization": ["s3ntinel"]}},
        {"multiValueHeaders": {"Idempotency-Key": ["s3ntinel", "s3ntinel"]}},
        {
            "path": "/payment/s3ntinel",
            "multiValueQueryStringParameters": {"s3ntinel": ["s3ntinel"]},
        },
    ],
)
def test_nothing_that_a_client_sends_is_logged(change: dict[str, Any], logs: io.StringIO) -> None:
    call(create_payment, {**proxy_event("create_payment", "user-1"), **change})

    assert lines(logs)
    assert "s3ntinel" not in logs.getvalue()


def test_an_unreadable_id_is_not_logged(alice: Client, logs: io.StringIO) -> None:
    assert alice.get("s3ntinel").status == 400
    assert "s3ntinel" not in logs.getvalue()


@pytest.mark.parametrize(
    ("setting", "value", "status"),
    [
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9", 503),
        ("TABLE_NAME", "no-such-table", 500),
    ],
)
def test_nor_is_it_when_the_call_fails(  # noqa: PLR0917
    alice: Client,
    logs: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
    status: int,
) -> None:
    monkeypatch.setenv(setting, value)

    response = alice.create({**REQUEST, "metadata": {"s3ntinel": "s3ntinel"}}, key="s3ntinel")

    assert response.status == status
    assert lines(logs)[-1]["status"] == status
    assert "s3ntinel" not in logs.getvalue()
