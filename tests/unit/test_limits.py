"""What the gateways take, and how a payment that they do not take is refused."""

import re

import pytest

from shared.errors import FieldError, InvalidRequest
from shared.payments import ids
from shared.payments.currencies import DECIMALS
from shared.payments.limits import LIMITS, check, check_decimals
from tests.unit.samples import payment


def refusal(gateway: str, currency: str, amount_minor: int) -> FieldError:
    asked_for = payment(
        gateway=gateway,
        currency=currency,
        decimals=DECIMALS[currency],
        amount_minor=amount_minor,
    )
    with pytest.raises(InvalidRequest) as refused:
        check(asked_for)
    [error] = refused.value.errors
    return error


@pytest.mark.parametrize(
    ("gateway", "currency", "amount_minor", "field", "message"),
    [
        ("stripe", "USD", 49, "amount", "must be at least 0.50 USD with stripe"),
        ("stripe", "JPY", 49, "amount", "must be at least 50 JPY with stripe"),
        ("stripe", "USD", 10**12, "amount", "must be at most 9999999999.99 USD with stripe"),
        ("stripe", "ISK", 10**10, "amount", "must be at most 9999999999 ISK with stripe"),
        ("paypal", "USD", 0, "amount", "must be at least 0.01 USD with paypal"),
        ("stripe", "KWD", 1001, "amount", "stripe takes KWD with 2 decimals"),
        ("paypal", "HUF", 12345, "amount", "paypal takes HUF with 0 decimals"),
        ("paypal", "KRW", 1, "currency", "must be one that paypal takes: AUD, BRL, CAD"),
    ],
)
def test_what_a_gateway_does_not_take_is_told(
    gateway: str, currency: str, amount_minor: int, field: str, message: str
) -> None:
    error = refusal(gateway, currency, amount_minor)

    assert error.field == field
    assert error.message.startswith(message)
    assert field == "currency" or error.message == message


@pytest.mark.parametrize(
    ("gateway", "currency", "amount_minor"),
    [
        *(("stripe", "USD", 50), ("stripe", "USD", 10**12 - 1), ("stripe", "JPY", 50)),
        *(("stripe", "KWD", 1000), ("paypal", "USD", 1), ("paypal", "HUF", 12300)),
        *(("manual", "USD", 1), ("manual", "KWD", 1001), ("manual", "XAU", 1)),
    ],
)
def test_what_a_gateway_takes_passes(gateway: str, currency: str, amount_minor: int) -> None:
    decimals = DECIMALS.get(currency, 0)
    asked_for = payment(
        gateway=gateway, currency=currency, decimals=decimals, amount_minor=amount_minor
    )

    check(asked_for)
    check_decimals(asked_for, amount_minor)


def test_a_part_of_an_amount_has_the_gateways_decimals_as_well() -> None:
    held = payment(gateway="paypal", currency="HUF", decimals=2, amount_minor=10000)

    check_decimals(held, 500)
    with pytest.raises(InvalidRequest, match="paypal takes HUF with 0 decimals"):
        check_decimals(held, 550)


@pytest.mark.parametrize("gateway", LIMITS)
def test_every_currency_of_a_gateway_is_one_of_the_api(gateway: str) -> None:
    limits = LIMITS[gateway]

    assert limits.currencies <= DECIMALS.keys()
    assert limits.decimals.keys() | limits.least.keys() <= limits.currencies
    assert all(fewer <= DECIMALS[currency] for currency, fewer in limits.decimals.items())


def test_an_operation_has_an_id_of_its_own() -> None:
    made = {ids.new_operation_id() for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch("op_[a-z2-7]{32}", each) for each in made)
