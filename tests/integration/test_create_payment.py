import json
import re
from datetime import datetime, timezone
from typing import Any

import pytest

from shared.api.request import MAX_DELIMITERS
from tests.conftest import Client

REQUEST = {"amount": 100, "currency": "USD"}


def test_a_payment_is_answered_whole(alice: Client) -> None:
    response = alice.create(
        {"amount": 10.5, "currency": "usd", "description": "Order 7", "metadata": {"order": "7"}}
    )

    assert response.status == 201
    payment = response.json
    assert re.fullmatch(r"pay_[A-Za-z0-9_-]{26,32}", payment["paymentId"])
    assert response.headers["Location"] == f"/prod/payment?paymentId={payment['paymentId']}"
    assert response.headers["Content-Type"] == "application/json"
    assert re.fullmatch(r"[^.]+\.\d{3}Z", payment["createdAt"])
    created = datetime.strptime(payment["createdAt"], "%Y-%m-%dT%H:%M:%S.%fZ")
    age = datetime.now(timezone.utc) - created.replace(tzinfo=timezone.utc)
    assert 0 <= age.total_seconds() < 60
    assert dict(list(payment.items())[:9]) == {
        "paymentId": payment["paymentId"],
        "amount": 10.5,
        "amountMinor": 1050,
        "currency": "USD",
        "status": "PENDING",
        "createdAt": payment["createdAt"],
        "updatedAt": payment["createdAt"],
        "description": "Order 7",
        "metadata": {"order": "7"},
    }


def test_optional_fields_left_out_are_null_and_empty(alice: Client) -> None:
    for body in (REQUEST, {**REQUEST, "description": None, "metadata": None}):
        payment = alice.create(body).json
        assert payment["description"] is None
        assert payment["metadata"] == {}


@pytest.mark.parametrize("letter", ["x", ","])  # of commas, a body may have so many
def test_the_longest_of_everything_is_taken(alice: Client, letter: str) -> None:
    entries = {f"{number:02}{letter * 38}": letter * 500 for number in range(20)}
    response = alice.create({**REQUEST, "description": letter * 255, "metadata": entries})

    assert response.status == 201
    assert response.json["description"] == letter * 255
    assert response.json["metadata"] == entries


@pytest.mark.parametrize("unit", [",1", ',{"":1}', ",[[[]]]"])
def test_more_values_than_any_payment_has_are_not_read(alice: Client, unit: str) -> None:
    marks = len(unit) - len(unit.translate({ord(mark): None for mark in ",[{"}))
    most = (MAX_DELIMITERS - 1) // marks
    read, unread = (alice.create(f"[1{unit * count}]") for count in (most, most + 1))

    assert (read.status, read.json["detail"]) == (400, "body: must be a JSON object")
    assert (unread.status, unread.json["errors"]) == (
        400,
        [{"field": "body", "message": "must have at most 12000 commas and opening brackets"}],
    )


