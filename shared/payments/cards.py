"""Card numbers in free text: found, so that they can be refused.

Who stores a card number is in PCI DSS scope; this service stays out of it. Digits are taken for a
card number when a network issues numbers of that beginning and length (ISO/IEC 7812), the check
digit is right, and they are written as people write one. An order number is none, nor is a date, a
UUID, an IBAN or a SIRET: whose order bears one would be refused however often they tried.
"""

import re

# What each network's numbers look like. Lengths of old are left out: 13 digits (Visa) are far more
# often a barcode (EAN-13).
_ISSUED = "|".join(
    (
        r"3[47]\d{13}",  # American Express
        r"3(?:0[0-5]\d|095|[689]\d\d)\d{10}(?:\d\d)?",  # Diners Club
        r"(?:60\d\d|64[4-9]\d|65\d\d)\d{12,15}",  # Discover, RuPay
        r"35(?:2[89]|[3-8]\d)\d{12,15}",  # JCB
        r"(?:5018|5019|5020|5038|5893|6304|6759|676[123]|6771)\d{12,15}",  # Maestro, Dankort
        r"(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}",  # Mastercard
        r"220[0-4]\d{12,15}",  # Mir
        r"(?:508\d|8[12]\d\d)\d{12}",  # RuPay
        r"62\d{14,17}",  # UnionPay
        r"4\d{15}(?:\d{3})?",  # Visa
    )
)
# In fours, as American Express, Diners Club (4-6-5, 4-6-4) and UnionPay (6-13) do, or together; not
# within a word: that is an identifier. Two patterns, since four groups may be one as well as five.
_WRITTEN = [
    rf"(?<![0-9A-Za-z])(?=({ways})(?![0-9A-Za-z]))"
    for ways in (
        r"\d{4} \d{4} \d{4} \d{2,4}|\d{4} \d{6} \d{4,5}|\d{6} \d{13}|\d+",
        r"\d{4} \d{4} \d{4} \d{4} \d{1,3}",
    )
]
_SEPARATORS = r"[\s\u2010-\u2015\u2212-]+"
_DIGIT_BY_DIGIT = r"(?<!\d)\d(?: \d)+(?!\d)"
_IBAN = r"\b[A-Z]{2}\d\d(?: [0-9A-Z]{4})+(?: [0-9A-Z]{1,3})?\b"  # as it is printed
_DOUBLED = str.maketrans("0123456789", "0246813579")  # and the digits of the double added


def has_card_number(text: str) -> bool:
    """Whether a card number stands in the text, its digits together or in groups.

    The patterns are compiled at their first use, which few reads have.
    """
    if not text.isascii():  # ٤ is a 4 as well
        text = re.sub(r"\d+", lambda run: "".join(map(str, map(int, run[0]))), text)
    text = re.sub(_SEPARATORS, " ", text)
    text = re.sub(_IBAN, lambda match: "x" if _is_iban(match[0]) else match[0], text)
    text = re.sub(_DIGIT_BY_DIGIT, lambda match: match[0].replace(" ", ""), text)
    return any(
        _is_card_number(number.replace(" ", ""))
        for way in _WRITTEN
        for number in re.findall(way, text)
    )


def refuse_card_number(text: str) -> str:
    """Return the text.

    Raises:
        ValueError: a card number stands in it.
    """
    if has_card_number(text):
        raise ValueError("holds what looks like a card number; this service must not store one")
    return text


def _is_card_number(number: str) -> bool:
    return bool(
        re.fullmatch(_ISSUED, number) and _has_check_digit(number) and not _is_siret(number)
    )


def _has_check_digit(number: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    digits = number[::-2] + number[-2::-2].translate(_DOUBLED)
    return (sum(digits.encode()) - len(digits) * ord("0")) % 10 == 0


def _is_siret(number: str) -> bool:
    """Whether it may be a business in France, whose first nine digits have a check digit, too."""
    return len(number) == 14 and _has_check_digit(number[:9])


def _is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 13616-1: modulo 97, letters from A as 10)."""
    word = text.replace(" ", "")
    return int("".join(str(int(letter, 36)) for letter in word[4:] + word[:4])) % 97 == 1
