"""One payment that is due, and what the log and the metrics say of it."""

from shared.api.log import count, logger
from shared.api.response import ids_of
from shared.wiring import operations


def settle(payment_id: str) -> None:
    """Take up a payment that is due.

    What comes of it is counted: `unknown`, its operation is still under way; `waiting`, for its
    payer or its gateway, to be looked at again; `done`, nothing is due any more.
    """
    payment = operations().settle(payment_id)
    outcome = "unknown" if payment.operation else "waiting" if payment.due_at else "done"
    logger().info("settled", extra={**ids_of(payment), "outcome": outcome})
    count("PaymentsSettled", outcome=outcome)
