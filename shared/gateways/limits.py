"""What the gateways take: currencies, and the least amounts. Data, so that a create may ask."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.errors import FieldError, InvalidRequest
from shared.payments.money import to_major
from shared.payments.payment import Payment


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


LIMITS: Mapping[str, Limits] = {}


def check(payment: Payment) -> None:
    """Check that its gateway takes a payment.

    Raises:
        InvalidRequest: it does not; the message says what it takes.
    """
    gateway, currency, amount_minor = payment.gateway, payment.currency, payment.amount_minor
    limits = LIMITS.get(gateway)
    if limits is None:
        return
    if limits.currencies is not None and currency not in limits.currencies:
        known = ", ".join(sorted(limits.currencies))
        raise InvalidRequest(FieldError("currency", f"must be one that {gateway} takes: {known}"))
    decimals = payment.decimals
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