@pytest.mark.parametrize(
    ("amount", "currency", "minor", "shown"),
    [
        ("100", "USD", 10000, "100"),
        ("10.50", "USD", 1050, "10.50"),
        ("10.5", "USD", 1050, "10.50"),
        ('"10.50"', "USD", 1050, "10.50"),
        ("1e2", "USD", 10000, "100"),
        ("19.99", "USD", 1999, "19.99"),
        ("100.10", "USD", 10010, "100.10"),
        ("0.01", "USD", 1, "0.01"),
        ("9999999999999.99", "USD", 999999999999999, "9999999999999.99"),
        ("100.0", "JPY", 100, "100"),
        ("999999999999999", "JPY", 999999999999999, "999999999999999"),
        ("1.234", "KWD", 1234, "1.234"),
        ("0.0001", "CLF", 1, "0.0001"),
    ],
)
def test_an_amount_is_exact(
    alice: Client, amount: str, currency: str, minor: int, shown: str
) -> None:
    response = alice.create(f'{{"amount": {amount}, "currency": "{currency}"}}')

    assert response.status == 201, response.text
    assert response.json["amountMinor"] == minor
    assert f'"amount": {shown},' in response.text


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("0", "must be greater than zero"),
        ("-1", "must be greater than zero"),
        ('"-0.00"', "must be greater than zero"),
        ("10.505", "USD has 2 decimals, 10.505 has 3"),
        ('"0.001"', "USD has 2 decimals, 0.001 has 3"),
        ("10000000000000", "must be less than 10,000,000,000,000 USD"),
        ("1e400", "must be less than 10,000,000,000,000 USD"),
        ("1e-15", "USD has 2 decimals, 1E-15 has 15"),
        ("1e-16", "USD has 2 decimals, this amount has 16"),
        ("1.2345678901", "USD has 2 decimals, 1.2345678901 has 10"),
        ("1.23456789012", "USD has 2 decimals, this amount has 11"),
        ("1e-400", "USD has 2 decimals, this amount has 400"),
        ("1e-1500000000000000000", "USD has 2 decimals, this amount has 1500000000000000000"),
        ("1e99999999999999999999", "must be a finite number, such as 10.50"),
        ("NaN", "must be a finite number, such as 10.50"),
        ("Infinity", "must be a finite number, such as 10.50"),
        ("-Infinity", "must be a finite number, such as 10.50"),
        ("true", "not a boolean"),
        ("null", "not null"),
        ("[1]", "not an array"),
        ('"1e2"', "must be a plain decimal"),
        ('"10,50"', "must be a plain decimal"),
        ('" 10"', "must be a plain decimal"),
        ('"10\\n"', "must be a plain decimal"),
        ('"٣"', "must be a plain decimal"),
        ('"NaN"', "must be a plain decimal"),
        ('""', "must be a plain decimal"),
        ("1" * 5000, "must be less than"),
    ],
)
def test_a_wrong_amount_is_refused_in_clear_words(alice: Client, amount: str, message: str) -> None:
    response = alice.create(f'{{"amount": {amount}, "currency": "USD"}}')

    assert response.status == 400, response.text
    assert list(response.errors) == ["amount"]
    assert message in response.errors["amount"]


@pytest.mark.parametrize("currency", ["XAU", "XXX", "XTS", "ABC", "", "US", "usdollar", "ſek", 840])
def test_a_currency_that_is_none_is_refused(alice: Client, currency: object) -> None:
    response = alice.create({"amount": 1, "currency": currency})

    assert response.status == 400
    assert "ISO 4217" in response.errors["currency"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ([], "body", "must be a JSON object"),
        ({"currency": "USD"}, "amount", "is required"),
        ({**REQUEST, "amout": 1}, "amout", "is not a field of this request"),
        ({**REQUEST, "description": 1}, "description", "must be a string"),
        ({**REQUEST, "description": "\ud800"}, "description", "must be Unicode text"),
        ({**REQUEST, "description": "x" * 256}, "description", "must have at most 255 characters"),
        ({**REQUEST, "metadata": []}, "metadata", "must be an object of strings"),
        ({**REQUEST, "metadata": {"": ""}}, "metadata.", "its name must have at least 1 character"),
    ],
)
def test_what_is_wrong_is_said(alice: Client, body: object, field: str, message: str) -> None:
    assert message in alice.create(body).errors[field]


def test_fifty_fields_are_named_and_more_are_counted(alice: Client) -> None:
    unknown = {f"field{number}": 1 for number in range(48)}

    assert set(alice.create({**REQUEST, **unknown}).errors) == set(unknown)
    assert set(alice.create({**REQUEST, **unknown, "one": "more"}).errors) == {"body"}


