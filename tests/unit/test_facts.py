"""What a gateway says becomes what is kept: once, in any order, and never less than is known."""

from typing import Any

import pytest

from shared.payments.facts import Facts, RefundFacts, apply, revise
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


@pytest.mark.parametrize("end", ["FAILED", "CANCELED", "EXPIRED"])
@pytest.mark.parametrize("word", ["REQUIRES_ACTION", "PROCESSING", "FAILED", "EXPIRED", "CANCELED"])
def test_an_ended_payment_does_not_come_back_without_money(end: str, word: str) -> None:
    """An order that was canceled here stays open at a gateway that cannot cancel it."""
    before = payment(end)

    assert apply(before, Facts(word)).state == end


@pytest.mark.parametrize("end", ["FAILED", "CANCELED", "EXPIRED"])
@pytest.mark.parametrize(("word", "captured"), [("AUTHORIZED", 0), ("CAPTURED", 10000)])
def test_the_gateway_s_word_about_money_overrules_an_end(
    end: str, word: str, captured: int
) -> None:
    before = payment(end)
    after = revise(before, apply(before, Facts(word, captured)), "gateway")

    assert (after.status, after.captured_minor) == (word, captured)


@pytest.mark.parametrize(
    "before",
    [
        payment("AUTHORIZED"),
        payment("CAPTURED", captured_minor=10000),
        payment("AUTHORIZED", operation=operation("capture", 10000)),
        payment("REQUIRES_ACTION", next_action={"type": "redirect"}),
    ],
)
def test_nothing_is_learnt_from_a_gateway_that_knows_nothing(before: Any) -> None:
    """It may read from a copy that is behind. A second start would be a second payment."""
    assert apply(before, Facts("PENDING")) == before


def test_nothing_that_is_empty_is_a_change() -> None:
    """The store keeps nothing that is empty: each look would be a new version."""
    before = payment("REQUIRES_ACTION", refunds=(refund(),))
    facts = Facts(
        "REQUIRES_ACTION",
        refunds=(RefundFacts("ref_1", 4000, "SUCCEEDED", ""),),
        next_action={},
        authorized_until="",
        last_error={},
    )

    assert apply(before, facts) == before
