"""What a call asks of a payment: the next step, or why there is none."""

from decimal import Decimal

import pytest

from shared.errors import OperationUnderWay, StatusConflict
from shared.payments import commands
from tests.unit.samples import payment, refund


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