def test_everything_wrong_is_listed_at_once(alice: Client) -> None:
    response = alice.create(
        {
            "amount": -1,
            "currency": "XXX",
            "amout": 1,
            "description": "x" * 256,
            "metadata": {"ok": 1, "": "", "k" * 41: "", "long": "x" * 501},
        }
    )

    assert response.status == 400
    assert set(response.errors) == {
        "amount",
        "currency",
        "amout",
        "description",
        "metadata.ok",
        "metadata.",
        f"metadata.{'k' * 41}",
        "metadata.long",
    }
    assert response.json["detail"].count(";") == 7


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, "body"),
        ("", "body"),
        ("  \n", "body"),
        ("{", "body"),
        ("amount=1", "body"),
        ("[]", "body"),
        ('"text"', "body"),
        ("null", "body"),
        ("{}", "currency"),
        ('{"amount": 1}', "currency"),
        ('{"currency": "USD"}', "amount"),
        ('{"amount": 1, "amount": 2, "currency": "USD"}', "amount"),
        ('{"amount": 1, "currency": "USD", "metadata": {"a": "1", "a": "2"}}', "a"),
        ('{"amount": 1, "currency": "USD", "description": "\\ud800"}', "description"),
        ('{"amount": 1, "currency": "USD", "metadata": []}', "metadata"),
        ("[" * 11_000, "body"),
        ('{"a":' * 40_000, "body"),
    ],
)
def test_a_body_that_is_no_payment_is_refused(alice: Client, body: str | None, field: str) -> None:
    response = alice.create(body)

    assert response.status == 400
    assert field in response.errors


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "is required: a JSON object such as"),
        (" \n", "is required: a JSON object such as"),
        (
            "{'amount': 1}",
            "is not JSON: Expecting property name enclosed in double quotes at line 1",
        ),
        ("[" * 11_000, "is nested too deeply"),
        ("[]", "must be a JSON object"),
    ],
)
def test_a_body_that_is_no_payment_is_told_why(alice: Client, body: str | None, words: str) -> None:
    assert alice.create(body).errors["body"].startswith(words)


def test_more_metadata_than_allowed_is_refused(alice: Client) -> None:
    metadata = {f"key{number}": "" for number in range(21)}
    assert alice.create({**REQUEST, "metadata": metadata}).errors == {
        "metadata": "must have at most 20 entries, this has 21"
    }
    metadata.popitem()
    assert alice.create({**REQUEST, "metadata": metadata}).status == 201


def test_a_body_of_an_unreasonable_size_is_refused(alice: Client) -> None:
    response = alice.create({**REQUEST, "description": "x" * 300_000})

    assert response.status == 413
    assert alice.create(dict.fromkeys(map(str, range(10_000)))).status == 400


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "",
        "application/json; charset=iso-8859-1",  # its é would be stored as �
        'application/json; profile=x; charset="windows-1252"',
        "application/json; charset=utf-88",
    ],
)
def test_a_body_that_says_it_is_not_json_is_a_415(alice: Client, media_type: str) -> None:
    response = alice.create(REQUEST, headers={"content-type": media_type})

    assert response.status == 415
    assert response.json["type"] == "urn:problem:payment-api:unsupported-media-type"
    assert "Content-Type: application/json" in response.json["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-None": "no content type"},
        {"CONTENT-TYPE": "application/json; charset=utf-8"},
        {"Content-Type": 'application/json;charset = "UTF-8"; profile="x"'},
        {"Content-Type": "application/json; profile=x; charset=us-ascii"},
        {"content-type": "Application/Problem+JSON"},
    ],
)
def test_a_body_that_may_be_json_is_read(alice: Client, headers: dict[str, str]) -> None:
    assert alice.create(REQUEST, headers=headers).status == 201


@pytest.mark.parametrize(
    "number",
    [
        "4242 4242 4242 4242",
        "4111111111111111",
        "order 20261124 4111-1111-1111-1111 thanks",
        "3782 822463 10005",
        "5555555555554444",
        "6011000990139424",
        "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
    ],
)
def test_a_card_number_is_refused_and_not_repeated(alice: Client, number: str, logs: Any) -> None:
    for body in (
        {**REQUEST, "description": f"paid with {number}."},
        {**REQUEST, "metadata": {"card": number}},
        {**REQUEST, "metadata": {number[:40]: "card"}},
        {**REQUEST, number: 1},
        f'{{"{number}": 1, "{number}": 2}}',
    ):
        response = alice.create(body)
        assert response.status == 400, body
        assert number not in response.text
        assert json.dumps(number)[1:-1] not in response.text + logs.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "order 4242424242424241",
        "1234567890123452",
        "94242424242424242424242",
        "call +49 30 901820",
        "2026-11-24 15:07:00",
        "60896417-6283-4738-913b-b37ec7d3cef9",
    ],
)
def test_an_order_number_is_not_taken_for_a_card(alice: Client, text: str) -> None:
    assert alice.create({**REQUEST, "description": text}).status == 201
