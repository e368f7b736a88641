"""Which change of a payment is which event, and what an event says."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from shared.payments import lifecycle
from shared.payments.events import OF_STATUS, TYPES, Event, events, money
from shared.payments.payment import Payment
from shared.payments.shown import payment_json
from tests.unit.samples import AT, PAYMENT_ID, operation, payment, refund

REDIRECT = {"type": "redirect", "url": "https://pay.example/1", "expiresAt": AT}
DECLINED = {"code": "card_declined", "message": "No"}
HELD = {"authorized_until": AT}
PAID = {"captured_minor": 10000}


def told(before: Payment | None, after: Payment | None) -> list[str]:
    return [event.type.removeprefix("payment.") for event in events(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, payment(), ["created"]),
        (payment(), payment("REQUIRES_ACTION", next_action=REDIRECT), ["requires_action"]),
        (payment(operation=operation("start")), payment("AUTHORIZED", **HELD), ["authorized"]),
        (payment("AUTHORIZED", **HELD), payment("CAPTURED", **PAID), ["captured"]),
        (payment(), payment("CAPTURED", captured_minor=1), ["captured"]),
        (payment("AUTHORIZED", **HELD), payment("CANCELED"), ["canceled"]),
        # What was told before is not told again.
        (
            payment("CAPTURED", **PAID, refunds=(refund(1), refund(2, status="PENDING"))),
            payment("CAPTURED", **PAID, refunds=(refund(1), refund(2, status="FAILED"))),
            ["refund_failed"],
        ),
        (
            payment("CAPTURED", **PAID, refunds=(refund(1, status="FAILED"),)),
            payment("CAPTURED", **PAID, refunds=(refund(1, status="FAILED"), refund(2))),
            ["refunded"],
        ),
        (payment("AUTHORIZED", **HELD), payment("EXPIRED"), ["expired"]),
        (payment("REQUIRES_ACTION"), payment("FAILED", last_error=DECLINED), ["failed"]),
        (payment("CAPTURED", **PAID), payment("FAILED"), ["failed"]),  # the capture was reversed
        (payment("CANCELED"), payment("CAPTURED", **PAID), ["captured"]),  # after all
        (
            payment("CAPTURED", **PAID, refunds=(refund(status="PENDING"),)),
            payment("CAPTURED", **PAID, refunds=(refund(),)),
            ["refunded"],
        ),
        (
            payment("CAPTURED", **PAID, refunds=(refund(1),)),
            payment("CAPTURED", **PAID, refunds=(refund(1), refund(2, 6000))),
            ["refunded"],
        ),
        (
            payment("CAPTURED", **PAID, refunds=(refund(status="PENDING"),)),
            payment("CAPTURED", **PAID, refunds=(refund(status="FAILED"),)),
            ["refund_failed"],
        ),
        (
            payment("CAPTURED", **PAID, refunds=(refund(),)),  # one that had succeeded
            payment("CAPTURED", **PAID, refunds=(refund(status="FAILED"),)),
            ["refund_failed"],
        ),
        (  # one look at the gateway finds all of it
            payment(operation=operation("start")),
            payment("CAPTURED", **PAID, refunds=(refund(1), refund(2, status="FAILED"))),
            ["captured", "refunded", "refund_failed"],
        ),
        (  # another card was declined: the status is the same
            payment("REQUIRES_ACTION", next_action=REDIRECT),
            payment("REQUIRES_ACTION", next_action=REDIRECT, last_error=DECLINED),
            ["requires_action"],
        ),
        (  # the capture was refused: the money is still held
            payment("AUTHORIZED", **HELD, operation=operation("capture", 10000)),
            payment("AUTHORIZED", **HELD, last_error=DECLINED),
            ["authorized"],
        ),
    ],
)
def test_a_change_is_told(before: Payment | None, after: Payment, expected: list[str]) -> None:
    assert told(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (payment(), payment(operation=operation("start"))),
        (payment("AUTHORIZED", **HELD), payment("AUTHORIZED", operation=operation("cancel"))),
        (payment(operation=operation("start")), payment()),  # it did not happen
        (payment("REQUIRES_ACTION"), payment("REQUIRES_ACTION", due_at=AT, attempts=3)),
        (payment("AUTHORIZED"), payment("AUTHORIZED", version=9)),
        (payment("CAPTURED", **PAID), payment("CAPTURED", **PAID, references={"stripe": "pi_1"})),
        (
            payment("CAPTURED", **PAID),
            payment("CAPTURED", **PAID, refunds=(refund(status="PENDING"),)),
        ),
        (payment("FAILED"), payment("FAILED", last_error=DECLINED)),
        (payment("CAPTURED", **PAID), None),  # deleted by hand
    ],
)
def test_what_no_client_would_hear_of_is_no_event(before: Payment, after: Payment | None) -> None:
    assert told(before, after) == []


def test_every_status_that_is_known_for_sure_is_told() -> None:
    by_amounts = lifecycle.PAID
    silent = {lifecycle.PENDING, lifecycle.PROCESSING}

    assert set(OF_STATUS) == set(lifecycle.STATUSES) - by_amounts - silent
    assert len(TYPES) == len(set(TYPES)) == 9


def test_an_id_is_of_one_event_of_one_version_and_the_same_each_time() -> None:
    changed = payment("CAPTURED", **PAID, refunds=(refund(),), version=7)
    first = [event.event_id for event in events(payment(), changed)]
    again = [event.event_id for event in events(payment(), changed)]
    next_one = [event.event_id for event in events(payment(), replace(changed, version=8))]

    assert first == again == [f"{PAYMENT_ID}.7.captured", f"{PAYMENT_ID}.7.refunded"]
    assert not set(first) & set(next_one)


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (None, payment(), []),
        (payment("CAPTURED", **PAID), None, []),
        (payment(operation=operation("start")), payment("REQUIRES_ACTION"), []),
        (payment(), payment("AUTHORIZED", **HELD), [("AUTHORIZED", 10000)]),
        (payment("AUTHORIZED"), payment("AUTHORIZED", **HELD), []),  # told again, not held again
        (payment("AUTHORIZED"), payment("CAPTURED", captured_minor=6050), [("CAPTURED", 6050)]),
        (payment("AUTHORIZED", **HELD), payment("CANCELED"), [("CANCELED", 10000)]),
        (
            payment("CAPTURED", **PAID),
            payment("CAPTURED", **PAID, refunds=(refund(1), refund(2))),
            [("REFUNDED", 8000)],
        ),
        (
            payment("CAPTURED", **PAID, refunds=(refund(),)),
            payment("CAPTURED", **PAID, refunds=(refund(status="FAILED"),)),
            [("REFUNDED", -4000)],
        ),
        (
            payment("CAPTURED", **PAID),
            payment("FAILED"),
            [("CAPTURED", -10000), ("FAILED", 10000)],
        ),
    ],
)
def test_money_is_counted_where_it_moves(
    before: Payment | None, after: Payment | None, moved: list[tuple[str, int]]
) -> None:
    assert list(money(before, after)) == moved


SECRET = "not-to-be-told"


def whole() -> Payment:
    """Return a payment with something in every field, secrets where clients see none."""
    secrets: dict[str, Any] = {
        "fingerprint": SECRET,
        "references": {SECRET: SECRET},
        "operation": replace(operation("refund", 1, "ref_9"), operation_id=SECRET),
        "due_at": SECRET,
        "attempts": 424242,
        "refunds": (replace(refund(), fingerprint=SECRET),),
    }
    return payment(
        "CAPTURED",
        **PAID,
        **secrets,
        **HELD,
        description="ä 😀",
        metadata={"order": "1"},
        return_url="https://x.example",
        next_action=REDIRECT,
        last_error=DECLINED,
        cancellation_reason="reason",
        correlation_id="UkD1kF9kFiAEv2w=",
    )


def test_an_event_says_what_the_api_says_and_nothing_internal() -> None:
    made = whole()
    left_empty = {each.name for each in fields(Payment) if not getattr(made, each.name)}
    assert not left_empty

    [event] = [each for each in events(payment(), made) if each.type == "payment.captured"]
    detail = json.loads(event.detail)

    assert detail.pop("eventId") == event.event_id
    assert detail.pop("correlationId") == made.correlation_id
    assert detail == json.loads(payment_json(made, with_owner=True))
    assert SECRET not in event.detail
    assert "424242" not in event.detail
    assert {"listKey", "dueKey", "writeId", "schema", "state"}.isdisjoint(detail)


def test_the_largest_payment_fits_in_an_event() -> None:
    """Each character of another plane takes four bytes, and would take twelve as an escape."""
    long = "😀" * 255
    made = replace(
        whole(),
        description=long,
        metadata={f"{index:02}{'😀' * 38}": "😀" * 500 for index in range(20)},
        refunds=tuple(replace(refund(index), reason=long, error=long) for index in range(50)),
        history=whole().history * 100,
    )

    assert len(Event("payment.captured", made).detail.encode()) < 256 * 1024 - 1024
