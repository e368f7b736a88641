"""What a gateway says becomes what is kept: once, in any order, and never less than is known."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payments.clock import later
from shared.payments.facts import (
    FIRST_LOOK_SECONDS,
    LOOK_AGAIN_SECONDS,
    PAYER_SECONDS,
    Facts,
    RefundFacts,
    abandon,
    apply,
    is_over,
    revise,
)
from shared.payments.lifecycle import STATUSES, status_of
from shared.payments.payment import Payment
from tests.unit.samples import AT, operation, payment, refund


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
    page = {"type": "redirect", "url": "https://pay.example/"}
    after = apply(payment(end), Facts(word, next_action=page))

    assert (after.state, after.next_action) == (end, None)


@pytest.mark.parametrize("end", ["FAILED", "CANCELED", "EXPIRED"])
@pytest.mark.parametrize(("word", "captured"), [("AUTHORIZED", 0), ("CAPTURED", 1)])
def test_the_gateway_s_word_about_money_overrules_an_end(
    end: str, word: str, captured: int
) -> None:
    before = payment(end)
    after = revise(before, apply(before, Facts(word, captured)), "gateway")

    assert (after.status, after.state, after.captured_minor) == (word, word, captured)


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


amounts = st.integers(0, 10000)
texts = st.sampled_from([None, "", "x"])
objects = st.sampled_from([None, {}, {"code": "declined", "message": "No"}])
refund_facts = st.lists(
    st.builds(
        RefundFacts,
        st.sampled_from(["ref_1", "ref_2", "re_3"]),
        amounts,
        st.sampled_from(["PENDING", "SUCCEEDED", "FAILED"]),
        texts,
    ),
    max_size=3,
    unique_by=lambda each: each.refund_id,
).map(tuple)
all_facts = st.builds(
    Facts,
    st.sampled_from(STATUSES),
    amounts,
    refund_facts,
    next_action=objects,
    authorized_until=texts,
    last_error=objects,
    references=st.sampled_from([{}, {"id": "1"}, {"capture": "2"}]),
    answers=st.sampled_from([None, "op_start", "op_capture", "op_refund", "op_other"]),
)
operations = st.sampled_from(
    [
        None,
        operation("start"),
        operation("complete"),
        operation("capture", 10000),
        operation("cancel"),
        operation("refund", 4000, "ref_1"),
    ]
)
payments = st.builds(
    payment,
    st.sampled_from(STATUSES),
    captured_minor=amounts,
    refunds=st.sampled_from([(), (refund(status="PENDING"),), (refund(), refund(2, 100))]),
    operation=operations,
    references=st.sampled_from([None, {"id": "0"}]),
)


@given(payments, all_facts)
def test_the_same_facts_twice_change_nothing_more(before: Payment, facts: Facts) -> None:
    once = revise(before, apply(before, facts), "gateway")
    twice = revise(once, apply(once, facts), "gateway")

    assert twice is once


@given(payments, all_facts)
def test_what_is_kept_follows_from_what_is_known(before: Payment, facts: Facts) -> None:
    after = revise(before, apply(before, facts), "gateway")

    if after is before:
        return
    assert after.version == before.version + 1
    done = [each.amount_minor for each in after.refunds if each.status == "SUCCEEDED"]
    assert after.refunded_minor == sum(done)
    is_under_way = after.operation is not None and after.operation.kind != "refund"
    assert after.status == status_of(
        after.state, after.captured_minor, after.refunded_minor, is_under_way=is_under_way
    )
    assert after.history[: len(before.history)] == before.history
    changes = [change.status for change in after.history[len(before.history) :]]
    assert changes == ([after.status] if after.status != before.status else [])
    assert {each.refund_id for each in before.refunds} <= {e.refund_id for e in after.refunds}


def test_every_fact_is_kept() -> None:
    before = payment("REQUIRES_ACTION", references={"session": "1"})
    facts = Facts(
        "AUTHORIZED",
        next_action={"type": "redirect"},
        authorized_until="2026-12-01T00:00:00.000Z",
        last_error={"code": "declined"},
        references={"intent": "2"},
    )

    after = apply(before, facts)

    assert after.state == "AUTHORIZED"
    assert after.next_action == {"type": "redirect"}
    assert after.authorized_until == "2026-12-01T00:00:00.000Z"
    assert after.last_error == {"code": "declined"}
    assert after.references == {"session": "1", "intent": "2"}


def test_what_a_gateway_left_out_is_no_value() -> None:
    """The store refuses a text that is none: the payment could not be kept any more."""
    said: Any = {"code": None, "message": "No"}
    after = apply(
        payment("REQUIRES_ACTION"),
        Facts("REQUIRES_ACTION", next_action=said, last_error=said, references=said),
    )

    for each in (after.next_action, after.last_error, after.references):
        assert each == {"message": "No"}


OVER: dict[str, set[str]] = {
    "start": {*STATUSES} - {"PENDING"},
    "complete": {"AUTHORIZED", "FAILED", "CANCELED", "EXPIRED"},
    "capture": {"FAILED", "CANCELED", "EXPIRED"},
    "cancel": {"FAILED", "CANCELED", "EXPIRED"},
    "refund": set(),
}


@pytest.mark.parametrize("kind", OVER)
@pytest.mark.parametrize("state", STATUSES)
def test_an_operation_is_over_by_its_answer_or_by_what_is_so(kind: str, state: str) -> None:
    asked = operation(kind, refund_id="ref_1" if kind == "refund" else None)

    assert is_over(asked, Facts(state)) == (state in OVER[kind])
    assert is_over(asked, Facts(state, answers=f"op_{kind}"))
    assert is_over(asked, Facts(state, answers="op_other")) == (state in OVER[kind])
    assert is_over(asked, Facts(state, 1)) == (kind != "refund" and (state, kind) != LONE)
    known = (RefundFacts("ref_1", 1, "PENDING"), RefundFacts("ref_2", 1, "FAILED"))
    assert is_over(asked, Facts(state, refunds=known)) == (kind == "refund" or state in OVER[kind])
    assert is_over(asked, Facts(state, refunds=known[1:])) == (state in OVER[kind])


LONE = ("PENDING", "start")  # money without a payment: no gateway says so


def test_a_refund_is_made_of_the_gateway_s_or_changed_by_it() -> None:
    before = payment("CAPTURED", captured_minor=10000, refunds=(refund(1, 4000, "PENDING"),))
    said = (RefundFacts("ref_1", 3000, "FAILED", "No"), RefundFacts("re_2", 500, "SUCCEEDED"))

    first, second = apply(before, Facts("CAPTURED", 10000, said)).refunds

    assert (first.amount_minor, first.status, first.error) == (3000, "FAILED", "No")
    assert first.created_at == AT < first.updated_at
    assert (second.refund_id, second.amount_minor, second.status) == ("re_2", 500, "SUCCEEDED")
    assert second.created_at == second.updated_at > AT
    assert second.error is None


@pytest.mark.parametrize(
    "said",
    [
        RefundFacts("ref_1", 4001, "SUCCEEDED"),
        RefundFacts("ref_1", 4000, "FAILED"),
        RefundFacts("ref_1", 4000, "SUCCEEDED", "x"),
    ],
)
def test_each_part_of_a_refund_that_differs_is_a_change(said: RefundFacts) -> None:
    before = payment("CAPTURED", captured_minor=10000, refunds=(refund(),))

    [after] = apply(before, Facts("CAPTURED", 10000, (said,))).refunds

    assert (after.amount_minor, after.status, after.error) == (
        said.amount_minor,
        said.status,
        said.error,
    )


def test_what_is_given_up_leaves_the_rest_as_it_was() -> None:
    capturing = payment("AUTHORIZED", operation=operation("capture", 10000))
    refunding = payment(
        "CAPTURED",
        captured_minor=10000,
        refunds=(refund(1, 4000, "PENDING"), refund(2, 100, "PENDING")),
        operation=operation("refund", 4000, "ref_1"),
    )

    assert abandon(capturing) == replace(capturing, operation=None)
    given_up = abandon(refunding)
    assert [each.status for each in given_up.refunds] == ["FAILED", "PENDING"]
    assert given_up.refunds[0].error == "It did not happen"
    assert given_up.refunds[0].updated_at > AT
    assert (given_up.operation, given_up.refundable_minor) == (None, 9900)
    assert abandon(payment("AUTHORIZED")) == payment("AUTHORIZED")


def test_a_change_has_the_next_version_its_time_and_a_place_in_the_history() -> None:
    before = payment("AUTHORIZED", version=7, attempts=3)
    after = revise(before, replace(before, operation=operation("capture", 1)), "capture")
    silent = revise(after, replace(after, description="x"), "gateway")

    assert (after.version, after.status, after.attempts) == (8, "PROCESSING", 0)
    assert after.updated_at > AT
    [made, change] = after.history
    assert (made.status, change.status, change.cause) == ("PENDING", "PROCESSING", "capture")
    assert change.at == after.updated_at
    assert (silent.version, silent.history) == (9, after.history)


def test_a_refund_under_way_is_no_processing() -> None:
    paid = payment("CAPTURED", captured_minor=10000)
    after = revise(paid, replace(paid, operation=operation("refund", 1, "ref_1")), "refund")

    assert after.status == "CAPTURED"


def test_nothing_new_is_no_version() -> None:
    before = payment("AUTHORIZED", authorized_until="2026-12-01T00:00:00.000Z")

    assert revise(before, replace(before), "gateway") is before


def test_a_history_has_its_first_entry_and_the_last_ones_a_hundred_at_most() -> None:
    changed = payment("AUTHORIZED", gateway="manual")
    for number in range(150):
        asked = replace(changed, operation=operation("capture", number + 1))
        changed = revise(changed, asked, f"ask-{number}")
        changed = revise(changed, replace(changed, operation=None), f"refuse-{number}")
        assert len(changed.history) == min(1 + 2 * (number + 1), 100)

    assert changed.history[0].cause == "create"
    expected = [f"{what}-{n}" for n in range(150) for what in ("ask", "refuse")]
    assert [change.cause for change in changed.history[1:]] == expected[-99:]


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"state": "AUTHORIZED", "operation": operation("capture", 1)}, FIRST_LOOK_SECONDS),
        ({"state": "CAPTURED", "captured_minor": 9, "operation": operation("refund")}, 30),
        ({"state": "PROCESSING"}, LOOK_AGAIN_SECONDS),
        ({"state": "CAPTURED", "captured_minor": 9, "refunds": (refund(1, 9, "PENDING"),)}, 60),
        ({"state": "CAPTURED", "captured_minor": 9, "refunds": (refund(1, 9),)}, None),
        ({"state": "CAPTURED", "captured_minor": 9}, None),
        ({"state": "AUTHORIZED"}, LOOK_AGAIN_SECONDS),
        ({"state": "REQUIRES_ACTION"}, PAYER_SECONDS),
        ({"state": "REQUIRES_ACTION", "next_action": {"type": "redirect"}}, 300),
        ({"state": "PENDING"}, None),
        ({"state": "FAILED"}, None),
        ({"state": "CANCELED"}, None),
        ({"state": "EXPIRED"}, None),
    ],
)
def test_a_gateway_is_asked_again_when_there_is_something_to_learn(
    fields: dict[str, Any], seconds: int | None
) -> None:
    now = revise(payment(), replace(payment(**fields), description="x"), "gateway")
    manual = revise(payment(), replace(payment(**fields), gateway="manual"), "gateway")

    since = now.operation.since if now.operation else now.updated_at
    assert now.due_at == (seconds and later(since, seconds))
    assert manual.due_at is None


def test_a_deadline_is_looked_at_when_it_has_passed() -> None:
    before = payment("AUTHORIZED")
    fields = {"authorized_until": "2026-12-01T00:00:00.000Z"}
    after = revise(before, replace(before, **fields), "gateway")

    assert after.due_at == "2026-12-01T00:01:00.000Z"
