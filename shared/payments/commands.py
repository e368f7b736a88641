"""What a call asks of a payment: each returns the next step, or says why there is none.

A step is the payment with the operation that its gateway is to be asked for, or the payment as it
stands where the same was asked for before and has happened. Pure: a step that could not be kept,
since the payment changed meanwhile, is decided anew on the payment as it is then.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from shared.errors import (
    FieldError,
    IdempotencyKeyReused,
    InvalidRequest,
    OperationUnderWay,
    StatusConflict,
)
from shared.payments import ids, lifecycle
from shared.payments.clock import now
from shared.payments.facts import Facts
from shared.payments.limits import check_decimals
from shared.payments.money import to_major, to_minor
from shared.payments.payment import MANUAL, MAX_REFUNDS, Operation, Payment, Refund


@dataclass(frozen=True)
class Step:
    """What follows from a call.

    Attributes:
        payment: with the operation to ask the gateway for, if there is one.
        cause: the call, for the history, where there is a change.
        is_replay: the same was asked for before, and has happened.
        facts: what is known without asking the gateway.
    """

    payment: Payment
    cause: str = ""
    is_replay: bool = False
    facts: Facts | None = None


Command = Callable[[Payment], Step]
"""Raises InvalidRequest, StatusConflict, OperationUnderWay or IdempotencyKeyReused."""


def confirm(payment: Payment) -> Step:
    """Start the payment at its gateway, or take it further after the payer acted."""
    operation = payment.operation
    if operation and operation.kind in ("start", "complete"):
        return Step(payment)
    if payment.status in (lifecycle.AUTHORIZED, *lifecycle.PAID):
        return Step(payment, is_replay=True)
    _allow(payment, lifecycle.CONFIRM)
    if payment.status == lifecycle.PROCESSING:  # the gateway works on it
        return Step(payment, is_replay=True)
    is_new = payment.status == lifecycle.PENDING
    return Step(_begin(payment, "start" if is_new else "complete"), lifecycle.CONFIRM)


def capture(asked_for: Decimal | None) -> Command:
    """Take the money that is held, in full or in part; what is left is released."""

    def step(payment: Payment) -> Step:
        amount = _minor(payment, asked_for) or payment.amount_minor
        if payment.captured_minor:
            if payment.captured_minor == amount:
                return Step(payment, is_replay=True)
            shown = to_major(payment.captured_minor, payment.decimals)
            raise _conflict(payment, f"{shown} {payment.currency} is captured: captures are once")
        if _is_under_way(payment, lifecycle.CAPTURE, amount):
            return Step(payment)
        if payment.state == lifecycle.PROCESSING and payment.gateway != MANUAL:
            raise OperationUnderWay  # at the gateway, which works on it
        _allow(payment, lifecycle.CAPTURE)
        if amount > payment.amount_minor:
            raise _too_much(payment, payment.amount_minor, "the amount of the payment")
        return Step(_begin(payment, lifecycle.CAPTURE, amount), lifecycle.CAPTURE)

    return step


def cancel(reason: str | None) -> Command:
    """Give up a payment whose money is not captured."""

    def step(payment: Payment) -> Step:
        if payment.status == lifecycle.CANCELED:
            return Step(payment, is_replay=True)
        if _is_under_way(payment, lifecycle.CANCEL):
            return Step(payment)
        _allow(payment, lifecycle.CANCEL)
        payment = replace(payment, cancellation_reason=reason)
        if payment.state == lifecycle.PENDING:  # its gateway has never heard of it
            return Step(payment, lifecycle.CANCEL, facts=Facts(lifecycle.CANCELED))
        return Step(_begin(payment, lifecycle.CANCEL), lifecycle.CANCEL)

    return step


def refund(key: str, asked_for: Decimal | None, reason: str | None) -> Command:
    """Give money back, in full or in part: what the idempotency key names, once."""

    def step(payment: Payment) -> Step:
        refund_id = ids.refund_id(payment.payment_id, key)
        amount = _minor(payment, asked_for)
        fingerprint = ids.fingerprint(amount, reason)
        if known := payment.refund(refund_id):
            if known.fingerprint != fingerprint:
                raise IdempotencyKeyReused
            is_under_way = payment.operation and payment.operation.refund_id == refund_id
            return Step(payment, is_replay=not is_under_way)
        _allow(payment, lifecycle.REFUND)
        if len(payment.refunds) >= MAX_REFUNDS:
            raise _conflict(payment, f"A payment has at most {MAX_REFUNDS} refunds")
        left = payment.refundable_minor
        amount = amount or left
        if not left:
            raise _conflict(payment, "All that was captured is refunded, or is being refunded")
        if amount > left:
            raise _too_much(payment, left, "what was captured and is not being refunded yet")
        at = now()
        new = Refund(refund_id, amount, "PENDING", at, at, reason, fingerprint)
        begun = _begin(payment, lifecycle.REFUND, amount, refund_id)
        return Step(begun.with_refund(new), lifecycle.REFUND)

    return step


def update(status: str) -> Command:
    """Record what happened to a manual payment."""

    def step(payment: Payment) -> Step:
        if payment.gateway != MANUAL:
            raise _conflict(payment, f"The status of this payment is decided by {payment.gateway}")
        if payment.status == status:
            return Step(payment, is_replay=True)
        allowed = lifecycle.may_become(payment.status, lifecycle.UPDATE)
        if status not in allowed:
            message = f"A {payment.status} payment cannot become {status} by an update"
            raise StatusConflict(payment.status, allowed, message)
        captured = payment.amount_minor if status == lifecycle.CAPTURED else 0
        return Step(payment, lifecycle.UPDATE, facts=Facts(status, captured))

    return step


def _minor(payment: Payment, amount: Decimal | None) -> int | None:
    """Return an amount of the payment's currency in minor units.

    Raises:
        InvalidRequest: the currency has fewer decimals, or the gateway.
    """
    if amount is None:
        return None
    try:
        minor = to_minor(amount, payment.currency, payment.decimals)
    except ValueError as error:
        raise InvalidRequest(FieldError("amount", str(error))) from None
    check_decimals(payment, minor)
    return minor


def _begin(
    payment: Payment, kind: str, amount_minor: int | None = None, refund_id: str | None = None
) -> Payment:
    operation = Operation(ids.new_operation_id(), kind, now(), amount_minor, refund_id)
    return replace(payment, operation=operation)


def _is_under_way(payment: Payment, kind: str, amount_minor: int | None = None) -> bool:
    operation = payment.operation
    return operation is not None and (operation.kind, operation.amount_minor) == (
        kind,
        amount_minor,
    )


def _allow(payment: Payment, call: str) -> None:
    """Check that nothing else is under way, and that the status allows the call.

    Raises:
        OperationUnderWay, StatusConflict: it does not.
    """
    if payment.operation:
        raise OperationUnderWay
    if not lifecycle.allows(payment.status, call):
        raise _conflict(payment, f"A {payment.status} payment does not allow {call}")
    needs_authorization = call == lifecycle.CAPTURE and payment.gateway != MANUAL
    if needs_authorization and payment.status != lifecycle.AUTHORIZED:
        raise _conflict(payment, f"A {payment.status} payment does not allow {call}")


def _conflict(payment: Payment, message: str) -> StatusConflict:
    return StatusConflict(payment.status, lifecycle.may_become(payment.status), message)


def _too_much(payment: Payment, most_minor: int, what: str) -> InvalidRequest:
    most = to_major(most_minor, payment.decimals)
    return InvalidRequest(
        FieldError("amount", f"must be at most {most} {payment.currency}, {what}")
    )
