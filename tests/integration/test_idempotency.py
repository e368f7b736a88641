import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from create_payment.app import handler as create_payment
from shared.payments.ids import fingerprint, refund_id
from shared.payments.payment import new_payment
from tests.conftest import Client, call, proxy_event

REQUEST = {"amount": 100, "currency": "USD", "metadata": {"a": "1", "b": "2"}}


def test_the_same_call_again_is_the_same_payment(alice: Client) -> None:
    first = alice.create(REQUEST, key="order-1")
    again = alice.create(REQUEST, key="order-1")

    assert (first.status, again.status) == (201, 201)
    assert again.text == first.text
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Location"] == first.headers["Location"]


@pytest.mark.parametrize(
    "body",
    [
        '{"metadata": {"b": "2", "a": "1"}, "currency": "usd", "amount": 100.00}',
        '{"amount": "100", "currency": "USD", "metadata": {"a": "1", "b": "2"}}',
        '{"amount": 1e2, "currency": "USD", "metadata": {"a": "1", "b": "2"}, "description": null}',
    ],
)
def test_the_same_payment_written_otherwise_is_the_same(alice: Client, body: str) -> None:
    first = alice.create(REQUEST, key="order-1")

    assert alice.create(body, key="order-1").text == first.text


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 101},
        {"currency": "EUR"},
        {"description": ""},
        {"metadata": {"a": "1"}},
    ],
)
def test_another_payment_under_a_used_key_is_a_422(alice: Client, change: dict[str, Any]) -> None:
    first = alice.create(REQUEST, key="order-1")
    other = alice.create({**REQUEST, **change}, key="order-1")

    assert other.status == 422
    assert other.headers["Content-Type"] == "application/problem+json"
    assert alice.get(first.json["paymentId"]).text == first.text


def test_a_key_belongs_to_its_user(alice: Client, bob: Client) -> None:
    one = alice.create(REQUEST, key="order-1")
    other = bob.create({**REQUEST, "amount": 5}, key="order-1")

    assert other.status == 201
    assert other.json["paymentId"] != one.json["paymentId"]
    assert "Idempotent-Replayed" not in other.headers


def test_a_key_names_the_same_payment_in_every_release() -> None:
    """Another derivation would make the payments of all keys in use a second time."""
    alice = Client("3f8c6f2a-6d5e-4d0e-9f51-0b8a2f4c7d1e")

    payment = alice.create(REQUEST, key="order-1").json

    assert payment["paymentId"] == "pay_6adysptomqgtex2mhjvblwe3mi26qtfb"
    assert refund_id(payment["paymentId"], "r-1") == "ref_b3lbp576myqxquebskerdhtrpqiqajpi"


def test_a_fingerprint_of_the_first_release_is_of_the_same_request_still() -> None:
    """Another one would refuse every repeat of a call that an older release answered."""

    def made(**fields: str) -> str:
        return new_payment("alice", "k", amount_minor=100, currency="USD", **fields).fingerprint

    assert made() == made(gateway="manual", capture="automatic")
    assert made() == "429ad59068073bbc8657401e051eeba769264c17"
    assert made() == fingerprint(100, "USD", None, [])
    assert len({made(), made(gateway="stripe"), made(capture="manual")}) == 3
    assert made(return_url="https://shop.example/") != made()


def test_a_refused_request_does_not_use_its_key_up(alice: Client) -> None:
    assert alice.create({**REQUEST, "amount": 0}, key="order-1").status == 400
    response = alice.create(REQUEST, key="order-1")

    assert response.status == 201
    assert "Idempotent-Replayed" not in response.headers


def test_without_a_key_every_create_is_another_payment(alice: Client) -> None:
    assert alice.create(REQUEST).json["paymentId"] != alice.create(REQUEST).json["paymentId"]


@pytest.mark.parametrize("header", ["Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"])
@pytest.mark.parametrize("value", ["order 1", '"order 1"', " order 1 "])
def test_a_key_is_one_key_however_it_is_sent(alice: Client, header: str, value: str) -> None:
    first = alice.create(REQUEST, key="order 1")

    again = alice.create(REQUEST, headers={header: value})

    assert again.json["paymentId"] == first.json["paymentId"]


def test_a_quote_on_one_side_belongs_to_the_key(alice: Client) -> None:
    payments = [alice.create(REQUEST, key=key).json for key in ('"ab', 'ab"', "a", "b", "ab")]

    assert len({payment["paymentId"] for payment in payments}) == 5


def test_without_any_header_there_is_no_key(alice: Client) -> None:
    event = proxy_event("create_payment", alice.user)
    event["multiValueHeaders"] = None

    assert call(create_payment, event).status == 201


@pytest.mark.parametrize(
    "value", ["", '""', "  ", "x" * 256, "schlüssel", "a\tb", "a\nb", "\x00", ["one", "two"]]
)
def test_a_bad_key_is_refused(alice: Client, value: object) -> None:
    response = alice.create(REQUEST, headers={"Idempotency-Key": value})

    assert response.status == 400
    assert list(response.errors) == ["Idempotency-Key"]


def test_the_longest_key_is_taken(alice: Client) -> None:
    assert alice.create(REQUEST, key="~" * 255).status == 201
    assert alice.create(REQUEST, key='"' + "~" * 255 + '"').headers["Idempotent-Replayed"]


def test_many_at_once_make_one_payment(alice: Client) -> None:
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: alice.create(REQUEST, key=key), range(24)))

    assert {response.status for response in responses} == {201}
    assert len({response.text for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in responses) == 1
