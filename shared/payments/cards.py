"""Find card numbers in free text, so that they can be refused.

A service that stores card numbers is in the scope of PCI DSS; this one stays out of it. Digits are
a card number if a network issues numbers of that beginning and length (ISO/IEC 7812-1), if the
check digit is right, and if they are together or grouped as people group them. A number that is
part of a word is an identifier, and none of a date, a UUID, an IBAN or a SIRET is refused: a client
whose order has such a number in its text could never pay for it.

Nothing is compiled until a text has enough digits for a card number, which few texts have.
"""

import re
from bisect import bisect
from operator import itemgetter

_SHORTEST = 14
"""Visa's old numbers of 13 digits are left out: 13 digits are far more often a barcode (EAN-13)."""

# First four digits, from and to, and lengths. By Mastercard's rules, 50, 56 to 58 and 6 are
# Maestro's; Discover, UnionPay, RuPay and domestic networks (Bancontact, Dankort, Elo, Hipercard,
# Verve) have numbers in between.
_NETWORKS = (
    ("2200", "2205", range(16, 20)),  # Mir, Borica
    ("2221", "2720", (16,)),  # Mastercard
    ("3000", "3059", (14, 16)),  # Diners Club
    ("3088", "3094", (16,)),  # JCB
    ("3095", "3095", (14, 16)),  # Diners Club
    ("3096", "3102", (16,)),  # JCB
    ("3112", "3120", (16,)),
    ("3158", "3159", (16,)),
    ("3337", "3349", (16,)),
    ("3400", "3499", (15,)),  # American Express
    ("3528", "3589", range(16, 20)),  # JCB
    ("3600", "3699", (14, 16)),  # Diners Club
    ("3700", "3799", (15,)),  # American Express
    ("3800", "3999", (14, 16)),  # Diners Club
    ("4000", "4999", (16, 19)),  # Visa
    ("5000", "5099", range(16, 20)),  # Maestro
    ("5100", "5599", (16,)),  # Mastercard
    ("5600", "5899", range(16, 20)),  # Maestro
    ("6000", "6999", range(16, 20)),
    ("8100", "8299", range(16, 20)),  # UnionPay, RuPay
    ("8600", "8600", (16,)),  # Uzcard
    ("9704", "9704", (16, 19)),  # Napas
    ("9792", "9792", (16,)),  # Troy
    ("9860", "9860", (16,)),  # Humo
)

# Length of each country's IBAN: SWIFT's IBAN registry, release 101.
_IBANS = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_LENGTHS = {country: length for length, names in _IBANS.items() for country in names.split()}

# Soft hyphens, zero-width characters and marks of direction: between digits, nobody sees them.
_INVISIBLE = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+"
_NEXT_IN_A_LIST, _END_OF_NUMBER = r"[,;]\s", " x "
_SEPARATORS = r"[\W_]+"
_DIGIT_BY_DIGIT = r"(?<!\d)\d(?: \d){13,}(?!\d)"
# In fours, or as American Express and Diners Club (4-6-5, 4-6-4) and UnionPay (6-13) do, or
# together. Two patterns, since four groups may be a number as well as five.
_WRITTEN = [
    rf"(?<![0-9A-Za-z])(?=({ways})(?![0-9A-Za-z]))"
    for ways in (
        r"\d{4} \d{4} \d{4} \d{2,4}|\d{4} \d{6} \d{4,5}|\d{6} \d{13}|\d{14,19}",
        r"\d{4} \d{4} \d{4} \d{4} \d{1,3}",
    )
]
_IBAN_BEGINNING = rf"(?i)\b({'|'.join(_IBAN_LENGTHS)})\d\d"
_LONGEST_IBAN = 41  # 33 characters, and 8 blanks between fours
_DOUBLED = str.maketrans("0123456789", "0246813579")  # and the digits of the double added


def has_card_number(text: str) -> bool:
    """Whether a card number stands in the text, its digits together or in groups."""
    if sum(map(str.isdecimal, text)) < _SHORTEST:
        return False
    spellings = {text}
    if not text.isascii():  # ٤ is a 4 as well
        digits = {ord(digit): str(int(digit)) for digit in set(text) if digit.isdecimal()}
        text = text.translate(digits)
        spellings = {text, re.sub(_INVISIBLE, "", text)}
    return any(map(_has_card_number, set(map(_in_groups, spellings))))


def refuse_card_number(text: str) -> str:
    """Return the text.

    Raises:
        ValueError: a card number stands in it.
    """
    if has_card_number(text):
        raise ValueError("holds what looks like a card number; this service must not store one")
    return text


def _in_groups(text: str) -> str:
    """Return the text with one blank for all that separates groups of digits."""
    text = re.sub(_SEPARATORS, " ", re.sub(_NEXT_IN_A_LIST, _END_OF_NUMBER, text))
    return re.sub(_DIGIT_BY_DIGIT, lambda match: match[0].replace(" ", ""), text)


def _has_card_number(text: str) -> bool:
    return any(
        _is_card_number(found[1]) and not _is_in_iban(text, found.start())
        for way in _WRITTEN
        for found in re.finditer(way, text)
    )


def _is_card_number(written: str) -> bool:
    number = written.replace(" ", "")
    return _is_issued(number) and _has_check_digit(number) and not _is_siret(written)


def _is_issued(number: str) -> bool:
    beginning = number[:4]
    first, last, lengths = _NETWORKS[bisect(_NETWORKS, beginning, key=itemgetter(0)) - 1]
    return first <= beginning <= last and len(number) in lengths


def _has_check_digit(number: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    digits = number[::-2] + number[-2::-2].translate(_DOUBLED)
    return (sum(digits.encode()) - len(digits) * ord("0")) % 10 == 0


def _is_siret(written: str) -> bool:
    """Whether it may be the number of a business in France.

    Nine digits with a check digit of their own, the number of the establishment (from 0001 on) and
    a check digit; never grouped as a card's 14 digits are.
    """
    return len(written) == 14 and _has_check_digit(written[:9]) and written[9:13] != "0000"


def _is_in_iban(text: str, position: int) -> bool:
    """Whether the position is in an IBAN with right check digits, printed in fours or otherwise."""
    near = max(0, position - _LONGEST_IBAN)
    for beginning in re.compile(_IBAN_BEGINNING).finditer(text, near, position):
        length = _IBAN_LENGTHS[beginning[1].upper()]
        iban = re.compile(rf"(?:[0-9A-Za-z] ?){{{length}}}\b").match(text, beginning.start())
        if iban and iban.end() > position and _has_iban_check_digits(iban[0].replace(" ", "")):
            return True
    return False


def _has_iban_check_digits(iban: str) -> bool:
    """Whether the check digits are right (ISO 13616-1: modulo 97, letters from A as 10)."""
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97 == 1
