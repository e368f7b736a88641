"""Card numbers, against the networks' published test numbers and a plain Luhn check."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payments.cards import has_card_number

# The numbers that payment networks and gateways publish for testing.
TEST_NUMBERS = """
4111111111111111 4012888888881881 4242424242424242 4000056655665556 5555555555554444
2223003122003222 5200828282828210 5105105105105100 378282246310005 371449635398431 6011111111111117
6011000990139424 3056930009020004 36227206271667 30569309025904
38520000023237 3566002020360505 6200000000000005 6759649826438453 6771798021000008
5019717010103742 6304000000000000
""".split()  # noqa: SIM905 - a list of numbers

# What a network's numbers begin with, from the first to the last four digits, and their lengths.
NETWORKS = [
    ("2200", "2204", range(16, 20)),  # Mir
    ("2221", "2720", [16]),  # Mastercard
    ("3000", "3059", [14, 16]),  # Diners Club
    ("3095", "3095", [14, 16]),
    ("3400", "3499", [15]),  # American Express
    ("3528", "3589", range(16, 20)),  # JCB
    ("3600", "3699", [14, 16]),  # Diners Club
    ("3700", "3799", [15]),  # American Express
    ("3800", "3999", [14, 16]),  # Diners Club
    ("4000", "4999", [16, 19]),  # Visa
    ("5018", "5020", range(16, 20)),  # Maestro, Dankort
    ("5038", "5038", range(16, 20)),  # Maestro
    ("5080", "5089", [16]),  # RuPay
    ("5100", "5599", [16]),  # Mastercard
    ("5893", "5893", range(16, 20)),  # Maestro
    ("6000", "6099", range(16, 20)),  # Discover, RuPay
    ("6200", "6299", range(16, 20)),  # UnionPay
    ("6304", "6304", range(16, 20)),  # Maestro
    ("6440", "6599", range(16, 20)),  # Discover, RuPay
    ("6759", "6759", range(16, 20)),  # Maestro
    ("6761", "6763", range(16, 20)),
    ("6771", "6771", range(16, 20)),
    ("8100", "8299", [16]),  # RuPay
]


def luhn_sum(number: str) -> int:
    total = 0
    for position, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total


@pytest.mark.parametrize("number", TEST_NUMBERS)
def test_a_published_test_number_is_found(number: str) -> None:
    in_fours = [number[start : start + 4] for start in range(0, len(number), 4)]
    for text in (
        number,
        f"n°{number}!",
        " ".join(in_fours),
        "-".join(in_fours),
        " - ".join(in_fours),
        "\u202f".join(in_fours),
        "\t".join(number),
        f"2026 {number}",
        f"2026 {' '.join(in_fours)}",
        f"{number} 12/29 123",
    ):
        assert has_card_number(text), text


@pytest.mark.parametrize("number", TEST_NUMBERS)
def test_a_wrong_check_digit_or_length_is_no_card_number(number: str) -> None:
    last = int(number[-1])
    for text in (number[:-1] + str((last + 1) % 10), f"9{number}0", f"1{number}"):
        assert not has_card_number(text), text


def test_the_check_digit_is_luhns() -> None:
    rng = random.Random(4217)
    for first, last, lengths in NETWORKS:
        for length in lengths:
            for _ in range(20):
                beginning = str(rng.randint(int(first), int(last)))
                number = beginning + "".join(rng.choices("0123456789", k=length - 4))
                assert has_card_number(number) == (luhn_sum(number) % 10 == 0), number


@pytest.mark.parametrize("length", range(11, 22))
def test_each_network_s_beginnings_and_lengths_are_known(length: int) -> None:
    for beginning in range(10_000):
        # Nine digits with a check digit of their own would make a SIRET of fourteen.
        filling = "1" if luhn_sum(f"{beginning:04}11111") % 10 else "2"
        digits = f"{beginning:04}{filling * (length - 5)}"
        number = f"{digits}{-luhn_sum(digits + '0') % 10}"
        is_issued = any(
            first <= number[:4] <= last and length in lengths for first, last, lengths in NETWORKS
        )
        assert has_card_number(number) == is_issued, number


@pytest.mark.parametrize(
    "text",
    [
        "3782 822463 1000?",
        "3056 930902 590?",
        "3056 9309 0259 0?",
        "6200 0000 0000 000?",
        "6200 0000 0000 0000 ?",
        "6200 0000 0000 0000 0?",
        "6200 0000 0000 0000 00?",
        "620000 000000000000?",
        "paid 4242-4242-4242-424? 12 / 29",
        "5555-5555-5555-444?-123",
    ],
)
def test_the_ways_to_write_a_number_are_known(text: str) -> None:
    found = [has_card_number(text.replace("?", str(check))) for check in range(10)]

    assert found.count(True) == 1


# Each of them holds digits of a network's beginning with a right check digit, were they joined.
EVERYDAY = {
    "barcodes (EAN-13)": ["4901234567894", "4005401105015"],
    "mobile phones": ["+4915778274170", "+49 1511 2345678"],
    "IBANs": [
        "DE75 5121 0800 1245 1261 99",
        "FR22 3000 4571 9730 6223 5163 929",
        "CZ65 0800 0000 1920 0014 5399",
        "CH73 4242 4242 4242 4242 7",
        "GB65LOYD30522290198701",
        "DK2250004004401166",
    ],
    "businesses (SIRET)": ["38012986646850"],
    "citizens (South Africa)": ["4001015009087"],
    "orders (Amazon)": ["304-7405067-7548447", "304-8034169-4599691"],
    "orders (Shopify)": ["gid://shopify/Order/4749030036733"],
    "parcels (UPS)": ["1Z3580957679551294", "1z3580957679551294"],
    "devices (IMEI)": ["357136199819575 128 GB"],
    "dates": ["2026-09-25 2026-12-05 2026-04-02", "PO 4528724784 2026-08-30"],
    "phone and date": ["644-557-4063 2026-12-22"],
    "UUIDs": [
        "60896417-6283-4738-913b-b37ec7d3cef9",
        "076618b6-e9e6-4113-9984-53911a983340",
        "89F8E99A-5EB0-4759-9303-69514B0E30FC",
        "abcd4242-4242-4242-8003-b37ec7d3cef9",
        "12344242-4242-4242-4242-a37ec7d3cef9",
    ],
    "words": ["abcd4242424242424242", "4242424242424242ABCD", "INV4242424242424242"],
    "purchases (Google Play)": ["GPA.6200-0000-0000-00018"],
    "other groups": ["5555 555555 554444", "424242 4242424242", "42424242 42424242"],
}


@pytest.mark.parametrize("kind", EVERYDAY)
def test_the_digits_of_something_else_are_no_card_number(kind: str) -> None:
    for text in EVERYDAY[kind]:
        for around in (text, f"({text})", f"no. {text}, thanks"):
            assert not has_card_number(around), around
        assert has_card_number(f"{text} / 4242 4242 4242 4242")


def test_digits_on_both_sides_of_an_iban_are_apart() -> None:
    assert not has_card_number("4242 4242 - DE75 5121 0800 1245 1261 99 - 4242 4242")


@pytest.mark.parametrize("text", ["DE76 5121 0800 1245 1261 99", "AB12 4242 4242 4242 4242"])
def test_an_iban_has_right_check_digits(text: str) -> None:
    assert has_card_number(text)


@given(st.uuids() | st.uuids(version=4))
def test_no_uuid_is_a_card_number(value: object) -> None:
    assert not has_card_number(f"{value}")
