"""Card numbers in free text: found, so that they can be refused.

Who stores a card number is in PCI DSS scope; this service stays out of it. Digits are taken for a
card number when a network issues numbers of that beginning and length (ISO/IEC 7812) and the check
digit is right, so that an order number is not. Of random UUIDs, one in 2,700 holds such digits, so
the digits of UUIDs, and of hexadecimal words longer than any card number, are left out.
"""

import re
from collections.abc import Iterable
from itertools import accumulate

# What a network's numbers begin with, from the first to the last four digits, and their lengths.
NETWORKS: tuple[tuple[str, str, Iterable[int]], ...] = (
    ("2200", "2204", range(16, 20)),  # Mir
    ("2221", "2720", range(16, 17)),  # Mastercard
    ("3000", "3059", range(14, 20)),  # Diners Club
    ("3095", "3095", range(14, 20)),
    ("3400", "3499", range(15, 16)),  # American Express
    ("3528", "3589", range(16, 20)),  # JCB
    ("3600", "3699", range(14, 20)),  # Diners Club
    ("3700", "3799", range(15, 16)),  # American Express
    ("3800", "3999", range(14, 20)),  # Diners Club
    ("4000", "4999", (13, 16, 19)),  # Visa
    ("5018", "5018", range(12, 20)),  # Maestro
    ("5020", "5020", range(12, 20)),
    ("5038", "5038", range(12, 20)),
    ("5080", "5089", range(16, 17)),  # RuPay
    ("5100", "5599", range(16, 17)),  # Mastercard
    ("6000", "6099", range(16, 20)),  # Discover, RuPay
    ("6200", "6299", range(16, 20)),  # UnionPay
    ("6304", "6304", range(12, 20)),  # Maestro
    ("6440", "6599", range(16, 20)),  # Discover, RuPay
    ("6759", "6759", range(12, 20)),  # Maestro
    ("6761", "6763", range(12, 20)),
    ("8100", "8299", range(16, 17)),  # RuPay
)

_IDENTIFIER = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{20,}", re.IGNORECASE
)
_SEPARATOR = r"[ \u00a0\u2010-\u2015-]"
_DIGIT_GROUPS = re.compile(rf"\d+(?:{_SEPARATOR}+\d+)+|\d{{12,}}")


def has_card_number(text: str) -> bool:
    """Whether a card number stands in the text, its digits together or in groups."""
    runs = _DIGIT_GROUPS.finditer(_IDENTIFIER.sub("x", text))
    return any(_holds_one(run.group()) for run in runs)


def _holds_one(run: str) -> bool:
    """Whether neighbouring groups of digits make a card number together."""
    groups = [group for group in re.split(_SEPARATOR, run) if group]
    bounds = list(accumulate(map(len, groups), initial=0))
    digits = [int(digit) for digit in "".join(groups)]  # ٤ is a 4 as well
    number = "".join(map(str, digits))
    luhn = _running_luhn_sums(digits)
    ends = set(bounds)
    return any(
        end in ends and (luhn[end % 2][end] - luhn[end % 2][start]) % 10 == 0
        for start in bounds[:-1]
        for first, last, lengths in NETWORKS
        if first <= number[start : start + 4] <= last
        for end in (start + length for length in lengths)
    )


def _running_luhn_sums(digits: list[int]) -> tuple[list[int], list[int]]:
    """Return the sums up to each digit for numbers that end at an even and at an odd position.

    ISO/IEC 7812-1, annex B: counted from a number's last digit, every second one is doubled and its
    digits added. Differences of running sums check any stretch in one step, however many there are.
    """
    even, odd = (
        list(
            accumulate(
                (
                    sum(divmod(2 * digit, 10)) if position % 2 == end else digit
                    for position, digit in enumerate(digits)
                ),
                initial=0,
            )
        )
        for end in (0, 1)
    )
    return even, odd
