"""What the gateways take: currencies, and the least amounts. Data, so that a create may ask."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.errors import FieldError, InvalidRequest
from shared.payments.money import to_major
from shared.payments.currencies import DECIMALS


class Limits(NamedTuple):
    """What a gateway takes.

    Attributes:
        currencies: those that it takes; None: all.
        decimals: of a currency, where it has fewer there than in ISO 4217: an amount's last digits
            must be 0.
        least: the least amount, in minor units of ISO 4217.
        most: the greatest, in the same.
    """

    currencies: frozenset[str] | None
    decimals: Mapping[str, int]
    least: Mapping[str, int]
    most: int


_PAYPAL = (
    "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS INR JPY MXN MYR NOK NZD PHP PLN SEK SGD THB"
    " TWD USD"
)

LIMITS: Mapping[str, Limits] = {
    # PayPal's REST reference, "Currency codes".
    "paypal": Limits(
        frozenset(_PAYPAL.split()),
        decimals={"HUF": 0, "JPY": 0, "TWD": 0},
        least={},
        most=10**15 - 1,
    ),
}


def check(gateway: str, amount_minor: int, currency: str) -> None:
    """Check that a gateway takes an amount.

    Raises:
        InvalidRequest: it does not; the message says what it takes.
    """
    limits = LIMITS.get(gateway)
    if limits is None:
        return
    if limits.currencies is not None and currency not in limits.currencies:
        known = ", ".join(sorted(limits.currencies))
        raise InvalidRequest(FieldError("currency", f"must be one that {gateway} takes: {known}"))
    decimals = DECIMALS[currency]
    fewer = limits.decimals.get(currency, decimals)
    if amount_minor % 10 ** (decimals - fewer):
        message = f"{gateway} takes {currency} with {fewer} decimals"
        raise InvalidRequest(FieldError("amount", message))
    for bound, word, is_broken in (
        (limits.least.get(currency, 1), "least", amount_minor < limits.least.get(currency, 1)),
        (limits.most, "most", amount_minor > limits.most),
    ):
        if is_broken:
            message = f"must be at {word} {to_major(bound, decimals)} {currency} with {gateway}"
            raise InvalidRequest(FieldError("amount", message))
