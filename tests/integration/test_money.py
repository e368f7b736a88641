"""Money on its whole way: request, store, response, and back."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.payments.currencies import DECIMALS
from tests.conftest import Client, Response

LIMIT = 10**15


def travel(client: Client, minor: int, currency: str, store: tuple[Any, str]) -> list[Response]:
    """Create with the amount as a number and as a string; check what is stored; read it back."""
    amount = Decimal(minor).scaleb(-DECIMALS[currency])
    answers = [
        client.create(f'{{"amount": {amount:f}, "currency": "{currency}"}}', key=f"{minor}"),
        client.create({"amount": f"{amount:f}", "currency": currency.lower()}, key=f"{minor}"),
    ]
    payment_id = answers[0].json["paymentId"]
    dynamodb, table = store
    item = dynamodb.get_item(TableName=table, Key={"paymentId": {"S": payment_id}})["Item"]
    assert item["amountMinor"] == {"N": str(minor)}
    assert item["currency"] == {"S": currency}
    return [*answers, client.get(payment_id)]


@settings(max_examples=50)
@given(minor=st.integers(1, LIMIT - 1), currency=st.sampled_from(sorted(DECIMALS)))
def test_an_amount_comes_back_as_it_was_sent(
    minor: int, currency: str, store: tuple[Any, str]
) -> None:
    for answer in travel(Client(), minor, currency, store):
        assert answer.json["amountMinor"] == minor
        assert answer.json["currency"] == currency
        amount = Decimal(answer.text.partition('"amount": ')[2].partition(",")[0])
        assert amount == Decimal(minor).scaleb(-DECIMALS[currency])


def test_the_largest_amount_of_every_currency_is_stored_whole() -> None:
    alice = Client()
    for currency, decimals in DECIMALS.items():
        amount = f"{Decimal(LIMIT - 1).scaleb(-decimals):f}"
        created = alice.create(f'{{"amount": {amount}, "currency": "{currency}"}}')
        assert alice.get(created.json["paymentId"]).json["amountMinor"] == LIMIT - 1, currency
