"""Which change of a payment is which event: the payment before and after it in, events out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from shared.payments import lifecycle
from shared.payments.payment import Payment
from shared.payments.shown import payment_json

CREATED = "payment.created"
CAPTURED = "payment.captured"
REFUNDED = "payment.refunded"
REFUND_FAILED = "payment.refund_failed"

# By the status that a payment has come to. PENDING and PROCESSING are no news: the outcome is.
# The statuses of money that is here are told by the amounts.
OF_STATUS: Mapping[str, str] = {
    lifecycle.REQUIRES_ACTION: "payment.requires_action",
    lifecycle.AUTHORIZED: "payment.authorized",
    lifecycle.FAILED: "payment.failed",
    lifecycle.CANCELED: "payment.canceled",
    lifecycle.EXPIRED: "payment.expired",
}

TYPES = (CREATED, *OF_STATUS.values(), CAPTURED, REFUNDED, REFUND_FAILED)


@dataclass(frozen=True)
class Event:
    """Something that happened to a payment.

    Attributes:
        type: one of TYPES.
        payment: as the change left it.
    """

    type: str
    payment: Payment

    @property
    def event_id(self) -> str:
        """The same whenever this event is told again, and no other event's."""
        name = self.type.partition(".")[2]
        return f"{self.payment.payment_id}.{self.payment.version}.{name}"

    @cached_property
    def detail(self) -> str:
        """The payment as the API shows it to the back office, after the event's ids: JSON."""
        shown = payment_json(self.payment, with_owner=True, in_ascii=False)
        ids = {"eventId": self.event_id, "correlationId": self.payment.correlation_id}
        return f"{json.dumps(ids)[:-1]}, {shown[1:]}"


def events(before: Payment | None, after: Payment | None) -> list[Event]:
    """Return what a change of a payment is, in the order that it happened.

    `before` is None where it was created, `after` where it was deleted by hand, which is no event.
    Nor is a change that no client would hear of.
    """
    return [Event(kind, after) for kind in _types(before, after)] if after else []


def money(before: Payment | None, after: Payment | None) -> Iterator[tuple[str, int]]:
    """Yield to which status a change of a payment brought money, and how much, minor units.

    Less than zero where it is gone again: a capture was reversed, or a refund came back.
    """
    if before is None or after is None:
        return
    if captured := after.captured_minor - before.captured_minor:
        yield lifecycle.CAPTURED, captured
    if refunded := after.refunded_minor - before.refunded_minor:
        yield lifecycle.REFUNDED, refunded
    is_new = after.status != before.status
    if is_new and after.status in (lifecycle.AUTHORIZED, *lifecycle.ENDS):
        yield after.status, after.amount_minor


def _types(before: Payment | None, after: Payment) -> Iterator[str]:
    if before is None:
        yield CREATED
        return
    if after.captured_minor > before.captured_minor:
        yield CAPTURED
    if _ended(after, "SUCCEEDED") - _ended(before, "SUCCEEDED"):
        yield REFUNDED
    if _ended(after, "FAILED") - _ended(before, "FAILED"):
        yield REFUND_FAILED
    if after.status in OF_STATUS and _place(after) != _place(before):
        yield OF_STATUS[after.status]


def _ended(payment: Payment, status: str) -> set[str]:
    return {refund.refund_id for refund in payment.refunds if refund.status == status}


def _place(payment: Payment) -> tuple[object, ...]:
    """Return where a payment stands, and why.

    A second declined card leaves the status as it is, and still is news for whoever waits.
    """
    if payment.status in lifecycle.ENDS:
        return (payment.status,)
    return payment.status, payment.next_action, payment.authorized_until, payment.last_error
