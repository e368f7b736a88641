"""What the gateways take: currencies, their decimals, the least and the greatest amounts."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.errors import FieldError, InvalidRequest
from shared.payments.money import to_major
from shared.payments.payment import Payment


class Limits(NamedTuple):
    """What a gateway takes.

    Attributes:
        currencies: those that it takes.
        decimals: of a currency, where it has fewer there than in ISO 4217: an amount's last digits
            must be 0.
        least: the least amount, in minor units of ISO 4217.
        most: the greatest, in the same.
        greatest: the same for a currency that has another.
    """

    currencies: frozenset[str]
    decimals: Mapping[str, int]
    least: Mapping[str, int]
    most: int
    greatest: Mapping[str, int]


_STRIPE = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BWP BYN BZD
    CAD CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD
    GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT
    LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK
    NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE
    SOS SRD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG
    XOF XPF YER ZAR ZMW
"""

_PAYPAL = (
    "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS INR JPY MXN MYR NOK NZD PHP PLN SEK SGD THB"
    " TWD USD"
)

LIMITS: Mapping[str, Limits] = {
    # docs.stripe.com/currencies. ISK and UGX are sent there with two decimals, always 00.
    "stripe": Limits(
        currencies=frozenset(_STRIPE.split()),
        decimals={"BHD": 2, "JOD": 2, "KWD": 2, "MGA": 0, "OMR": 2, "TND": 2},
        least={
            **dict.fromkeys(("AUD", "CAD", "CHF", "EUR", "USD"), 50),
            "CZK": 1500,
            "DKK": 250,
            "GBP": 30,
            "HKD": 400,
            "HUF": 17500,
            "JPY": 50,
            "MXN": 1000,
            "NOK": 300,
            "PLN": 200,
            "SEK": 300,
        },
        most=999_999_999_999,  # twelve digits there
        greatest=dict.fromkeys(("ISK", "UGX"), 9_999_999_999),
    ),
    # PayPal's REST reference, "Currency codes".
    "paypal": Limits(
        frozenset(_PAYPAL.split()),
        decimals={"HUF": 0, "JPY": 0, "TWD": 0},
        least={},
        most=10**15 - 1,
        greatest={},
    ),
}


def check(payment: Payment) -> None:
    """Check that its gateway takes a payment.

    Raises:
        InvalidRequest: it does not; the message says what it takes.
    """
    gateway, currency, amount_minor = payment.gateway, payment.currency, payment.amount_minor
    limits = LIMITS.get(gateway)
    if limits is None:
        return
    if currency not in limits.currencies:
        known = ", ".join(sorted(limits.currencies))
        raise InvalidRequest(FieldError("currency", f"must be one that {gateway} takes: {known}"))
    check_decimals(payment, amount_minor)
    least, most = limits.least.get(currency, 1), limits.greatest.get(currency, limits.most)
    if not least <= amount_minor <= most:
        word, bound = ("least", least) if amount_minor < least else ("most", most)
        shown = to_major(bound, payment.decimals)
        message = f"must be at {word} {shown} {currency} with {gateway}"
        raise InvalidRequest(FieldError("amount", message))


def check_decimals(payment: Payment, amount_minor: int) -> None:
    """Check that the payment's gateway has decimals enough for an amount.

    Raises:
        InvalidRequest: it has fewer than ISO 4217.
    """
    limits = LIMITS.get(payment.gateway)
    fewer = limits.decimals.get(payment.currency, payment.decimals) if limits else payment.decimals
    if amount_minor % 10 ** (payment.decimals - fewer):
        message = f"{payment.gateway} takes {payment.currency} with {fewer} decimals"
        raise InvalidRequest(FieldError("amount", message))
