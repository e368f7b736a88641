"""What the store holds, and what a call answers when the store fails it."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from shared import repository
from tests.conftest import Client

REQUEST = {"amount": 10.5, "currency": "USD"}
Send = Callable[[Any], Any]


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any, Send], Any]], None]:
    """Return what puts a fault where requests leave the client for the network."""

    def put(fault: Callable[[Any, Send], Any]) -> None:
        endpoint = repository.payments()._client._endpoint
        send = endpoint.http_session.send
        monkeypatch.setattr(endpoint.http_session, "send", lambda request: fault(request, send))

    return put


def answer(status: int, code: str) -> AWSResponse:
    body = f'{{"__type": "com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}}'.encode()
    raw = type("Raw", (), {"stream": lambda *_, **__: iter([body])})()
    return AWSResponse("http://store", status, {}, raw)


def test_an_item_holds_minor_units_and_its_owner(alice: Client, store: tuple[Any, str]) -> None:
    payment_id = alice.create(REQUEST).json["paymentId"]

    client, table = store
    item = client.get_item(TableName=table, Key={"paymentId": {"S": payment_id}})["Item"]

    assert item["amountMinor"] == {"N": "1050"}
    assert item["currency"] == {"S": "USD"}
    assert item["owner"] == {"S": alice.user}


def test_a_replay_shows_the_payment_as_it_stands_now(alice: Client, store: tuple[Any, str]) -> None:
    payment_id = alice.create(REQUEST, key="order-1").json["paymentId"]
    client, table = store
    client.update_item(
        TableName=table,
        Key={"paymentId": {"S": payment_id}},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "CAPTURED"}},
    )

    assert alice.create(REQUEST, key="order-1").json["status"] == "CAPTURED"


@pytest.mark.parametrize("key", [None, "order-1"])
def test_a_lost_answer_is_no_second_payment_and_no_replay(
    alice: Client, edge: Any, key: str | None
) -> None:
    sent = []

    def lose_the_first_answer(request: Any, send: Send) -> Any:
        sent.append(request)
        response = send(request)
        if len(sent) == 1:
            raise ConnectionClosedError(endpoint_url=request.url)
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
        answer(500, "InternalServerError"),
        answer(503, "ServiceUnavailable"),
        answer(200, "AnAnswerWithoutItsChecksum"),
        EndpointConnectionError(endpoint_url="http://store"),
        ConnectTimeoutError(endpoint_url="http://store"),
        ReadTimeoutError(endpoint_url="http://store"),
        ConnectionClosedError(endpoint_url="http://store"),
    ],
    ids=lambda failure: getattr(failure, "status_code", type(failure).__name__),
)
def test_a_store_that_is_away_is_a_503_and_costs_no_key(
    alice: Client, edge: Any, failure: Any
) -> None:
    payment_id = alice.create(REQUEST).json["paymentId"]
    is_away = [True]

    def fail(request: Any, send: Send) -> Any:
        if not is_away:
            return send(request)
        if isinstance(failure, Exception):
            raise failure
        return failure

    edge(fail)
    for response in (alice.create(REQUEST, key="order-1"), alice.get(payment_id)):
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert "same Idempotency-Key" in response.json["detail"]

    is_away.clear()
    assert "Idempotent-Replayed" not in alice.create(REQUEST, key="order-1").headers


def test_what_the_store_refuses_for_good_is_a_500(alice: Client, edge: Any) -> None:
    edge(lambda _, __: answer(400, "AccessDeniedException"))

    assert alice.get("pay_" + "a" * 32).status == 500
