"""Whatever fails between function, store and gateway, money moves once or not at all.

A case is one call that moves a payment on, the faults that its requests to the gateway or to the
store meet, a client that repeats the call as the docs say, and the schedule that runs in between.
`make test` runs each fault twice in a row, by turns in full and in part; `make reliability` runs
every call, and every pair.
"""

from collections.abc import Callable
from itertools import product

import pytest

from tests.gateways.standins import NETWORK, STAND_INS, those_with
from tests.reliability.gateway import Outcome, Trouble
from tests.reliability.life import CALLS, Life, StandInLife, calls_of
from tests.reliability.proxy import Fault

# A gateway's answers come over TLS, which notices digits that changed; its 400s are all alike.
NOT_THERE = {
    *(Fault.NONE, Fault.CHANGED_ANSWER),
    *(Fault.NO_CAPACITY, Fault.OVER_QUOTA, Fault.CONFLICT),
}
REFUSED = {Outcome.DECLINED, Outcome.FAILING, Outcome.TURNING}
AT_THE_GATEWAY: list[Trouble] = [fault for fault in Fault if fault not in NOT_THERE]
AT_THE_GATEWAY += [outcome for outcome in Outcome if outcome is not Outcome.REDIRECTED]
AT_A_STAND_IN = [each for each in AT_THE_GATEWAY if isinstance(each, Fault)]
IN_FULL = [name for name in CALLS if "in part" not in name]
AT_THE_STORE = [fault for fault in Fault if fault is not Fault.NONE]

REQUESTS = range(3)
"""What a call asks of the store: it reads, writes the operation down, keeps the answer."""

SWEEP_REQUESTS = range(4)
"""What the schedule does for a payment: it looks what is due, reads, postpones, keeps."""

rotating = pytest.mark.parametrize(  # `make test` meets each fault at each write once
    ("name", "fault", "nth"),
    [
        pytest.param(list(CALLS)[(i + nth) % len(CALLS)], fault, nth, id=f"{fault.name}-{nth}")
        for i, fault in enumerate(AT_THE_STORE)
        for nth in REQUESTS[1:]
    ],
)


def by_turns(turn: int, name: str) -> str:
    part = f"{name} in part"
    return part if turn % 2 and part in CALLS else name


def go_through(life: Life, name: str, at_gateway: list[Trouble], at_store: list[Fault]) -> None:
    """Make a call until it is answered, and hold the outcome against the gateway's ledger."""
    call = life.calls[name]
    payment_id = life.made(call.capture, call.before)

    life.gateway.plan(*at_gateway)
    life.network.plan(*at_store)
    response = life.until_answered(lambda: life.do(call, payment_id))
    if Outcome.TURNING in at_gateway:  # what was done is looked at again where its gateway says so
        life.gateway.finish()
        life.webhook(payment_id)
    payment = life.settled(payment_id)

    if set(at_gateway) & REFUSED:
        return  # the ledger agrees: that is all that is promised here
    assert response.status in (200, 201), response.text
    call.has_led_to(payment)
    if payment.status == "REQUIRES_ACTION":
        return  # the payer is next, however often it is confirmed
    again = life.do(call, payment_id)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (response.status, "true")


@pytest.mark.parametrize(
    ("trouble", "name"),
    [
        pytest.param(
            trouble,
            by_turns(i, name),
            id=f"{trouble.name}-{by_turns(i, name)}",
            marks=[pytest.mark.slow] * ((i + j) % 5 != 0),
        )
        for i, trouble in enumerate(AT_THE_GATEWAY)
        for j, name in enumerate(IN_FULL)
    ],
)
def test_a_call_moves_money_once_whatever_its_gateway_does(
    life: Life, name: str, trouble: Trouble
) -> None:
    go_through(life, name, [trouble, trouble], [])


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("first", AT_THE_GATEWAY, ids=lambda each: each.name)
def test_a_call_moves_money_once_whatever_its_gateway_does_next(
    life: Life, name: str, first: Trouble, record_property: Callable[[str, object], None]
) -> None:
    others = [Fault.NONE, *AT_THE_GATEWAY]
    for then in others:
        go_through(life, name, [first, then], [])
    record_property("cases", len(others))


