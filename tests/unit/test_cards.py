"""Card numbers, against the networks' published test numbers and a plain Luhn check."""

import random

import pytest

from shared.cards import NETWORKS, has_card_number

# The numbers that payment networks and gateways publish for testing.
TEST_NUMBERS = """
4111111111111111 4012888888881881 4222222222222 4242424242424242 4000056655665556 5555555555554444
2223003122003222 5200828282828210 5105105105105100 378282246310005 371449635398431 6011111111111117
6011000990139424 3056930009020004 36227206271667 30569309025904
38520000023237 3566002020360505 6200000000000005 6759649826438453
""".split()  # noqa: SIM905 - a list of numbers


def luhn_holds(number: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


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
                assert has_card_number(number) == luhn_holds(number), number
