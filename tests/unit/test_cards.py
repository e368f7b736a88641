"""Card numbers, against the networks' published test numbers and a plain Luhn check."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cards import NETWORKS, has_card_number

# The numbers that payment networks and gateways publish for testing.
TEST_NUMBERS = """
4111111111111111 4012888888881881 4222222222222 4242424242424242 4000056655665556 5555555555554444
2223003122003222 5200828282828210 5105105105105100 378282246310005 371449635398431 6011111111111117
6011000990139424 3056930009020004 36227206271667 30569309025904
38520000023237 3566002020360505 6200000000000005 6759649826438453
""".split()  # noqa: SIM905 - a list of numbers

# What each network's numbers look like, in the words that the networks and gateways use.
NETWORK_PATTERNS = {
    "American Express": r"3[47]\d{13}",
    "Diners Club": r"3(0[0-5]\d|095|[689]\d\d)\d{10,15}",
    "Discover, RuPay": r"(60\d\d|64[4-9]\d|65\d\d)\d{12,15}",
    "JCB": r"35(2[89]|[3-8]\d)\d{12,15}",
    "Maestro": r"(5018|5020|5038|6304|6759|676[123])\d{8,15}",
    "Mastercard": r"(5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}",
    "Mir": r"220[0-4]\d{12,15}",
    "RuPay": r"(508\d|8[12]\d\d)\d{12}",
    "UnionPay": r"62\d{14,17}",
    "Visa": r"4\d{12}(\d{3}){0,2}",
}


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
        " ".join(number),
        f"2026 {number}",
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
    issued = re.compile("|".join(NETWORK_PATTERNS.values()))
    for beginning in range(10_000):
        digits = f"{beginning:04}{'1':0>{length - 5}}"
        number = f"{digits}{-luhn_sum(digits + '0') % 10}"
        spaced = f"{number[:8]} {number[8:]}"  # twenty digits in one are an identifier
        assert has_card_number(spaced) == bool(issued.fullmatch(number)), number


# The first three hold a card number's digits, as one in 2,700 does.
@pytest.mark.parametrize(
    "identifier",
    [
        "60896417-6283-4738-913b-b37ec7d3cef9",
        "076618b6-e9e6-4113-9984-53911a983340",
        "89F8E99A-5EB0-4759-9303-69514B0E30FC",
        "2a087ff7-8f1c-4e0d-913b-b37ec7d3cef4",
        "abcd4242424242424242",  # longer than any card number
        "4242424242424242ABCD",
    ],
)
def test_the_digits_of_an_identifier_are_no_card_number(identifier: str) -> None:
    for text in (
        identifier,
        f"2026 {identifier}",
        f"4242 4242 - {identifier} - 4242 4242",
        f"4242 4242 4242 424 {identifier}",
        f"{identifier} 242 4242 4242 4242",
    ):
        assert not has_card_number(text), text
    assert has_card_number(f"{identifier} 4242 4242 4242 4242")


@given(st.uuids() | st.uuids(version=4))
def test_no_uuid_is_a_card_number(value: object) -> None:
    assert not has_card_number(f"{value}")


@pytest.mark.parametrize("text", ["abc4242424242424242", "card-4242424242424242-0a"])
def test_a_letter_beside_it_hides_no_card_number(text: str) -> None:
    assert has_card_number(text)
