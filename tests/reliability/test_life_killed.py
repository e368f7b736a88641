"""A process that is killed, wherever it is, moves no money twice and leaves nothing unknown."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tests.gateways.standins import NETWORK, STAND_INS, those_with
from tests.reliability.life import CALLS, Life, calls_of
from tests.reliability.proxy import Fault
from tests.reliability.test_killed import Killer
from tests.reliability.worker import Worker

MOMENTS = ("before", "after")
"""Before the request is seen by whom it is for, and after it was answered."""


Point: TypeAlias = tuple[str, int, str]
Run: TypeAlias = Callable[..., list[dict[str, Any]] | None]


def points(**requests: int) -> list[Point]:
    """Return every request to the store and to the gateway, with both moments to die at."""
    return [
        (where, nth + 1, moment)
        for where, number in requests.items()
        for nth in range(number)
        for moment in MOMENTS
    ]


def name_of(point: Point) -> str:
    return " ".join(map(str, point))


# `make test` dies at each point in one of the calls, `make reliability` in each of them; and after
# the request that moves the money at the gateways that ship (PayPal is asked for a token first).
CASES = [
    pytest.param(
        *("scripted", name, point),
        id=f"{name}-{name_of(point)}",
        marks=[pytest.mark.slow] * (list(CALLS)[i % len(CALLS)] != name),
    )
    for i, point in enumerate(points(store=3, gateway=1))
    for name in CALLS
]
CASES += [
    pytest.param("stripe", "capture", ("gateway", 1, "after"), id="stripe-capture"),
    pytest.param("paypal", "refund in part", ("gateway", 2, "after"), id="paypal-refund"),
]
at_each_call = pytest.mark.parametrize(
    ("life", "name"),
    [(gateway, name) for gateway in those_with(NETWORK) for name in calls_of(STAND_INS[gateway])],
    indirect=["life"],
)


@pytest.fixture
def run(
    life: Life, workers: list[Worker], environment: dict[str, str]
) -> Callable[..., list[dict[str, Any]] | None]:
    """Return what runs an event in a process that dies at a point, or at none."""

    def run(
        event: dict[str, Any], point: Point | None, seconds: float = 0
    ) -> list[dict[str, Any]] | None:
        ahead = {"SECONDS_AHEAD": str(life.seconds_ahead + seconds)}
        life.network.plan()
        life.gateway.plan()
        killer = plan(life, point) if point else None
        pid = workers[0].start([event], {**environment, **life.environment(), **ahead})
        if killer:
            killer.pid.put(pid)
        return workers[0].answers()

    return run


def plan(life: Life, point: Point) -> Killer:
    where, nth, moment = point
    killer = Killer(nth)
    network = life.network if where == "store" else life.gateway
    network.plan(**{moment: killer})
    return killer


def dies(life: Life, name: str, point: Point, run: Run, *, is_repeated: bool = True) -> None:
    """Let a call die at a point, and be finished by its client or by the schedule."""
    call = life.calls[name]
    payment_id = life.made(call.capture, call.before)

    assert run(life.event(call, payment_id), point) is None
    life.network.plan()
    life.gateway.plan()
    if is_repeated:
        response = life.until_answered(lambda: life.do(call, payment_id))
        assert response.status in (200, 201)
    payment = life.settled(payment_id)

    was_written = point not in points(store=1)
    if is_repeated or was_written or call.before == "APPROVED":
        call.has_led_to(payment)
    else:
        assert payment.status == call.before


@pytest.mark.parametrize(("life", "name", "point"), CASES, indirect=["life"])
def test_a_killed_call_is_finished_by_repeating_it(
    life: Life, name: str, point: Point, run: Run
) -> None:
    dies(life, name, point, run)


@pytest.mark.parametrize("point", points(store=3, gateway=1), ids=name_of)
def test_what_a_killed_capture_left_is_found_though_nobody_repeats_it(
    life: Life, point: Point, run: Run
) -> None:
    dies(life, "capture in part", point, run, is_repeated=False)


@pytest.mark.slow
@at_each_call
@pytest.mark.parametrize("is_repeated", [True, False], ids=["repeated", "left alone"])
def test_a_call_that_is_killed_at_any_request_is_finished(
    life: Life, name: str, run: Run, is_repeated: bool, record_property: Any
) -> None:
    call = life.calls[name]
    assert run(life.event(call, life.made(call.capture, call.before)), None)
    every = points(store=life.network.proxy.calls, gateway=life.gateway.calls)
    for point in every:
        dies(life, name, point, run, is_repeated=is_repeated)
    record_property("cases", len(every))


@pytest.mark.slow
@at_each_call
@pytest.mark.parametrize("fault", [Fault.DROPPED_REQUEST, Fault.DROPPED_ANSWER])
def test_a_schedule_that_is_killed_at_any_request_is_finished_by_the_next_one(
    life: Life, name: str, run: Run, fault: Fault, record_property: Any
) -> None:
    def lost() -> str:
        """Return a payment whose call was asked for, and not answered."""
        call = life.calls[name]
        payment_id = life.made(call.capture, call.before)
        life.gateway.plan(*[fault] * 99)
        assert life.do(call, payment_id).status == 202
        return payment_id

    payment_id = lost()
    assert run({"call": "settle"}, None, 3600) == [{}]
    every = points(store=life.network.proxy.calls, gateway=life.gateway.calls)
    life.calls[name].has_led_to(life.settled(payment_id))
    for point in every:
        payment_id = lost()
        assert run({"call": "settle"}, point, 3600) is None
        life.calls[name].has_led_to(life.settled(payment_id))
        life.delete()  # so that the next run has one payment to look at
    record_property("cases", len(every))


@pytest.mark.parametrize(
    "fault",
    [Fault.DROPPED_REQUEST, pytest.param(Fault.DROPPED_ANSWER, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("point", points(store=4, gateway=2), ids=name_of)
def test_what_a_killed_schedule_left_is_found_by_the_next_one(
    life: Life, fault: Fault, point: Point, run: Run
) -> None:
    call = CALLS["refund in part"]
    payment_id = life.made(call.capture, call.before)
    life.gateway.plan(fault)
    assert life.do(call, payment_id).status == 202

    answers = run({"call": "settle"}, point, 3600)

    was_asked_once = fault is Fault.DROPPED_ANSWER and point in points(gateway=2)[2:]
    assert answers == ([{}] if was_asked_once else None)  # no second question, so nobody died
    call.has_led_to(life.settled(payment_id))
