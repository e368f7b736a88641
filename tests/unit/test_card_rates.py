"""How many harmless numbers are refused as card numbers.

`TRIES=20000 pytest -q -s tests/unit/test_card_rates.py` prints the rates of docs/threat-model.md.
"""

import os
import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv6Address
from itertools import product
from string import ascii_uppercase
from uuid import UUID

import pytest
from stdnum import ean, iban, luhn, numdb

from shared.payments.cards import has_card_number

TRIES = int(os.environ.get("TRIES", "1000"))  # of each kind
RANDOM = random.Random(4217)


def filled(*templates: str) -> str:
    """Return one of the templates with random digits for its # and random letters for its @."""
    return re.sub("[#@]", character, RANDOM.choice(templates))


def character(place: re.Match[str]) -> str:
    return RANDOM.choice("0123456789" if place[0] == "#" else ascii_uppercase)


def countries() -> dict[str, str]:
    """Return the template of each country's bank accounts, from SWIFT's registry of IBANs."""
    registry = numdb.get("iban")
    found = {}
    for country in map("".join, product(ascii_uppercase, repeat=2)):
        structure = registry.info(f"{country}00")[0][1].get("bban", "")
        parts = re.findall(r"(\d+)!([nac])", structure)
        if parts:
            found[country] = "".join(int(n) * ("@" if kind == "a" else "#") for n, kind in parts)
    return found


COUNTRIES = countries()
WORDS = ["am", "EUR", "for", "INVOICE", "Miete", "OK", "paid", "Q3", "RENT", "4711", "2026"]


def an_iban() -> str:
    country = RANDOM.choice([*COUNTRIES])
    account = filled(COUNTRIES[country])
    return iban.format(f"{country}{iban.calc_check_digits(f'{country}00{account}')}{account}")


def among_words(text: str) -> str:
    return f"{RANDOM.choice(WORDS)} {text} {RANDOM.choice(WORDS)}"


def with_check_digit(digits: str) -> str:
    return digits + luhn.calc_check_digit(digits)


def a_siret() -> str:
    business = with_check_digit(filled("########"))
    return with_check_digit(f"{business}{RANDOM.randrange(1, 10_000):04}")


def an_ean() -> str:
    digits = filled("############")
    return digits + ean.calc_check_digit(digits)


def a_time() -> datetime:
    return datetime(2020, 1, 1) + timedelta(seconds=RANDOM.randrange(300_000_000))


PHONES = ["+49 1511 #######", "(###) ###-####", "+1-###-###-####", "+33 # ## ## ## ##"]
PHONES += ["+44 20 #### ####", "+55 11 9####-####", "+86 138 #### ####", "+4915#########"]

# A kind, one of it, and the most of 10,000 that may be refused.
KINDS: list[tuple[str, Callable[[], str], int]] = [
    ("IBAN", an_iban, 0),
    ("IBAN, in lower case", lambda: an_iban().lower(), 0),
    ("IBAN, among words", lambda: among_words(an_iban()), 0),
    ("IBAN, among words, in lower case", lambda: among_words(an_iban()).lower(), 0),
    ("IBAN, together", lambda: an_iban().replace(" ", ""), 0),
    ("two IBANs", lambda: f"{an_iban()} {an_iban()}", 0),
    ("SIRET", a_siret, 0),
    ("SIRET, in groups", lambda: re.sub("(...)(...)(...)", r"\1 \2 \3 ", a_siret()), 0),
    ("barcode (EAN-13)", an_ean, 0),
    ("book (ISBN)", lambda: re.sub("(...)(.)(..)(.{6})", r"\1-\2-\3-\4-", an_ean()), 0),
    ("UUID", lambda: str(UUID(int=RANDOM.getrandbits(128), version=4)), 0),
    ("phone", lambda: filled(*PHONES), 0),
    ("two phones", lambda: f"{filled(*PHONES)} / {filled(*PHONES)}", 0),
    ("three dates", lambda: " ".join(f"{a_time():%Y-%m-%d}" for _ in range(3)), 0),
    ("two dates, German", lambda: f"{a_time():%d.%m.%Y %H:%M} - {a_time():%d.%m.%Y %H:%M}", 0),
    ("time, ISO 8601", lambda: f"{a_time().isoformat(timespec='microseconds')}Z", 0),
    ("time, without separators", lambda: f"{a_time():%Y%m%d%H%M%S%f}", 0),
    ("order (Amazon)", lambda: filled("###-#######-#######"), 0),
    ("order (Shopify)", lambda: filled("gid://shopify/Order/4############"), 0),
    ("order and date", lambda: f"PO {filled('##########')} {a_time():%Y-%m-%d}", 0),
    ("purchase (Google Play)", lambda: filled("GPA.####-####-####-#####"), 0),
    ("parcel (UPS)", lambda: filled("1Z@@@@##########", "1Z################"), 0),
    ("device (IMEI)", lambda: with_check_digit(filled("35############")), 0),
    ("citizen (South Africa)", lambda: with_check_digit(filled("############")), 0),
    ("network address (IPv6)", lambda: IPv6Address(RANDOM.getrandbits(128)).exploded, 10),
    ("place", lambda: f"{RANDOM.uniform(-90, 90):.6f},{RANDOM.uniform(-180, 180):.6f}", 0),
    ("four articles in a list", lambda: ", ".join(filled("####") for _ in range(4)), 0),
    ("sixteen grades in a list", lambda: ", ".join(RANDOM.choices("123456", k=16)), 0),
    # These may be a card number: the form does not tell.
    ("parcel (USPS), in fours", lambda: filled("94## #### #### #### #### ##"), 650),
    ("14 digits", lambda: filled("#" * 14), 50),
    ("15 digits", lambda: filled("#" * 15), 50),
    ("16 digits", lambda: filled("#" * 16), 450),
    ("19 digits", lambda: filled("#" * 19), 300),
]


@pytest.mark.parametrize(("kind", "one", "most"), KINDS, ids=[kind for kind, _, _ in KINDS])
def test_harmless_numbers_are_taken(kind: str, one: Callable[[], str], most: int) -> None:
    RANDOM.seed(kind)
    refused = sum(has_card_number(one()) for _ in range(TRIES))

    print(f"\n{kind}: {refused / TRIES:.2%}", end="")  # noqa: T201 - for the docs
    assert refused <= TRIES * most / 10_000
