"""What the store holds, and what a call answers when the store fails it."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest
from botocore import auth
from botocore import exceptions as boto
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials

from shared.payments.payment import Payment, new_payment
from shared.store import dynamodb
from shared.store.items import DUE_SHARDS, shard_of
from shared.store.payments import PaymentChanged, payments
from tests.conftest import Client

REQUEST = {"amount": 10.5, "currency": "USD"}
Send = Callable[..., Any]


def answer(status: int, body: bytes, checksum: int | None = None) -> AWSResponse:
    headers = {} if checksum is None else {"x-amz-crc32": str(checksum)}
    return AWSResponse("-", status, headers, raw=SimpleNamespace(stream=lambda: [body]))


def error(status: int, code: str, **item: Any) -> AWSResponse:
    document = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **item}
    body = json.dumps(document).encode()
    return answer(status, body, crc32(body))


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

    def record(send: Send, request: Any) -> Any:
        sent.append(json.loads(request.body))
        return send(request)

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

    def lose_the_first_answer(send: Send, request: Any) -> Any:
        sent.append(request)
        response = send(request)
        if len(sent) == 1:
            raise boto.ConnectionClosedError(endpoint_url=request.url)
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
        error(400, "ThrottlingException"),
        error(400, "ProvisionedThroughputExceededException"),
        error(400, "ReplicatedWriteConflictException"),
        error(400, "RequestLimitExceeded"),
        error(400, "TransactionConflictException"),
        error(400, "ThrottlingException:http://internal.amazon.com/coral/com.amazonaws.dynamodb/"),
        error(400, "ExpiredTokenException"),
        error(400, "InvalidSignatureException"),
        error(400, "RequestExpired"),
        error(400, "UnrecognizedClientException"),
        error(500, "InternalServerError"),
        error(503, "ServiceUnavailable"),
        answer(200, b"{}", checksum=None),
        answer(200, b"{}", checksum=1),
        answer(200, b"", checksum=crc32(b"")),
        answer(200, b"no JSON", checksum=crc32(b"no JSON")),
        answer(400, b'{"__type": "#AccessDeniedException"}', checksum=1),
        answer(403, b'"a page that is not DynamoDB\'s"', checksum=None),
        answer(302, b"", checksum=None),
        boto.ConnectTimeoutError(endpoint_url="-"),
        boto.ReadTimeoutError(endpoint_url="-"),
        boto.EndpointConnectionError(endpoint_url="-"),
        boto.ConnectionClosedError(endpoint_url="-"),
        boto.ProxyConnectionError(proxy_url="-"),
        boto.SSLError(endpoint_url="-", error=OSError()),
        boto.HTTPClientError(error=OSError()),
        boto.CredentialRetrievalError(provider="container-role", error_msg="-"),
    ],
    ids=lambda failure: getattr(failure, "status_code", type(failure).__name__),
)
def test_a_store_that_is_away_is_a_503_and_costs_no_key(
    alice: Client, edge: Any, failure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "LONGEST_PAUSE_SECONDS", 0)
    payment_id = alice.create(REQUEST).json["paymentId"]
    is_away = [True]

    def fail(send: Send, request: Any) -> Any:
        if not is_away:
            return send(request)
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
        raise boto.ReadTimeoutError(endpoint_url="-")

    edge(fail)
    monkeypatch.setattr(dynamodb, "sleep", pauses.append)
    for _ in range(20):
        assert alice.get("pay_" + "a" * 32).status == 503

    assert len(tries) == 20 * dynamodb.TRIES
    assert len(set(pauses)) == 20 * (dynamodb.TRIES - 1)
    assert all(0 <= pause <= dynamodb.LONGEST_PAUSE_SECONDS for pause in pauses)


def test_a_refusal_that_does_not_show_what_stands_there_is_a_503(alice: Client, edge: Any) -> None:
    edge(lambda *_: error(400, "ConditionalCheckFailedException"))

    assert alice.create(REQUEST, key="order-1").status == 503


@pytest.mark.parametrize(
    "code", ["ExpiredTokenException", "InvalidSignatureException", "UnrecognizedClientException"]
)
def test_keys_that_are_refused_are_loaded_again_for_one_more_try(
    alice: Client, edge: Any, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_by = []

    def refuse_the_first(send: Send, request: Any) -> Any:
        signed_by.append(request.headers["Authorization"].partition(b"Credential=")[2][:3])
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "new")
        return error(400, code) if signed_by == [b"tes"] else send(request)

    edge(refuse_the_first)

    assert alice.create(REQUEST).status == 201
    assert signed_by == [b"tes", b"new"]


def test_every_call_is_signed_as_botocore_signs_with_the_keys_and_on_the_day_of_the_call(
    alice: Client, edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    edge(lambda send, request: sent.append(request) or send(request))
    days = [datetime(2026, 2, 28), datetime(2026, 3, 1)]
    for secret in ("one", "another"):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        dynamodb.STORE.reset()
        for day in (*days, days[0]):
            monkeypatch.setattr(auth, "get_current_datetime", lambda day=day: day)
            assert alice.create(REQUEST).status == 201

            headers = dict(sent[-1].headers)
            del headers["Content-Length"]  # which is not signed
            headers = {name: value.decode() for name, value in headers.items()}
            signature = headers.pop("Authorization")
            request = AWSRequest("POST", sent[-1].url, headers, sent[-1].body)
            keys = Credentials("testing", secret)
            auth.SigV4Auth(keys, "dynamodb", "eu-central-1").add_auth(request)
            assert signature == request.headers["Authorization"]
    assert len({request.headers["Authorization"] for request in sent}) == len(sent)


def test_what_the_store_refuses_for_good_is_a_500_and_the_log_says_why(
    alice: Client, edge: Any, logs: io.StringIO
) -> None:
    edge(lambda *_: error(400, "AccessDeniedException"))

    for response in (alice.get("pay_" + "a" * 32), alice.create(REQUEST)):
        assert response.status == 500
        assert response.json["type"] == "urn:problem:payment-api:internal"
    assert "StoreRefused('AccessDeniedException')" in logs.getvalue()


def test_what_is_due_is_found_the_longest_overdue_of_each_part_first(
    store: tuple[Any, str],
) -> None:
    repository = payments()
    new = [
        replace(
            new_payment("somebody", None, amount_minor=1, currency="USD"),
            due_at=f"2000-01-01T00:00:{second:02}.000Z",
        )
        for second in range(24)
    ]
    for payment in reversed(new):
        repository.create(payment)
    times = {payment.payment_id: payment.due_at for payment in new}

    def due(now: str, limit: int) -> list[str]:
        return list(repository.due(now, limit))

    at = "2000-01-01T00:00:11.000Z"
    overdue = {name for name, time in times.items() if time <= at}
    first = due("2001-01-01T00:00:00.000Z", 1)
    parts = {shard_of(name, DUE_SHARDS) for name in times}

    assert set(due(at, 24)) == overdue
    assert {shard_of(name, DUE_SHARDS) for name in first} == parts
    assert len(first) == len(parts)
    for name in first:
        part = [n for n in times if shard_of(n, DUE_SHARDS) == shard_of(name, DUE_SHARDS)]
        assert times[name] == min(times[n] for n in part)

    client, table = store
    for name in times:  # other tests look for what is due
        client.delete_item(TableName=table, Key={"paymentId": {"S": name}})


@pytest.fixture
def changed() -> Payment:
    """Return a stored payment that has changed once: what it lacks of an older schema is there."""
    new = new_payment("somebody", None, amount_minor=100, currency="USD")
    payments().create(new)
    error = {"code": "declined", "message": "Declined"}
    other = replace(new, version=2, last_error=error, description="Two books")
    return payments().save(replace(other, due_at="2999-01-01T00:00:00.000Z"), new)


def test_a_change_writes_what_differs_and_takes_away_what_is_gone(
    changed: Payment, store: tuple[Any, str]
) -> None:
    after = replace(changed, version=3, status="FAILED", last_error=None, due_at=None)
    payments().save(after, changed)

    client, table = store
    item = client.get_item(TableName=table, Key={"paymentId": {"S": changed.payment_id}})["Item"]
    assert payments().get(changed.payment_id, None) == after
    assert not {"lastError", "dueAt", "dueKey"} & item.keys()
    assert item["description"] == {"S": "Two books"}


def test_a_change_of_another_version_is_told_the_present_one(changed: Payment) -> None:
    first = payments().save(replace(changed, version=3, status="CANCELED"), changed)

    with pytest.raises(PaymentChanged) as refused:
        payments().save(replace(changed, version=3, status="CAPTURED"), changed)
    assert refused.value.payment == first
    assert payments().save(first, first) is first


def test_of_two_that_postpone_a_payment_one_does(changed: Payment) -> None:
    postponed = payments().postpone(changed, "2999-01-02T00:00:00.000Z")

    assert postponed == replace(
        changed, due_at="2999-01-02T00:00:00.000Z", attempts=changed.attempts + 1
    )
    assert payments().get(changed.payment_id, None) == postponed
    with pytest.raises(PaymentChanged) as refused:
        payments().postpone(changed, "2999-01-03T00:00:00.000Z")
    assert refused.value.payment == postponed
    with pytest.raises(PaymentChanged):
        payments().postpone(replace(postponed, version=9), "2999-01-03T00:00:00.000Z")
