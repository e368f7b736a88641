"""What a call asks of a payment: the next step, or why there is none."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from shared.errors import IdempotencyKeyReused, InvalidRequest, OperationUnderWay, StatusConflict
from shared.payments import commands, ids
from shared.payments.commands import Command, Step
from shared.payments.facts import Facts
from shared.payments.payment import Payment
from tests.unit.samples import operation, payment, refund


def test_more_refunded_than_is_captured_leaves_nothing_to_refund() -> None:
    """As after a capture that was reversed in part."""
    reversed_ = payment("CAPTURED", captured_minor=5000, refunds=(refund(amount=8000),))
    partly = payment(
        "CAPTURED", captured_minor=5000, refunds=(refund(1, 4000), refund(2, 3000, "PENDING"))
    )

    for each in (reversed_, partly):
        with pytest.raises(StatusConflict):
            commands.refund("r-9", None, None)(each)


def test_a_capture_that_the_gateway_still_works_on_is_waited_for() -> None:
    with pytest.raises(OperationUnderWay):
        commands.capture(None)(payment("PROCESSING"))


def test_a_manual_payment_on_its_way_is_captured_when_it_is_there() -> None:
    step = commands.capture(Decimal(100))(payment("PROCESSING", gateway="manual"))

    assert step.payment.operation
    assert step.payment.operation.amount_minor == 10000


CAPTURED = {"captured_minor": 10000}


def conflict(command: Command, before: Payment) -> StatusConflict:
    with pytest.raises(StatusConflict) as caught:
        command(before)
    return caught.value


def begun(step: Step) -> tuple[str, int | None, str | None]:
    """Return what the gateway is to be asked for; nothing of it is known."""
    operation = step.payment.operation
    assert operation
    assert not step.is_replay
    assert step.facts is None
    return operation.kind, operation.amount_minor, operation.refund_id


@pytest.mark.parametrize(
    ("status", "kind"), [("PENDING", "start"), ("REQUIRES_ACTION", "complete")]
)
def test_a_confirm_starts_a_payment_or_takes_it_further(status: str, kind: str) -> None:
    step = commands.confirm(payment(status))

    assert begun(step) == (kind, None, None)
    assert step.cause == "confirm"
    assert step.payment.operation != commands.confirm(payment(status)).payment.operation


@pytest.mark.parametrize("status", ["AUTHORIZED", "PROCESSING"])
def test_a_confirm_that_has_happened_is_a_replay(status: str) -> None:
    before = payment(status)

    assert commands.confirm(before) == Step(before, is_replay=True)
    paid = payment("CAPTURED", **CAPTURED, refunds=(refund(),))
    assert commands.confirm(paid) == Step(paid, is_replay=True)


@pytest.mark.parametrize("status", ["FAILED", "CANCELED", "EXPIRED"])
def test_an_ended_payment_is_not_confirmed(status: str) -> None:
    refused = conflict(commands.confirm, payment(status))

    assert (refused.status, refused.allowed) == (status, [])
    assert str(refused) == f"A {status} payment does not allow confirm"


def test_a_capture_is_of_all_or_of_a_part() -> None:
    before = payment("AUTHORIZED")

    assert begun(commands.capture(None)(before)) == ("capture", 10000, None)
    assert begun(commands.capture(Decimal(100))(before)) == ("capture", 10000, None)
    assert begun(commands.capture(Decimal("0.01"))(before)) == ("capture", 1, None)
    assert commands.capture(None)(before).cause == "capture"


def test_no_more_is_captured_than_the_payment_is_of() -> None:
    with pytest.raises(InvalidRequest) as caught:
        commands.capture(Decimal("100.01"))(payment("AUTHORIZED"))

    [error] = caught.value.errors
    assert error == ("amount", "must be at most 100 USD, the amount of the payment")


def test_a_second_capture_is_a_replay_or_a_conflict() -> None:
    before = payment("CAPTURED", captured_minor=6050)

    replay = commands.capture(Decimal("60.50"))(before)
    assert replay == Step(before, is_replay=True)
    for other in (None, Decimal("60.49"), Decimal("60.51")):
        refused = conflict(commands.capture(other), before)
        assert str(refused) == "60.50 USD is captured: captures are once"
        assert refused.allowed == ["PARTIALLY_REFUNDED", "REFUNDED"]


@pytest.mark.parametrize("status", ["PENDING", "REQUIRES_ACTION", "FAILED", "CANCELED", "EXPIRED"])
def test_a_gateway_s_payment_is_captured_when_it_is_authorized(status: str) -> None:
    assert conflict(commands.capture(None), payment(status)).status == status


@pytest.mark.parametrize("status", ["PENDING", "REQUIRES_ACTION", "PROCESSING", "AUTHORIZED"])
def test_a_manual_payment_is_captured_before_any_end(status: str) -> None:
    assert begun(commands.capture(None)(payment(status, gateway="manual")))


@pytest.mark.parametrize("status", ["REQUIRES_ACTION", "PROCESSING", "AUTHORIZED"])
def test_a_cancel_asks_the_gateway(status: str) -> None:
    step = commands.cancel("Sold out")(payment(status))

    assert begun(step) == ("cancel", None, None)
    assert (step.cause, step.payment.cancellation_reason) == ("cancel", "Sold out")


def test_a_payment_that_no_gateway_knows_is_canceled_here() -> None:
    step = commands.cancel("Sold out")(payment("PENDING"))

    assert step.payment.operation is None
    assert step.facts == Facts("CANCELED")
    assert (step.cause, step.payment.cancellation_reason) == ("cancel", "Sold out")


def test_a_second_cancel_is_a_replay_with_the_first_reason() -> None:
    before = payment("CANCELED", cancellation_reason="Sold out")

    assert commands.cancel("Other")(before) == Step(before, is_replay=True)


@pytest.mark.parametrize("status", ["FAILED", "EXPIRED"])
def test_an_ended_payment_is_not_canceled(status: str) -> None:
    assert conflict(commands.cancel(None), payment(status)).status == status


def test_a_paid_payment_is_not_canceled() -> None:
    assert conflict(commands.cancel(None), payment("CAPTURED", **CAPTURED)).status == "CAPTURED"


def test_a_refund_is_reserved_before_it_is_asked_for() -> None:
    before = payment("CAPTURED", **CAPTURED, refunds=(refund(1, 4000, "PENDING"),))
    step = commands.refund("r-1", Decimal("59.99"), "Damaged")(before)

    kind, amount, refund_id = begun(step)
    assert (kind, amount, step.cause) == ("refund", 5999, "refund")
    assert refund_id == ids.refund_id(before.payment_id, "r-1")
    new = step.payment.refunds[-1]
    assert (new.refund_id, new.amount_minor, new.status) == (refund_id, 5999, "PENDING")
    assert (new.reason, new.created_at) == ("Damaged", new.updated_at)
    assert step.payment.refundable_minor == 1


def test_a_refund_without_an_amount_is_of_all_that_is_left() -> None:
    refunds = (refund(1, 4000), refund(2, 1000, "PENDING"), refund(3, 2000, "FAILED"))
    before = payment("CAPTURED", **CAPTURED, refunds=refunds)

    assert begun(commands.refund("r-9", None, None)(before))[1] == 5000


def test_no_more_is_refunded_than_is_left() -> None:
    before = payment("CAPTURED", **CAPTURED, refunds=(refund(1, 4000),))

    assert begun(commands.refund("r-9", Decimal(60), None)(before))[1] == 6000
    with pytest.raises(InvalidRequest) as caught:
        commands.refund("r-9", Decimal("60.01"), None)(before)
    assert caught.value.errors[0].message == (
        "must be at most 60 USD, what was captured and is not being refunded yet"
    )


def test_a_refund_key_names_one_refund() -> None:
    before = payment("CAPTURED", **CAPTURED)
    first = commands.refund("r-1", Decimal(40), "Damaged")(before).payment
    done = replace(first, operation=None)

    goes_on = commands.refund("r-1", Decimal("40.00"), "Damaged")(first)
    assert (goes_on.payment, goes_on.is_replay) == (first, False)
    replay = commands.refund("r-1", Decimal("40.00"), "Damaged")(done)
    assert replay == Step(done, is_replay=True)
    for amount, reason in ((Decimal(41), "Damaged"), (Decimal(40), None), (None, "Damaged")):
        for each in (first, done):
            with pytest.raises(IdempotencyKeyReused):
                commands.refund("r-1", amount, reason)(each)


def test_a_replay_of_a_refund_asks_for_no_other_operation() -> None:
    first = commands.refund("r-1", Decimal(40), None)(payment("CAPTURED", **CAPTURED)).payment
    second = commands.refund("r-2", Decimal(40), None)(replace(first, operation=None)).payment

    assert commands.refund("r-1", Decimal(40), None)(second).is_replay
    assert not commands.refund("r-2", Decimal(40), None)(second).is_replay


@pytest.mark.parametrize(("number", "is_too_many"), [(49, False), (50, True), (51, True)])
def test_the_fiftieth_refund_is_the_last(number: int, is_too_many: bool) -> None:
    refunds = tuple(refund(n, 1) for n in range(number))
    before = payment("CAPTURED", **CAPTURED, refunds=refunds)

    if is_too_many:
        refused = conflict(commands.refund("r-1", Decimal(1), None), before)
        assert str(refused) == "A payment has at most 50 refunds"
    else:
        assert begun(commands.refund("r-1", Decimal(1), None)(before))[0] == "refund"


@pytest.mark.parametrize("state", ["PENDING", "REQUIRES_ACTION", "PROCESSING", "AUTHORIZED"])
def test_what_is_not_paid_is_not_refunded(state: str) -> None:
    assert conflict(commands.refund("r-1", None, None), payment(state)).status == state


@pytest.mark.parametrize(("amount", "status"), [(10000, "REFUNDED"), (9999, "CAPTURED")])
def test_what_is_refunded_or_reserved_is_not_refunded_again(amount: int, status: str) -> None:
    kind = "SUCCEEDED" if status == "REFUNDED" else "PENDING"
    before = payment("CAPTURED", captured_minor=amount, refunds=(refund(1, amount, kind),))

    assert conflict(commands.refund("r-9", None, None), before).status == status


# Made in each test: a mutant is there from then on.
UNDER_WAY: dict[str, Callable[[], Command]] = {
    "start": lambda: commands.confirm,
    "complete": lambda: commands.confirm,
    "capture": lambda: commands.capture(None),
    "cancel": lambda: commands.cancel("Other"),
}
OTHERS = {
    "confirm": commands.confirm,
    "capture": commands.capture(None),
    "capture in part": commands.capture(Decimal(1)),
    "cancel": commands.cancel(None),
}


@pytest.mark.parametrize("kind", UNDER_WAY)
def test_the_same_call_goes_on_where_the_first_stopped(kind: str) -> None:
    before = payment("AUTHORIZED", operation=operation(kind, 10000 if kind == "capture" else None))
    step = UNDER_WAY[kind]()(before)

    assert step.payment is before
    assert (step.is_replay, step.facts) == (False, None)


@pytest.mark.parametrize("kind", UNDER_WAY)
@pytest.mark.parametrize("other", OTHERS)
def test_another_call_waits_for_what_is_under_way(kind: str, other: str) -> None:
    before = payment("AUTHORIZED", operation=operation(kind, 10000 if kind == "capture" else None))
    if other in (kind, operation(kind).cause):
        return

    with pytest.raises(OperationUnderWay):
        OTHERS[other](before)


def test_a_refund_under_way_keeps_another_waiting() -> None:
    first = commands.refund("r-1", Decimal(1), None)(payment("CAPTURED", **CAPTURED)).payment

    with pytest.raises(OperationUnderWay):
        commands.refund("r-2", Decimal(1), None)(first)
    assert commands.capture(None)(first).is_replay
    assert commands.confirm(first).is_replay


def test_the_calls_that_asked_for_operations() -> None:
    causes = {kind: operation(kind).cause for kind in (*UNDER_WAY, "refund")}

    assert causes == {
        "start": "confirm",
        "complete": "confirm",
        "capture": "capture",
        "cancel": "cancel",
        "refund": "refund",
    }


def test_an_update_is_for_manual_payments() -> None:
    refused = conflict(commands.update("CAPTURED"), payment("AUTHORIZED"))

    assert str(refused) == "The status of this payment is decided by scripted"


def test_an_update_says_what_happened_to_the_money() -> None:
    manual = payment("PENDING", gateway="manual")

    assert commands.update("CAPTURED")(manual) == Step(
        manual, "update", facts=Facts("CAPTURED", 10000)
    )
    assert commands.update("AUTHORIZED")(manual).facts == Facts("AUTHORIZED", 0)
    assert commands.update("PENDING")(manual) == Step(manual, is_replay=True)
    refused = conflict(commands.update("REFUNDED"), manual)
    assert str(refused) == "A PENDING payment cannot become REFUNDED by an update"
    assert refused.allowed == [
        *("REQUIRES_ACTION", "PROCESSING", "AUTHORIZED", "CAPTURED"),
        *("FAILED", "CANCELED", "EXPIRED"),
    ]


@pytest.mark.parametrize(
    "command", [commands.capture(Decimal("1.005")), commands.refund("r", Decimal("1.005"), None)]
)
def test_an_amount_has_no_more_decimals_than_its_currency(command: Command) -> None:
    with pytest.raises(InvalidRequest) as caught:
        command(payment("AUTHORIZED"))

    assert caught.value.errors == (("amount", "USD has 2 decimals, 1.005 has 3"),)