def requests_of(life: StandInLife, name: str) -> int:
    """Return how many requests to the gateway a call makes where nothing goes wrong."""
    call = life.calls[name]
    payment_id = life.made(call.capture, call.before)
    life.gateway.plan()
    assert life.do(call, payment_id).status in (200, 201)
    return life.gateway.calls


@pytest.mark.slow
@pytest.mark.parametrize(
    ("life", "name"),
    [(gateway, name) for gateway in those_with(NETWORK) for name in calls_of(STAND_INS[gateway])],
    indirect=["life"],
)
@pytest.mark.parametrize("first", AT_A_STAND_IN, ids=lambda each: each.name)
def test_a_call_moves_money_once_whatever_two_faults_befall_its_requests(
    life: StandInLife, name: str, first: Fault, record_property: Callable[[str, object], None]
) -> None:
    """By turns at two requests that follow each other, and at all the tries of two calls.

    Each pair meets every second of the calls.
    """
    number = requests_of(life, name)
    turn = list(life.calls).index(name) + AT_A_STAND_IN.index(first)
    others = AT_A_STAND_IN[turn % 2 :: 2]
    for i, then in enumerate(others):
        tries = life.stand_in.tries if i % 2 else 1
        position = i // 2 % number
        go_through(life, name, [*[Fault.NONE] * position, *[first] * tries, *[then] * tries], [])
    record_property("cases", len(others))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("life", "name"),
    [(gateway, name) for gateway in those_with(NETWORK) for name in calls_of(STAND_INS[gateway])],
    indirect=["life"],
)
def test_a_call_moves_money_once_whatever_befalls_its_store_and_its_gateway(
    life: StandInLife, name: str, record_property: Callable[[str, object], None]
) -> None:
    cases = [(nth, fault) for fault in AT_THE_STORE for nth in REQUESTS]
    lost = [Fault.DROPPED_ANSWER] * life.stand_in.tries
    for i, (nth, fault) in enumerate(cases):
        go_through(life, name, lost if i % 2 else [], [*[Fault.NONE] * nth, fault, fault])
    record_property("cases", len(cases))


@rotating
def test_a_call_moves_money_once_whatever_its_store_does(
    life: Life, name: str, fault: Fault, nth: int
) -> None:
    go_through(life, name, [], [*[Fault.NONE] * nth, fault, fault])


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("first", AT_THE_STORE, ids=lambda each: each.name)
def test_a_call_moves_money_once_whatever_its_store_does_next(
    life: Life, name: str, first: Fault, record_property: Callable[[str, object], None]
) -> None:
    cases = [(0, Fault.NONE), (2, Fault.NONE), *product([1], Fault)]  # pairs where it is written
    for nth, then in cases:
        go_through(life, name, [], [*[Fault.NONE] * nth, first, then])
    record_property("cases", len(cases))


@pytest.mark.parametrize(
    ("fault", "nth"),
    [
        pytest.param(
            *(fault, nth),
            id=f"{fault.name}-{nth}",
            marks=[pytest.mark.slow] * (i % len(SWEEP_REQUESTS) != nth),
        )
        for i, fault in enumerate(AT_THE_STORE)
        for nth in SWEEP_REQUESTS
    ],
)
def test_the_schedule_finds_what_happened_whatever_its_store_does(
    life: Life, fault: Fault, nth: int
) -> None:
    """The answer to a capture is lost, and its client does not come again."""
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.plan(Fault.DROPPED_ANSWER)
    assert life.office.do("capture", payment_id).status == 202

    life.network.plan(*[Fault.NONE] * nth, fault, fault)
    life.sweep()
    payment = life.settled(payment_id)

    assert (payment.status, payment.captured_minor) == ("CAPTURED", 10000)
