"""Whatever fails between function, store and gateway, money moves once or not at all.

A case is one call that moves a payment on, the faults that its requests to the gateway or to the
store meet, a client that repeats the call as the docs say, and the schedule that runs in between.
`make test` runs each fault twice in a row, `make reliability` every pair.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import pytest

from tests.conftest import Response
from tests.reliability.gateway import Outcome, Trouble
from tests.reliability.life import Life
from tests.reliability.proxy import Fault


class Call(NamedTuple):
    """A call, what is to be there before it, and what it is to lead to."""

    capture: str
    is_confirmed: bool
    do: Callable[[Life, str], Response]
    status: str
    captured: int
    refunded: int = 0


def confirm(life: Life, payment_id: str) -> Response:
    return life.alice.do("confirm", payment_id)


def cancel(life: Life, payment_id: str) -> Response:
    return life.alice.do("cancel", payment_id, {"reason": "Changed my mind"})


def capture(**body: object) -> Callable[[Life, str], Response]:
    return lambda life, payment_id: life.office.do("capture", payment_id, body)


def refund(**body: object) -> Callable[[Life, str], Response]:
    return lambda life, payment_id: life.refund(payment_id, "r-1", **body)


CALLS = {
    "confirm": Call("automatic", False, confirm, "CAPTURED", 10000),
    "authorize": Call("manual", False, confirm, "AUTHORIZED", 0),
    "capture": Call("manual", True, capture(), "CAPTURED", 10000),
    "capture in part": Call("manual", True, capture(amount="60.50"), "CAPTURED", 6050),
    "cancel": Call("manual", True, cancel, "CANCELED", 0),
    "refund": Call("automatic", True, refund(), "REFUNDED", 10000, 10000),
    "refund in part": Call("automatic", True, refund(amount=40), "PARTIALLY_REFUNDED", 10000, 4000),
}

# A gateway's answers come over TLS, which notices digits that changed; its 400s are all alike.
AT_THE_GATEWAY: list[Trouble] = [
    fault
    for fault in Fault
    if fault
    not in {
        Fault.NONE,
        Fault.CHANGED_ANSWER,
        Fault.NO_CAPACITY,
        Fault.OVER_QUOTA,
        Fault.CONFLICT,
    }
]
AT_THE_GATEWAY += [each for each in Outcome if each is not Outcome.REDIRECTED]
REFUSED = {Outcome.DECLINED, Outcome.FAILING, Outcome.TURNING}
AT_THE_STORE = [fault for fault in Fault if fault is not Fault.NONE]


def twice_or_pairs(faults: list[Trouble]) -> list[object]:
    twice = [pytest.param((fault, fault), id=fault.name) for fault in faults]
    return twice + [
        pytest.param((first, then), id=f"{first.name}-{then.name}", marks=pytest.mark.slow)
        for first, then in product(faults, [*faults, Fault.NONE])
        if first is not then
    ]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("troubles", twice_or_pairs(AT_THE_GATEWAY))
def test_a_call_moves_money_once_whatever_its_gateway_does(
    life: Life, name: str, troubles: tuple[Trouble, ...]
) -> None:
    call = CALLS[name]
    payment_id = life.made(capture=call.capture, is_confirmed=call.is_confirmed)

    life.gateway.plan(*troubles)
    response = life.until_answered(lambda: call.do(life, payment_id))
    if Outcome.TURNING in troubles:  # what was done is looked at again where its gateway says so
        life.gateway.finish()
        life.webhook(payment_id)
    payment = life.settled(payment_id)

    if set(troubles) & REFUSED:
        return  # the ledger agrees: that is all that is promised here
    assert response.status in (200, 201), response.text
    assert (payment.status, payment.captured_minor) == (call.status, call.captured)
    assert payment.refunded_minor == call.refunded
    again = call.do(life, payment_id)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (response.status, "true")
