"""What a gateway says becomes what is kept: once, in any order, and never less than is known."""

from shared.payments.facts import Facts, apply
from tests.unit.samples import operation, payment, refund


def test_a_refund_that_the_gateway_refused_has_failed_and_reserves_nothing() -> None:
    """A gateway that refuses a refund has none to tell of."""
    asked = payment(
        "CAPTURED",
        captured_minor=10000,
        refunds=(refund(status="PENDING"),),
        operation=operation("refund", 4000, "ref_1"),
    )
    error = {"code": "declined", "message": "The account is closed"}

    after = apply(asked, Facts("CAPTURED", 10000, last_error=error, answers="op_refund"))

    assert after.operation is None
    [failed] = after.refunds
    assert (failed.status, failed.error) == ("FAILED", "The account is closed")
    assert after.refundable_minor == 10000
