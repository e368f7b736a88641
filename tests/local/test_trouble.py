"""Trouble on purpose, at the laptop's front door; tests/gateways has that at the gateways."""

import re

from local.trouble import AMOUNTS
from tests.conftest import ROOT
from tests.local.conftest import Client, Stack, wait_for

FORM = [("Content-Type", "application/x-www-form-urlencoded")]


def test_an_amount_meets_its_trouble_at_both_stand_ins(payments: Stack) -> None:
    declined = {"stripe": "expired_card", "paypal": "TRANSACTION_REFUSED"}
    for gateway, code in declined.items():
        token, back = payments.token(), {"gateway": gateway, "returnUrl": "https://shop.example/"}
        asked_for = {"amount": 66002, "currency": "USD", **back}
        payment = payments.call("POST", "/payment", token, asked_for).json
        confirm = f"/payment/{payment['paymentId']}/confirm"
        page = payments.call("POST", confirm, token).json["nextAction"]["url"]
        port, path = re.findall(r"http://127\.0\.0\.1:(\d+)(/.*)", page)[0]
        Client(int(port)).call("POST", path, body=b"outcome=pay", headers=FORM)

        def is_declined(confirm: str = confirm, token: str = token, code: str = code) -> bool:
            shown = payments.call("POST", confirm, token).json
            return bool(shown.get("lastError")) and shown["lastError"]["code"] == code

        wait_for(is_declined)


def test_the_page_has_the_table() -> None:
    page = (ROOT / "docs/laptop.md").read_text()
    rows = re.findall(r"^\| (\d{5}) \| (.*) \|$", page, re.MULTILINE)

    assert rows == [(str(amount), row.says) for amount, row in AMOUNTS.items()]
