"""Amounts against exact fractions and py-moneyed's table: never rounded, whatever is written."""

import json
from decimal import Decimal
from fractions import Fraction

import moneyed
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.payments.cards import has_card_number
from shared.payments.currencies import DECIMALS
from shared.payments.money import parse_amount, parse_currency, to_major, to_minor

LIMIT = 10**15

currencies = st.sampled_from(sorted(DECIMALS))
minor_units = st.integers(1, LIMIT - 1)
digits = st.text("0123456789", max_size=20)


@st.composite
def plain_decimals(draw: st.DrawFn) -> str:
    sign = draw(st.sampled_from(["", "", "", "-"]))
    whole = draw(st.integers(0, 10**17))
    part = draw(digits)
    return f"{sign}{whole}" + (f".{part}" if part else "")


def sub_unit(currency: str) -> int:
    """Return how many minor units make one of the currency, by py-moneyed where it knows it."""
    known = moneyed.CURRENCIES.get(currency)
    return known.sub_unit if known else 10 ** DECIMALS[currency]


def minor_or_none(value: object, currency: str) -> int | None:
    try:
        return to_minor(parse_amount(value), currency, DECIMALS[currency])
    except ValueError:
        return None


def expected(text: str, currency: str) -> int | None:
    """Return the rule itself, in exact fractions: a whole number of minor units in the range."""
    exact = Fraction(text) * sub_unit(currency)
    return exact.numerator if exact.denominator == 1 and 0 < exact < LIMIT else None


@given(plain_decimals(), currencies)
@example("9999999999999.99", "USD")
@example("10000000000000", "USD")
@example("9999999999999.990000", "USD")
@example("0.005", "USD")
@example(f"1.{'0' * 40}1", "USD")  # more digits than Decimal's default context keeps
@example("0.29", "USD")  # 0.29 * 100 is 28.999999999999996 in binary
def test_an_amount_is_taken_exactly_or_refused(text: str, currency: str) -> None:
    assert minor_or_none(text, currency) == expected(text, currency)
    assert minor_or_none(Decimal(text), currency) == expected(text, currency)


@given(st.integers(0, 10**17), st.integers(-25, 25), currencies)
@example(1, 400, "USD")
@example(10**400, -400, "USD")
def test_a_number_with_an_exponent_is_taken_exactly_or_refused(
    whole: int, exponent: int, currency: str
) -> None:
    text = f"{whole}e{exponent}"

    assert minor_or_none(Decimal(text), currency) == expected(text, currency)
    assert minor_or_none(text, currency) is None


@given(minor_units, currencies, st.integers(0, 30))
def test_an_amount_that_is_shown_reads_back_however_it_is_written(
    minor: int, currency: str, zeros: int
) -> None:
    shown = to_major(minor, DECIMALS[currency])
    longer = f"{shown if '.' in shown else shown + '.'}{'0' * zeros}".rstrip(".")
    scientific = f"{Decimal(shown):e}"

    assert Fraction(shown) * sub_unit(currency) == minor
    for value in (shown, longer, Decimal(shown), Decimal(longer), Decimal(scientific)):
        assert minor_or_none(value, currency) == minor


@given(minor_units, currencies)
def test_a_client_that_reads_binary_floats_reads_the_amount_exactly(
    minor: int, currency: str
) -> None:
    shown = to_major(minor, DECIMALS[currency])

    assert Decimal(repr(json.loads(shown))) == Decimal(shown)
    assert round(json.loads(shown) * sub_unit(currency)) == minor


@given(st.sampled_from(["4222222222222", "378282246310005", "4242424242424242"]), st.data())
def test_a_card_number_written_as_an_amount_is_not_repeated(
    number: str, data: st.DataObject
) -> None:
    point = data.draw(st.integers(0, len(number) - 3))
    for text in (f"{number[:point]}.{number[point:]}", f"{number}.00005", f"0.00{number}000"):
        with pytest.raises(ValueError, match="USD") as refusal:
            to_minor(Decimal(text), "USD", 2)
        assert not has_card_number(str(refusal.value))
        assert number not in str(refusal.value).replace(".", "")


@pytest.mark.parametrize(
    "exponent", [-1_999_999_999_999_999_997, -(10**18), -(10**18) + 1, -(10**6)]
)
def test_the_smallest_numbers_are_refused_and_not_taken_for_zero(exponent: int) -> None:
    for currency in ("JPY", "USD"):
        with pytest.raises(ValueError, match=rf"decimals, this amount has {-exponent}$"):
            to_minor(Decimal(f"1e{exponent}"), currency, DECIMALS[currency])


@pytest.mark.parametrize("currency", sorted(DECIMALS))
def test_every_currency_reaches_from_one_minor_unit_to_the_limit(currency: str) -> None:
    for minor in (1, LIMIT - 1):
        assert minor_or_none(to_major(minor, DECIMALS[currency]), currency) == minor
    for minor in (0, -1, LIMIT):
        text = str(Decimal(minor).scaleb(-DECIMALS[currency]))
        assert minor_or_none(text, currency) is None
        assert minor_or_none(Decimal(text), currency) is None
    half = Decimal(5).scaleb(-DECIMALS[currency] - 1)
    assert minor_or_none(half, currency) is None


@given(st.text(max_size=5))
@example("ſek")  # upper() makes SEK of it
@example("uſd")
def test_a_currency_is_three_ascii_letters_of_the_list_or_refused(text: str) -> None:
    try:
        currency = parse_currency(text)
    except ValueError:
        assert text.upper() not in DECIMALS or not text.isascii()
    else:
        assert currency in DECIMALS
        assert text in {currency, currency.lower()} or text.upper() == currency


@given(st.text("0123456789eE.+-_ ,\n٣", max_size=12))
def test_a_string_is_a_plain_decimal_or_refused(text: str) -> None:
    whole, point, part = text.removeprefix("-").partition(".")
    is_plain = (
        set(whole + part) <= set("0123456789")
        and whole != ""
        and bool(part) == bool(point)
        and (whole == "0" or not whole.startswith("0"))
    )

    assert minor_or_none(text, "USD") == (expected(text, "USD") if is_plain else None)
