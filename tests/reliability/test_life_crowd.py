"""However many move one payment at once, and from however many processes, money moves once.

The schedule runs in each of the processes meanwhile, and everything under way is due at once.
"""

from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from tests.conftest import Response
from tests.gateways.standins import NETWORK, those_with
from tests.reliability.gateway import Trouble
from tests.reliability.life import CALLS, Life
from tests.reliability.proxy import Fault
from tests.reliability.test_crowd import at_once  # noqa: F401
from tests.reliability.worker import Event

AtOnce = Callable[[list[list[Event]]], list[Response]]

SCHEDULE: Event = {"call": "settle"}
TROUBLES: list[Trouble] = [
    *(Fault.DROPPED_ANSWER, Fault.NONE, Fault.ERROR, Fault.TWICE),
    *(Fault.ERROR_AFTER, Fault.NONE, Fault.GARBLED_ANSWER),
]


def crowds(*, with_troubles_at: str) -> pytest.MarkDecorator:
    """Let a test run at each gateway, quiet and with one that fails.

    `make test` runs the small crowds at the scripted gateway, and one at a gateway that ships.
    """
    cases = []
    for name in ("scripted", *those_with(NETWORK)):
        for times, (kind, troubles) in product((2, 12), (("quiet", []), ("troubles", TROUBLES))):
            is_fast = times == 2 and (
                name == "scripted" or (name, troubles) == (with_troubles_at, TROUBLES)
            )
            marks = () if is_fast else pytest.mark.slow
            case_id = f"{name} {kind} times {times}"
            cases.append(pytest.param(name, troubles, times, id=case_id, marks=marks))
    return pytest.mark.parametrize(("life", "troubles", "times"), cases, indirect=["life"])


@pytest.fixture
def environment(environment: dict[str, str], life: Life) -> dict[str, str]:
    return {**environment, **life.environment(), "LOOKS_AT_ONCE": "1"}


@crowds(with_troubles_at="paypal")
def test_one_of_captures_and_cancels_wins(
    life: Life,
    at_once: AtOnce,  # noqa: F811
    troubles: list[Trouble],
    times: int,
) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    names = ("capture", "capture in part", "cancel")
    events = [life.event(CALLS[name], payment_id) for name in names]
    life.gateway.plan(*troubles)

    responses = at_once([[*events * times, SCHEDULE]] * 4)

    payment = life.settled(payment_id)
    amounts = {10000: "capture", 6050: "capture in part", 0: "cancel"}
    winner = amounts[payment.captured_minor]
    assert payment.status == ("CANCELED" if winner == "cancel" else "CAPTURED")
    statuses = Counter(response.status for response in responses)
    assert set(statuses) <= {200, 202, 409, 503}, statuses
    for response in responses:
        if response.status == 200:
            assert response.json["amountCapturedMinor"] == payment.captured_minor
    again = {name: life.do(CALLS[name], payment_id).status for name in names}
    assert again == {name: 200 if name == winner else 409 for name in names}


@crowds(with_troubles_at="stripe")
def test_refunds_never_exceed_the_capture(
    life: Life,
    at_once: AtOnce,  # noqa: F811
    troubles: list[Trouble],
    times: int,
) -> None:
    """Refunds of 30 by `times` + 2 keys, each key from every process."""
    payment_id = life.made("automatic", "CAPTURED")
    keys = [f"r-{number}" for number in range(times + 2)]
    events = [
        {
            **life.office.event(payment_id, {"amount": 30}, {"Idempotency-Key": key}),
            "call": "refund",
        }
        for key in keys
    ]
    life.gateway.plan(*troubles)

    responses = at_once([[*events, SCHEDULE]] * 4)
    ends = [
        life.until_answered(lambda key=key: life.refund(payment_id, key, amount=30))  # type: ignore[misc]
        for key in keys
    ]

    assert {response.status for response in responses} <= {201, 202, 400, 409, 503}
    done = [end for end in ends if end.status == 201]
    assert [end.json["status"] for end in done] == ["SUCCEEDED"] * 3
    assert {end.status for end in ends if end not in done} <= {400}
    assert life.settled(payment_id).refunded_minor == 9000


@crowds(with_troubles_at="paypal")
def test_a_payment_is_started_once_or_canceled(
    life: Life,
    at_once: AtOnce,  # noqa: F811
    troubles: list[Trouble],
    times: int,
) -> None:
    payment_id = life.made("automatic", life.begun)
    confirm: Any = life.event(life.calls["confirm"], payment_id)
    cancel: Any = life.event(life.calls["cancel"], payment_id)
    life.gateway.plan(*troubles)

    responses = at_once([[*[confirm] * times, cancel, SCHEDULE]] * 4)

    assert {response.status for response in responses} <= {200, 202, 409, 503}
    payment = life.settled(payment_id)
    assert payment.status in ("CAPTURED", "CANCELED")
    assert life.captures(payment_id) == (payment.status == "CAPTURED")
