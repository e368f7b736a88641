"""Card numbers, against published test numbers, other people's check digits, and daily life."""

import random
import unicodedata
from itertools import product

import pytest
from stdnum import luhn
from stdnum.fr import siret

from shared.payments.cards import has_card_number

# The numbers that networks and gateways publish for testing: Adyen, Authorize.net, Braintree,
# PayPal, Stripe. Left out are Visa's of 13 digits, UATP's, and those of 15 that JCB and
# enRoute once had.
TEST_NUMBERS = """
2222400070000005 2222420000001113 2223000048400011 2223003122003222 3056930009020004 30569309025904
3088000000000017 340000000000009 3528000700000000 3530111333300000 3566002020360505 3569990010095841
36006666333344 36070500001020 36227206271667 36259600000004 370000000000002 371449635398431
378282246310005 378734493671000 38000000000006 38520000023237 4000000000000002 4000002500003155
4000056655665556 4001020000000009 4005519200000004 4012000033330026 4012888888881881
4013250000000000006 4035501000000008 4111111111111111 4166676667666746 4217651111111119
4242424242424242 4263982640269299 4360000001000005 4444333322221111 4484600000000004
4500600000000061 4646464646464644 4871049999999910 4903010000000009 4917300800000000
4977949494949497 5000550000000029 5019555544445555 5019717010103742 5066991111111118
5100290029002909 5105105105105100 5200828282828210 5425233430109903 5454545454545454
5500000000000004 5555341244441115 5555555555554444 5610591081018250 6007220000000004
6011000000000004 6011000990139424 6011111111111117 6011601160116611 6062828888666688
6200000000000005 6205500000000000004 6243030000000001 6250947000000014 6271136264806203568
6304000000000000 6304100000000008 6331101999990016 6334000000000004 6370950000000005
6445644564456445 6555900000604105 6703000000000000003 6703444444444449 6759649826438453
6771798021000008 6771830000000000006 6799990100000000019 8171999900000000021 8171999927660000
""".split()  # noqa: SIM905 - a list of numbers

# The first four digits of the numbers that are issued, by length.
ISSUED = {
    14: "3000-3059 3095-3095 3600-3699 3800-3999",
    15: "3400-3499 3700-3799",
    16: "2200-2205 2221-2720 3000-3059 3088-3102 3112-3120 3158-3159 3337-3349 3528-3589 3600-3699"
    " 3800-5899 6000-6999 8100-8299 8600-8600 9704-9704 9792-9792 9860-9860",
    17: "2200-2205 3528-3589 5000-5099 5600-5899 6000-6999 8100-8299",
    18: "2200-2205 3528-3589 5000-5099 5600-5899 6000-6999 8100-8299",
    19: "2200-2205 3528-3589 4000-5099 5600-5899 6000-6999 8100-8299 9704-9704",
}


def named(characters: str) -> str:
    return " ".join(map(unicodedata.name, characters))


def in_fours(number: str) -> list[str]:
    return [number[start : start + 4] for start in range(0, len(number), 4)]


@pytest.mark.parametrize("number", TEST_NUMBERS)
def test_a_published_test_number_is_found(number: str) -> None:
    fours = in_fours(number)
    for text in (
        number,
        f"n°{number}!",
        " ".join(fours),
        "-".join(fours),
        " - ".join(fours),
        "\u202f".join(fours),
        "\t".join(number),
        f"2026 {number}",
        f"2026 {' '.join(fours)}",
        f"{number} 12/29 123",
        f"DE75 5121 0800 1245 1261 99 {number}",
        f"{number} DE75 5121 0800 1245 1261 99",
        f"ES91 2100 0418 4502 0005 1332 {' '.join(fours)}",
    ):
        assert has_card_number(text), text


@pytest.mark.parametrize("number", TEST_NUMBERS)
def test_a_wrong_check_digit_or_length_is_no_card_number(number: str) -> None:
    last = int(number[-1])
    for text in (number[:-1] + str((last + 1) % 10), f"9{number}0", f"1{number}"):
        assert not has_card_number(text), text


SEPARATORS = " -/_,:+|.·*~\u00ad\u200b\u200c\u200d\u200e\u2010\u2212\u2060\ufe63\ufeff\uff0d"


@pytest.mark.parametrize("separator", [*SEPARATORS, " / ", "\u200b \u200b"], ids=named)
def test_a_number_is_seen_through_its_separators(separator: str) -> None:
    for number in ("4242424242424242", "378282246310005", "38520000023237"):
        assert has_card_number(separator.join(in_fours(number)))
        assert has_card_number(separator.join(number))
    assert has_card_number(f"4242{separator}4242 4242-4242")


@pytest.mark.parametrize("invisible", "\u00ad\u200b\u200e\u2060\ufeff", ids=named)
def test_what_nobody_sees_hides_nothing(invisible: str) -> None:
    for text in ("42?42424242424242", "?4242 42?42 4242 4242?", "card?4242424242424242?for"):
        assert has_card_number(text.replace("?", invisible))


def test_the_check_digit_is_luhns() -> None:
    rng = random.Random(4217)
    for length, beginning in product(ISSUED, range(10_000)):
        number = f"{beginning:04}{rng.randrange(10 ** (length - 4)):0{length - 4}}"
        if is_issued(number) and not siret.is_valid(number):
            assert has_card_number(number) == luhn.is_valid(number), number


@pytest.mark.parametrize("length", range(11, 22))
def test_each_network_s_beginnings_and_lengths_are_known(length: int) -> None:
    for beginning in range(10_000):
        # Nine digits with a check digit of their own would make a SIRET of fourteen.
        filling = "2" if luhn.is_valid(f"{beginning:04}11111") else "1"
        digits = f"{beginning:04}{filling * (length - 5)}"
        number = f"{digits}{luhn.calc_check_digit(digits)}"
        assert has_card_number(number) == is_issued(number), number


def is_issued(number: str) -> bool:
    ranges = ISSUED.get(len(number), "").split()
    return any(first <= number[:4] <= last for first, last in (text.split("-") for text in ranges))


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
