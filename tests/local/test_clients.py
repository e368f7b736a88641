"""The client of docs/clients.md: what is printed there works, and repeats what may be repeated."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
from werkzeug import Request, Response

from local.loopback import listen, serving
from tests.conftest import ROOT
from tests.local.conftest import Stack

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call() -> Call:
    """Return the function that the page prints."""
    page = (ROOT / "docs/clients.md").read_text()
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    return names["call"]


def test_it_takes_a_payment_through_its_life(call: Call, payments: Stack) -> None:
    url = f"http://127.0.0.1:{payments.port}"
    people, office = payments.token, lambda: payments.token(scope="payments/manage")

    payment = call(url, people, "POST", "/payment", {"amount": Decimal("10.50"), "currency": "EUR"})
    path = f"/payment/{payment['paymentId']}"
    captured = call(url, office, "POST", f"{path}/capture")
    refunds = [
        call(url, office, "POST", f"{path}/refund", {"amount": "0.10"}, key="r-1") for _ in "12"
    ]
    read = call(url, people, "GET", f"/payment?paymentId={payment['paymentId']}")

    assert (payment["amount"], captured["amountCaptured"]) == (Decimal("10.5"),) * 2
    assert refunds[0] == refunds[1]
    assert (read["status"], read["refunds"]) == ("PARTIALLY_REFUNDED", refunds[:1])


def scripted(answers: Iterator[int], keys: list[str | None]) -> "WSGIApplication":
    """Return a server that answers with these statuses."""

    @Request.application
    def answer(request: Request) -> Response:
        keys.append(request.headers.get("Idempotency-Key"))
        return Response('{"amount": 10.50}', next(answers), {"Retry-After": "0"})

    return answer


def test_it_repeats_what_was_not_answered_with_the_same_key(call: Call) -> None:
    keys: list[str | None] = []
    with serving(scripted(iter([503, 429, 500, 504, 201]), keys), listen(0)) as url:
        answer = call(url, lambda: "token", "POST", "/payment", {"amount": 1}, key="order-1")

    assert answer == {"amount": Decimal("10.50")}
    assert keys == ["order-1"] * 5


def test_it_gives_up_on_what_no_repeat_changes(call: Call) -> None:
    keys: list[str | None] = []
    with serving(scripted(iter([422]), keys), listen(0)) as url, pytest.raises(HTTPError):
        call(url, lambda: "token", "POST", "/payment", {"amount": 1}, key="order-1")

    assert keys == ["order-1"]


def test_it_says_that_an_outcome_is_not_known(call: Call) -> None:
    keys: list[str | None] = []
    with (
        serving(scripted(iter([503] * 6), keys), listen(0)) as url,
        pytest.raises(TimeoutError, match="Repeat it with the key order-1"),
    ):
        call(url, lambda: "token", "POST", "/payment", {"amount": 1}, key="order-1")

    assert len(keys) == 6
