"""Trouble on purpose, at the laptop's front door; tests/gateways has that at the gateways."""

import re
from http.client import RemoteDisconnected
from importlib import import_module

import pytest

from local.stack import functions
from local.template import Template
from local.trouble import AMOUNTS, ANSWERS
from tests.conftest import ROOT, call, proxy_event
from tests.local.conftest import Client, Stack, wait_for

PAYMENT = {"amount": 10, "currency": "EUR"}
FORM = [("Content-Type", "application/x-www-form-urlencoded")]


def asked(word: str, key: str | None = None) -> list[tuple[str, str]]:
    return [("Laptop-Answer", word), *([("Idempotency-Key", key)] if key else [])]


@pytest.mark.parametrize("word", ANSWERS)
def test_a_call_is_answered_as_the_header_says_and_its_repeat_works(
    payments: Stack, word: str
) -> None:
    token, headers = payments.token(), asked(word, f"trouble-{word}")

    if ANSWERS[word].kind is None:
        with pytest.raises(RemoteDisconnected):
            payments.call("POST", "/payment", token, PAYMENT, headers)
    else:
        refused = payments.call("POST", "/payment", token, PAYMENT, headers)
        assert (refused.status, refused.json["status"]) == (int(word),) * 2
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert int(refused.headers["Retry-After"]) >= 1
    created = payments.call("POST", "/payment", token, PAYMENT, headers)

    assert created.status == 201
    assert ("Idempotent-Replayed" in created.headers) == ANSWERS[word].is_done


def test_each_try_has_its_own_answer_and_another_call_begins_anew(payments: Stack) -> None:
    token = payments.token()
    path = payments.call("POST", "/payment", token, PAYMENT).headers["Location"]

    def tries(headers: list[tuple[str, str]]) -> list[int]:
        return [payments.call("GET", path, token, None, headers).status for _ in range(6)]

    assert tries(asked("503, 429")) == [503, 429, 200] * 2
    assert tries(asked("503, 429", "a key")) == [503, 429, 200] * 2


def test_a_word_that_is_not_known_is_refused_and_the_terminal_names_the_others(
    payments: Stack,
) -> None:
    answer = payments.call("GET", "/payments", payments.token(), None, asked("418"))

    assert answer.status == 400
    assert "Laptop-Answer: 418: there is 429, 503, 504, lost" in payments.log()


FUNCTIONS = [
    each.handler.split(".")[0] for each in functions(Template(ROOT / "template.yaml")).values()
]


@pytest.mark.parametrize(
    "name", [each for each in FUNCTIONS if each.endswith(("_payment", "hook"))]
)
def test_a_function_knows_nothing_of_the_header(name: str) -> None:
    """Whatever it answers, without a store as well."""
    handler, event = import_module(f"{name}.app").handler, proxy_event(name)
    plain = call(handler, event)
    for word in ANSWERS:
        event["multiValueHeaders"]["Laptop-Answer"] = [word]
        assert call(handler, event) == plain


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


def test_the_page_has_the_tables() -> None:
    page = (ROOT / "docs/laptop.md").read_text()
    rows = re.findall(r"^\| `?(\d{5}|\d{3}|lost)`? \| (.*) \|$", page, re.MULTILINE)

    told = {**AMOUNTS, **ANSWERS}
    assert rows == [(str(name), row.says) for name, row in told.items()]
