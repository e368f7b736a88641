import json

import pytest

from tests.conftest import Client


def test_a_payment_reads_back_as_it_was_created(alice: Client) -> None:
    created = alice.create(
        {"amount": 19.99, "currency": "EUR", "description": "ä€😀", "metadata": {"κ": ""}}
    )
    read = alice.get(created.json["paymentId"])

    assert read.status == 200
    assert read.text == created.text
    assert read.headers["Cache-Control"] == "no-store"


def test_metadata_come_in_one_order_whatever_the_store_does(alice: Client) -> None:
    created = alice.create({"amount": 1, "currency": "USD", "metadata": {"b": "2", "a": "1"}})

    assert '{"a": "1", "b": "2"}' in created.text
    assert alice.get(created.json["paymentId"]).text == created.text


def test_a_foreign_payment_and_none_are_the_same_404(alice: Client, bob: Client) -> None:
    foreign = bob.get(alice.create({"amount": 1, "currency": "USD"}).json["paymentId"])
    missing = bob.get("pay_" + "a" * 32)

    assert foreign.status == missing.status == 404
    assert foreign.headers == missing.headers
    assert foreign.text == missing.text
    assert json.loads(foreign.text)["type"] == "urn:problem:payment-api:not-found"


@pytest.mark.parametrize(
    "payment_id",
    ["", "pay_", "pay_" + "a" * 31, "pay_" + "A" * 32, "pay_" + "a" * 32 + "\n", "' OR 1=1", "é"],
)
def test_a_malformed_id_is_refused(alice: Client, payment_id: str) -> None:
    response = alice.get(payment_id)

    assert response.status == 400
    assert response.errors == {"paymentId": "must be pay_ and 32 characters from a-z and 2-7"}


def test_a_missing_id_is_refused(alice: Client) -> None:
    assert "is required" in alice.get().errors["paymentId"]


def test_two_ids_are_refused(alice: Client) -> None:
    assert alice.get("pay_" + "a" * 32, "pay_" + "b" * 32).errors == {
        "paymentId": "must be given once"
    }
