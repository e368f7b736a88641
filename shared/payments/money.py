"""Amounts and currencies: exact, by ISO 4217.

An amount is taken in major units, as people write it (10.50 USD), and kept as an integer of minor
units (1050). It is decimal from the first byte on, never a binary float, and refused rather than
rounded.
"""

import re
from decimal import MAX_PREC, MIN_EMIN, Context, Decimal

from shared.payments.currencies import DECIMALS

LIMIT_DIGITS = 15
"""Amounts stay below 10^15 minor units, which every JSON client reads exactly (RFC 8259, 6)."""

_PLAIN_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_JSON_KINDS = {bool: "a boolean", type(None): "null", list: "an array", dict: "an object"}
_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN)  # nothing is too long or too small for it


def parse_currency(code: object) -> str:
    """Return the ISO 4217 code in upper case.

    Raises:
        ValueError: it is not the code of an active currency with minor units.
    """
    if not isinstance(code, str):
        raise ValueError("must be a string with an ISO 4217 code, such as USD")
    currency = code.upper()
    if not code.isascii() or currency not in DECIMALS:
        raise ValueError("must be the ISO 4217 code of an active currency, such as USD")
    return currency


def parse_amount(value: object) -> Decimal:
    """Return an amount that is right in some currency.

    Args:
        value: major units, as a `Decimal` (how JSON numbers are parsed here) or a decimal string.

    Raises:
        ValueError: it is no plain decimal, not finite, or not greater than zero.
    """
    if isinstance(value, str):
        if not _PLAIN_DECIMAL.fullmatch(value):
            raise ValueError(
                'must be a plain decimal such as "100" or "10.50": no sign, space, comma, exponent'
                " or leading zero"
            )
        value = Decimal(value)
    if not isinstance(value, Decimal):
        kind = _JSON_KINDS.get(type(value), "anything else")
        raise ValueError(f'must be a number such as 10.50, or a string such as "10.50", not {kind}')
    if not value.is_finite():
        raise ValueError("must be a finite number, such as 10.50")
    if value <= 0:
        raise ValueError("must be greater than zero")
    return value


def to_minor(amount: Decimal, currency: str, decimals: int) -> int:
    """Return the amount in minor units: with 2 decimals, 10.50 USD is 1050.

    Raises:
        ValueError: it has 10^15 minor units or more, or more decimals than the currency.
    """
    # Exponents are compared before anything is scaled, so that 1e400 costs what 1 costs.
    if amount.adjusted() + decimals >= LIMIT_DIGITS:
        raise ValueError(f"must be less than {10 ** (LIMIT_DIGITS - decimals):,} {currency}")
    exact = amount.normalize(_EXACT)
    used = -int(exact.as_tuple().exponent)
    if used > decimals:
        # Twelve digits could be a card number, which no message repeats.
        is_short = used <= LIMIT_DIGITS and len(exact.as_tuple().digits) < 12
        shown = str(exact) if is_short else "this amount"
        raise ValueError(f"{currency} has {decimals} decimals, {shown} has {used}")
    return int(exact.scaleb(decimals))


def to_major(minor: int, decimals: int) -> str:
    """Return the amount in major units as a JSON number: with 2 decimals, 1050 is 10.50."""
    whole, part = divmod(minor, 10**decimals)
    return f"{whole}.{part:0{decimals}}" if part else str(whole)
