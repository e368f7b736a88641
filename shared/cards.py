"""Card numbers in free text: found, so that they can be refused.

Who stores a card number is in PCI DSS scope; this service stays out of it. A run of digits is taken
for a card number when a network issues numbers of that beginning and length (ISO/IEC 7812) and the
check digit is right, so that an order number is not.
"""

import re
from collections.abc import Iterator

# The lengths of a network's numbers, and the ranges that they begin with.
NETWORKS: dict[str, tuple[range, list[tuple[str, str]]]] = {
    "American Express": (range(15, 16), [("34", "34"), ("37", "37")]),
    "Diners Club": (range(14, 20), [("300", "305"), ("3095", "3095"), ("36", "36"), ("38", "39")]),
    "Discover": (range(16, 20), [("6011", "6011"), ("644", "649"), ("65", "65")]),
    "JCB": (range(16, 20), [("3528", "3589")]),
    "Maestro": (
        range(12, 20),
        [
            ("5018", "5018"),
            ("5020", "5020"),
            ("5038", "5038"),
            ("6304", "6304"),
            ("6759", "6759"),
            ("6761", "6763"),
        ],
    ),
    "Mastercard": (range(16, 17), [("51", "55"), ("2221", "2720")]),
    "Mir": (range(16, 20), [("2200", "2204")]),
    "RuPay": (range(16, 17), [("60", "60"), ("81", "82"), ("508", "508")]),
    "UnionPay": (range(16, 20), [("62", "62")]),
    "Visa": (range(13, 20, 3), [("4", "4")]),
}

_SEPARATOR = r"[ \u00a0\u2010-\u2015-]"
_DIGIT_GROUPS = re.compile(rf"\d+(?:{_SEPARATOR}+\d+)*")


def has_card_number(text: str) -> bool:
    """Whether a card number stands in the text, its digits together or in groups."""
    return any(_is_card_number(number) for number in _numbers(text))


def _numbers(text: str) -> Iterator[str]:
    """Yield every number that neighbouring groups of digits make together, up to 19 digits."""
    for run in _DIGIT_GROUPS.finditer(text):
        groups = re.split(f"{_SEPARATOR}+", run.group())
        for start in range(len(groups)):
            number = ""
            for group in groups[start:]:
                number += "".join(str(int(digit)) for digit in group)  # ٤ is a 4 as well
                if len(number) > 19:
                    break
                yield number


def _is_card_number(number: str) -> bool:
    return _luhn_holds(number) and any(
        len(number) in lengths
        and any(first <= number[: len(first)] <= last for first, last in beginnings)
        for lengths, beginnings in NETWORKS.values()
    )


def _luhn_holds(number: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right is doubled."""
    digits = [int(digit) for digit in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0
