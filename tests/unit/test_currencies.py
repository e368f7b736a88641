"""Our copy of ISO 4217 against two libraries that keep their own."""

import moneyed
import pycountry
import pytest

from shared.payments.currencies import CODES_BY_DECIMALS, DECIMALS

# Currencies that py-moneyed 3.0 does not know yet.
NOT_IN_MONEYED = {"XAD", "XCG", "ZWG"}

# The codes of list one whose minor unit is "N.A.": metals, units of account, none, testing.
WITHOUT_MINOR_UNITS = set(
    "XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX".split()  # noqa: SIM905 - a list of codes
)


def test_the_codes_are_those_of_an_independent_list() -> None:
    codes = {currency.alpha_3 for currency in pycountry.currencies}

    assert set(DECIMALS) == codes - WITHOUT_MINOR_UNITS
    assert codes >= WITHOUT_MINOR_UNITS


@pytest.mark.parametrize("code", sorted(set(DECIMALS) - NOT_IN_MONEYED))
def test_the_decimals_are_those_of_an_independent_list(code: str) -> None:
    assert moneyed.CURRENCIES[code].sub_unit == 10 ** DECIMALS[code]


def test_the_exceptions_are_still_needed() -> None:
    assert NOT_IN_MONEYED.isdisjoint(moneyed.CURRENCIES)


def test_no_code_is_listed_twice() -> None:
    listed = " ".join(CODES_BY_DECIMALS.values()).split()

    assert len(listed) == len(set(listed)) == len(DECIMALS)
