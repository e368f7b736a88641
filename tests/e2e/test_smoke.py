"""A deployment, called from outside: `make smoke URL=... TOKEN=...`, the laptop's own as well."""

import json
import os
import uuid
from collections.abc import Mapping
from http.client import HTTPMessage
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest

URL = os.environ.get("URL", "").rstrip("/")
TOKEN = os.environ.get("TOKEN", "")

pytestmark = pytest.mark.skipif(not (URL and TOKEN), reason="make smoke URL=... TOKEN=...")

REQUEST = {"amount": 1.5, "currency": "EUR", "description": "Smoke test"}


class Answer(NamedTuple):
    status: int
    headers: HTTPMessage
    json: dict[str, Any]


def call(
    method: str,
    reference: str = "",  # to the payments' URL (RFC 3986)
    body: object = None,
    headers: Mapping[str, str] = {},
    token: str | None = TOKEN,
) -> Answer:
    request = Request(
        urljoin(f"{URL}/payment", reference),
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urlopen(request, timeout=30) as response:
            return Answer(response.status, response.headers, json.load(response))
    except HTTPError as error:
        with error:
            return Answer(error.code, error.headers, json.load(error))


@pytest.fixture(scope="module")
def key() -> str:
    return f"smoke-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def created(key: str) -> Answer:
    answer = call("POST", body=REQUEST, headers={"Idempotency-Key": key})
    assert answer.status == 201, answer.json
    return answer


def test_a_payment_is_created(created: Answer) -> None:
    payment = created.json

    assert (payment["amount"], payment["amountMinor"], payment["currency"]) == (1.5, 150, "EUR")
    assert payment["status"] == "PENDING"
    assert created.headers["Location"].endswith(f"/payment?paymentId={payment['paymentId']}")
    assert "Idempotent-Replayed" not in created.headers


def test_the_same_call_again_is_the_same_payment(created: Answer, key: str) -> None:
    again = call("POST", body=REQUEST, headers={"Idempotency-Key": key})

    assert again.status == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == created.json


def test_it_reads_back(created: Answer) -> None:
    read = call("GET", created.headers["Location"])

    assert (read.status, read.json) == (200, created.json)


def test_another_payment_under_its_key_is_refused(created: Answer, key: str) -> None:
    other = call("POST", body={**REQUEST, "amount": 2}, headers={"Idempotency-Key": key})

    assert_problem(other, 422)


def test_an_amount_that_the_currency_does_not_have_is_refused() -> None:
    assert_problem(call("POST", body={**REQUEST, "amount": 1.505}), 400)


def test_a_payment_that_is_none_is_not_found() -> None:
    assert_problem(call("GET", f"?paymentId=pay_{'a' * 32}"), 404)


@pytest.mark.parametrize("token", [None, "not.a.token"])
def test_nobody_calls_without_a_token(token: str | None) -> None:
    assert_problem(call("POST", body=REQUEST, token=token), 401)


def test_nothing_is_left_to_pay(created: Answer) -> None:
    """The payment is manual: no money has moved, and now none is waited for."""
    canceled = call("POST", f"payment/{created.json['paymentId']}/cancel")

    assert (canceled.status, canceled.json["status"]) == (200, "CANCELED")
    assert canceled.json["description"] == REQUEST["description"]


def assert_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer.json
    assert answer.headers.get_content_type() == "application/problem+json"
    assert answer.json["title"]
    assert answer.json["traceId"]
