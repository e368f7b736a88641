"""What an amount asks of the laptop's stand-ins: each row of local/trouble.py, at each of them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import requests
from werkzeug import Request
from werkzeug import Response as Page

from local.loopback import listen, serving
from local.trouble import AMOUNTS, AWAY, SLOW, troubled
from tests.conftest import Response
from tests.gateways import standins
from tests.gateways.conftest import Quiet
from tests.local.conftest import wait_for
from tests.reliability.life import StandInLife

LATE_SECONDS = 0.5
WHOLE = 100_000  # a payment of which an amount of the table is a part

GATEWAYS = standins.those_with(standins.PAGE)


class Heard(list[tuple[float, str]]):
    """When each webhook came, and what it is about."""

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind in self]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """Put the troubles before the stand-ins, and hear their webhooks."""
    heard = Heard()

    @Request.application
    def ear(request: Request) -> Page:
        event: Any = request.get_json()
        heard.append((time.monotonic(), event.get("type") or event["event_type"]))
        return Page(status=204)

    def served(app: Any, server: Any) -> Any:
        app.later_seconds = LATE_SECONDS
        return serving(Request.application(troubled(app, slow_seconds=0.3)), server)

    with serving(ear, listen(0)) as url:
        for kind in ("StripeStandIn", "PayPal"):
            made = partial(getattr(standins, kind), webhook_url=url)
            monkeypatch.setattr(standins, kind, made)
        monkeypatch.setattr(standins, "serving", served)
        yield heard


@pytest.fixture
def network(heard: Heard) -> Quiet:
    """Let `life`, which asks for its network, begin after the stand-ins are made."""
    return Quiet()


def pay(life: StandInLife, payment_id: str) -> Response:
    """Let the payer pay on the page, and come back to a client that confirms."""
    action = life.kept(payment_id).next_action
    assert action
    requests.post(action["url"], {"outcome": "pay"}, allow_redirects=False, timeout=10)
    return life.alice.do("confirm", payment_id)


def paid(life: StandInLife, amount: object, capture: str = "automatic") -> str:
    payment_id = life.made(capture, "REQUIRES_ACTION", amount)
    assert pay(life, payment_id).status == 200
    return payment_id


def is_declined(life: StandInLife, amount: int, code: str) -> None:
    payment_id = life.made("automatic", "REQUIRES_ACTION", amount)
    held = paid(life, WHOLE, "manual")

    shown = pay(life, payment_id).json
    capture = life.office.do("capture", held, {"amount": amount})

    assert (shown["status"], shown["lastError"]["code"]) == ("REQUIRES_ACTION", code)
    assert (capture.status, life.kept(held).status) == (409, "AUTHORIZED")
    assert life.kept(held).last_error["code"] == code  # type: ignore[index]


def is_refunded(life: StandInLife, amount: int, at_once: str, later: str) -> None:
    payment_id = paid(life, WHOLE)

    assert life.refund(payment_id, "r-1", amount=amount).json["status"] == at_once

    def is_over() -> bool:
        life.sweep()
        return life.kept(payment_id).refunds[0].status == later

    wait_for(is_over)


KINDS = {
    "stripe": ["payment_intent.created", "payment_intent.succeeded", "checkout.session.completed"],
    "paypal": ["CHECKOUT.ORDER.APPROVED", "PAYMENT.CAPTURE.COMPLETED"],
}


def is_told(heard: Heard, life: StandInLife, amount: int, how: str) -> None:
    kinds, begun = KINDS[life.name], time.monotonic()
    payment_id = paid(life, amount)
    wanted = {"twice": 2 * kinds, "reversed": kinds[::-1], "none": []}.get(how, kinds)
    if not wanted:  # what comes is of another payment
        paid(life, WHOLE)
        wanted = kinds

    wait_for(lambda: len(heard) == len(wanted), lambda: str(heard))
    assert Counter(heard.kinds) == Counter(wanted)
    if how == "reversed":
        assert heard.kinds == wanted
    if how == "late":
        assert heard[0][0] - begun > LATE_SECONDS
    assert life.kept(payment_id).status == "CAPTURED"


def is_unknown_at_first(life: StandInLife, amount: int) -> None:
    held = paid(life, WHOLE, "manual")
    made = life.made(amount=amount)
    capture = partial(life.office.do, "capture", held, {"amount": amount})
    refund = partial(life.refund, held, "r-1", amount=amount)
    calls = [(partial(life.alice.do, "confirm", made), 200), (capture, 200), (refund, 201)]
    for call, status in calls:
        assert call().status == 202
        assert life.until_answered(call).status == status

    assert life.kept(made).status == "REQUIRES_ACTION"
    assert life.settled(held).status == "REFUNDED"  # and the books agree: it happened once


def is_unknown(life: StandInLife, amount: int) -> None:
    held, made = paid(life, WHOLE, "manual"), life.made(amount=amount)
    for _ in range(3):
        assert life.alice.do("confirm", made).status == 202
        assert life.office.do("capture", held, {"amount": amount}).status == 202
        life.sweep()

    assert {life.kept(each).status for each in (held, made)} == {"PROCESSING"}


def promise(amount: int) -> Callable[[Heard, StandInLife], None]:
    """Return what checks that a row of the table holds."""
    row = AMOUNTS[amount]
    if webhooks := row.settings.get("webhooks"):
        return lambda heard, life: is_told(heard, life, amount, webhooks)
    if "refunds" in row.settings:
        at_once, later = {
            "refused": ("FAILED", "FAILED"),
            "pending": ("PENDING", "SUCCEEDED"),
            "failing": ("PENDING", "FAILED"),
        }[row.settings["refunds"]]
        return lambda _, life: is_refunded(life, amount, at_once, later)
    if "decline" in row.settings:
        return lambda _, life: is_declined(life, amount, row.settings["decline"][life.name])
    assert row.answer
    check = is_unknown if row.answer == AWAY else is_unknown_at_first
    return lambda _, life: check(life, amount)


# `make test` asks one of the gateways for each.
@pytest.mark.parametrize(
    ("life", "amount"),
    [
        pytest.param(name, amount, marks=[pytest.mark.slow] * ((turn + place) % len(GATEWAYS)))
        for turn, amount in enumerate(AMOUNTS)
        for place, name in enumerate(GATEWAYS)
    ],
    indirect=["life"],
)
def test_an_amount_does_what_the_table_says(
    life: StandInLife, heard: Heard, amount: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests' own network, which stands before it, knows of no connection that is lost.
    life.stand_in.keys["url"] = life.stand_in.app.url  # type: ignore[attr-defined]
    if AMOUNTS[amount].answer == SLOW:
        for name, seconds in life.stand_in.shortened.items():
            monkeypatch.setattr(life.stand_in.adapter, name, seconds)

    promise(amount)(heard, life)


@pytest.mark.parametrize("life", GATEWAYS, indirect=True)
def test_an_amount_beside_the_table_meets_no_trouble(life: StandInLife, heard: Heard) -> None:
    payment_id = paid(life, max(AMOUNTS) + 1)

    assert life.refund(payment_id, "r-1").json["status"] == "SUCCEEDED"
    assert life.settled(payment_id).status == "REFUNDED"
    wait_for(lambda: set(KINDS[life.name]) < set(heard.kinds))
