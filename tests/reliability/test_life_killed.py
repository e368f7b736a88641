"""A process that is killed, wherever it is, moves no money twice and leaves nothing unknown."""

import pytest

from tests.reliability.life import CALLS, Life
from tests.reliability.proxy import Fault
from tests.reliability.test_killed import Killer
from tests.reliability.worker import Worker

MOMENTS = ("before", "after")
"""Before the request is seen by whom it is for, and after it was answered."""


def points(**requests: int) -> list[tuple[str, int, str]]:
    """Return every request to the store and to the gateway, with both moments to die at."""
    return [
        (where, nth + 1, moment)
        for where, number in requests.items()
        for nth in range(number)
        for moment in MOMENTS
    ]


def name_of(point: tuple[str, int, str]) -> str:
    return " ".join(map(str, point))


# `make test` dies at each point in one of the calls, `make reliability` in each of them.
CASES = [
    pytest.param(
        *(name, point),
        id=f"{name}-{name_of(point)}",
        marks=[pytest.mark.slow] * (list(CALLS)[i % len(CALLS)] != name),
    )
    for i, point in enumerate(points(store=3, gateway=1))
    for name in CALLS
]


def plan(life: Life, point: tuple[str, int, str]) -> Killer:
    where, nth, moment = point
    killer = Killer(nth)
    network = life.network if where == "store" else life.gateway
    network.plan(**{moment: killer})
    return killer


@pytest.mark.parametrize(("name", "point"), CASES)
def test_a_killed_call_is_finished_by_repeating_it(
    life: Life,
    workers: list[Worker],
    life_environment: dict[str, str],
    name: str,
    point: tuple[str, int, str],
) -> None:
    call = CALLS[name]
    payment_id = life.made(call.capture, call.before)
    killer = plan(life, point)

    killer.pid.put(workers[0].start([life.event(call, payment_id)], life_environment))
    answers = workers[0].answers()
    life.network.plan()
    life.gateway.plan()
    response = life.until_answered(lambda: life.do(call, payment_id))

    assert answers is None
    assert response.status in (200, 201)
    call.has_led_to(life.settled(payment_id))


@pytest.mark.parametrize("point", points(store=3, gateway=1), ids=name_of)
def test_what_a_killed_capture_left_is_found_though_nobody_repeats_it(
    life: Life,
    workers: list[Worker],
    life_environment: dict[str, str],
    point: tuple[str, int, str],
) -> None:
    call = CALLS["capture in part"]
    payment_id = life.made(call.capture, call.before)
    killer = plan(life, point)

    killer.pid.put(workers[0].start([life.event(call, payment_id)], life_environment))
    assert workers[0].answers() is None
    payment = life.settled(payment_id)

    if point in points(store=1):  # nothing was written down
        assert payment.status == "AUTHORIZED"
    else:
        call.has_led_to(payment)


@pytest.mark.parametrize(
    "fault",
    [Fault.DROPPED_REQUEST, pytest.param(Fault.DROPPED_ANSWER, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("point", points(store=4, gateway=2), ids=name_of)
def test_what_a_killed_schedule_left_is_found_by_the_next_one(
    life: Life,
    workers: list[Worker],
    life_environment: dict[str, str],
    fault: Fault,
    point: tuple[str, int, str],
) -> None:
    call = CALLS["refund in part"]
    payment_id = life.made(call.capture, call.before)
    life.gateway.plan(fault)
    assert life.do(call, payment_id).status == 202
    killer = plan(life, point)

    ahead = {**life_environment, "SECONDS_AHEAD": "3600"}
    killer.pid.put(workers[0].start([{"call": "settle"}], ahead))
    answers = workers[0].answers()

    was_asked_once = fault is Fault.DROPPED_ANSWER and point in points(gateway=2)[2:]
    assert answers == ([{}] if was_asked_once else None)  # no second question, so nobody died
    call.has_led_to(life.settled(payment_id))
