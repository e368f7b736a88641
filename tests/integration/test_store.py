"""What the store holds, and what a call answers when the store fails it."""

import io
import json
import socket
import ssl
from collections.abc import Callable
from http.client import IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from shared.store import dynamodb
from shared.store.dynamodb import _Response
from tests.conftest import Client

REQUEST = {"amount": 10.5, "currency": "USD"}
Send = Callable[..., Any]


def answer(status: int, code: str) -> _Response:
    body = f'{{"__type": "com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}}'
    return _Response(status, body.encode(), checksum=None)


def overwrite(store: tuple[Any, str], payment_id: str, attribute: str, value: str) -> None:
    client, table = store
    client.update_item(
        TableName=table,
        Key={"paymentId": {"S": payment_id}},
        UpdateExpression="SET #a = :v",
        ExpressionAttributeNames={"#a": attribute},
        ExpressionAttributeValues={":v": {"S": value}},
    )


def test_an_item_holds_minor_units_and_its_owner(alice: Client, store: tuple[Any, str]) -> None:
    payment_id = alice.create(REQUEST).json["paymentId"]

    client, table = store
    item = client.get_item(TableName=table, Key={"paymentId": {"S": payment_id}})["Item"]

    assert item["amountMinor"] == {"N": "1050"}
    assert item["currency"] == {"S": "USD"}
    assert item["owner"] == {"S": alice.user}


def test_a_replay_shows_the_payment_as_it_stands_now(alice: Client, store: tuple[Any, str]) -> None:
    payment_id = alice.create(REQUEST, key="order-1").json["paymentId"]
    overwrite(store, payment_id, "status", "CAPTURED")

    assert alice.create(REQUEST, key="order-1").json["status"] == "CAPTURED"


def test_a_payment_is_read_as_it_was_made_whatever_becomes_of_its_currency(
    alice: Client, store: tuple[Any, str]
) -> None:
    payment_id = alice.create(REQUEST).json["paymentId"]
    overwrite(store, payment_id, "currency", "BGN")  # in euros since 2026

    payment = alice.get(payment_id)

    assert '"amount": 10.50, "amountMinor": 1050, "currency": "BGN"' in payment.text


def test_a_payment_that_another_program_stored_is_replayed(
    alice: Client, store: tuple[Any, str]
) -> None:
    first = alice.create(REQUEST, key="order-1").json
    client, table = store
    item = client.get_item(TableName=table, Key={"paymentId": {"S": first["paymentId"]}})["Item"]
    del item["writeId"]
    client.put_item(TableName=table, Item=item)

    again = alice.create(REQUEST, key="order-1")

    assert (again.status, again.json) == (201, first)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_read_sees_what_was_just_written(alice: Client, edge: Any) -> None:
    """The stores of the tests are consistent whatever is asked of them; DynamoDB is when told."""
    sent = []

    def record(send: Send, headers: Any, body: bytes) -> Any:
        sent.append(json.loads(body))
        return send(headers, body)

    payment_id = alice.create(REQUEST).json["paymentId"]
    edge(record)
    alice.get(payment_id)

    assert [call["ConsistentRead"] for call in sent] == [True]


def test_a_payment_that_is_no_longer_the_callers_is_not_replayed_to_them(
    alice: Client, bob: Client, store: tuple[Any, str]
) -> None:
    payment_id = alice.create(REQUEST, key="order-1").json["paymentId"]
    overwrite(store, payment_id, "owner", bob.user)

    assert alice.create(REQUEST, key="order-1").status == 422
    assert alice.get(payment_id).status == 404
    assert bob.get(payment_id).status == 200


@pytest.mark.parametrize("key", [None, "order-1"])
def test_a_lost_answer_is_no_second_payment_and_no_replay(
    alice: Client, edge: Any, key: str | None
) -> None:
    sent = []

    def lose_the_first_answer(send: Send, headers: Any, body: bytes) -> Any:
        sent.append(body)
        response = send(headers, body)
        if len(sent) == 1:
            raise RemoteDisconnected
        return response

    edge(lose_the_first_answer)
    response = alice.create(REQUEST, key=key)

    assert len(sent) == 2
    assert response.status == 201
    assert "Idempotent-Replayed" not in response.headers
    assert alice.get(response.json["paymentId"]).text == response.text


@pytest.mark.parametrize(
    "failure",
    [
        answer(400, "ThrottlingException"),
        answer(400, "ProvisionedThroughputExceededException"),
        answer(400, "ReplicatedWriteConflictException"),
        answer(400, "RequestLimitExceeded"),
        answer(400, "TransactionConflictException"),
        answer(500, "InternalServerError"),
        answer(503, "ServiceUnavailable"),
        answer(200, "AnAnswerWithoutItsChecksum"),
        answer(400, "ARefusalWithAnothersChecksum")._replace(checksum="1"),
        _Response(403, b'"a page that is not DynamoDB\'s"', checksum=None),
        TimeoutError(),
        ConnectionRefusedError(),
        RemoteDisconnected(),
        IncompleteRead(b""),
        socket.gaierror(),
        ssl.SSLError(),
    ],
    ids=lambda failure: getattr(failure, "status", type(failure).__name__),
)
def test_a_store_that_is_away_is_a_503_and_costs_no_key(
    alice: Client, edge: Any, failure: Any
) -> None:
    payment_id = alice.create(REQUEST).json["paymentId"]
    is_away = [True]

    def fail(send: Send, *request: Any) -> Any:
        if not is_away:
            return send(*request)
        if isinstance(failure, Exception):
            raise failure
        return failure

    edge(fail)
    for response in (alice.create(REQUEST, key="order-1"), alice.get(payment_id)):
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert response.json["type"] == "urn:problem:payment-api:unavailable"
        assert "same Idempotency-Key" in response.json["detail"]

    is_away.clear()
    assert "Idempotent-Replayed" not in alice.create(REQUEST, key="order-1").headers


def test_a_call_has_as_many_tries_as_fit_in_its_time_and_a_pause_between_them(
    alice: Client, edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Any] = []
    pauses: list[float] = []

    def fail(*request: Any) -> None:
        tries.append(request)
        raise TimeoutError

    edge(fail)
    monkeypatch.setattr(dynamodb, "sleep", pauses.append)
    for _ in range(20):
        assert alice.get("pay_" + "a" * 32).status == 503

    assert len(tries) == 20 * dynamodb.TRIES
    assert len(set(pauses)) == 20 * (dynamodb.TRIES - 1)
    assert all(0 <= pause <= dynamodb.LONGEST_PAUSE_SECONDS for pause in pauses)


def test_what_the_store_refuses_for_good_is_a_500_and_the_log_says_why(
    alice: Client, edge: Any, logs: io.StringIO
) -> None:
    edge(lambda *_: answer(400, "AccessDeniedException"))

    for response in (alice.get("pay_" + "a" * 32), alice.create(REQUEST)):
        assert response.status == 500
        assert response.json["type"] == "urn:problem:payment-api:internal"
    assert "StoreRefused('AccessDeniedException')" in logs.getvalue()
