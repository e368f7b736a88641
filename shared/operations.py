"""Calls that move a payment on: write it down, ask its gateway, keep what the gateway says.

1. The operation is written into the payment's own item before the gateway is asked, on condition
   that the payment has not changed meanwhile.
2. The gateway is asked under the operation's id.
3. What it says is kept on the same condition. A payment that changed since it was read is read
   again and the gateway is asked for its present word, so that older facts never replace newer.

An answer that is not known leaves the operation under way. The same call again takes it up, or
`settle` does: the gateway is asked what happened, and for the operation again where nothing did.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from shared.api.log import measure
from shared.errors import (
    GatewayUnavailable,
    OperationUnderWay,
    PaymentApiError,
    PaymentNotFound,
    StatusConflict,
    StoreUnavailable,
    VersionMismatch,
)
from shared.gateway_calls import asked
from shared.gateways.manual import Manual
from shared.gateways.port import Gateway
from shared.payments import lifecycle
from shared.payments.clock import now, seconds_between
from shared.payments.commands import Command, confirm
from shared.payments.facts import Facts, abandon, apply, is_over, next_look, revise
from shared.payments.payment import AGREED, MANUAL, Operation, Payment
from shared.store.payments import PaymentChanged, PaymentRepository, payments

TRIES = 10
"""How often a payment that others change at the same time is decided anew."""

LATE_SECONDS = 3600
"""How long after it was sent a request may still reach a gateway, or its effect show there."""


@dataclass(frozen=True)
class Outcome:
    """The payment after a call.

    Attributes:
        is_replay: the same call happened before, and nothing changed now.
        is_known: the gateway's answer is; else the operation is under way.
    """

    payment: Payment
    is_replay: bool = False
    is_known: bool = True


class Operations:
    """Moves payments of a store on, with the help of their gateways."""

    def __init__(self, payments: PaymentRepository, gateways: Mapping[str, Gateway]) -> None:
        self._payments = payments
        self._gateways = gateways

    def run(
        self,
        payment: Payment,
        command: Command,
        version: int | None = None,
        correlation_id: str | None = None,
    ) -> Outcome:
        """Do what a command asks of a payment.

        Args:
            payment: as it was read.
            command: decides the next step, again each time the payment changed meanwhile.
            version: the one to change (If-Match).
            correlation_id: of the call. One that continues an operation leaves the first call's.

        Raises:
            VersionMismatch: the payment has another version by now.
            StatusConflict: its status does not allow it, or the gateway decided otherwise.
            StoreUnavailable: the store is away, or the payment changes faster than this can.
        """
        for _ in range(TRIES):
            is_stale = version not in (None, payment.version)
            try:
                step = command(payment)
            except PaymentApiError:
                if is_stale:
                    raise VersionMismatch from None
                raise
            if step.is_replay:  # what a client asked for again, with the version of the first time
                return Outcome(payment, is_replay=True)
            goes_on = step.payment is payment and step.facts is None
            if is_stale and not goes_on:
                raise VersionMismatch
            gateway = self._gateway(payment)
            after, facts = step.payment, step.facts
            if correlation_id and not goes_on:
                after = replace(after, correlation_id=correlation_id)
            if facts is None and gateway.is_instant:
                facts = _ask(gateway, after)
            if facts is not None:
                after = apply(after, facts)
            try:
                kept = self._payments.save(revise(payment, after, step.cause), payment)
            except PaymentChanged as changed:
                payment = changed.payment
                continue
            return Outcome(kept) if facts is not None else self._asked(kept, is_new=not goes_on)
        raise StoreUnavailable

    def _asked(self, payment: Payment, *, is_new: bool) -> Outcome:
        """Ask for the operation under way, and keep the answer.

        Raises:
            StatusConflict: the gateway decided otherwise.
        """
        operation = payment.operation
        assert operation  # noqa: S101 - it was just kept
        try:
            if is_new:
                facts = _ask(self._gateway(payment), payment)
                payment = self._keep(payment, facts, operation.cause)
            else:
                payment = self._resume(payment)
        except GatewayUnavailable:
            return Outcome(payment, is_known=False)
        if payment.operation == operation:
            return Outcome(payment, is_known=False)
        if operation.kind in ("capture", "cancel"):
            if payment.state == lifecycle.PROCESSING and not payment.last_error:
                return Outcome(payment, is_known=False)
            if not _is_reached(payment, operation):
                message = (payment.last_error or {}).get("message", "The gateway decided otherwise")
                allowed = lifecycle.may_become(payment.status)
                raise StatusConflict(payment.status, allowed, message)
        return Outcome(payment)

    def _resume(self, payment: Payment) -> Payment:
        """Take an operation up again: ask what happened, then for what did not happen yet.

        Raises:
            GatewayUnavailable: the gateway's answer is not known.
        """
        payment = self.learn(payment)
        operation = payment.operation
        gateway = self._gateway(payment)
        if operation is None or _age(operation) >= gateway.repeat_seconds:
            return payment
        try:  # whoever asked before does not decide any more, by an answer that is older
            payment = self._payments.save(replace(payment, version=payment.version + 1), payment)
        except PaymentChanged as changed:
            return changed.payment
        facts = _ask(gateway, payment)
        if not is_over(operation, facts):  # it may be the gateway's first answer, as it was then
            facts = replace(self._fetch(payment), references=facts.references)
        return self._keep(payment, facts, operation.cause)

    def learn(self, payment: Payment) -> Payment:
        """Ask the gateway for everything that it knows of the payment, and keep it.

        Raises:
            GatewayUnavailable: its answer is not known.
        """
        return self._keep(payment, self._fetch(payment), "gateway")

    def hear(self, payment_id: str, gateway: str) -> Payment:
        """Ask a gateway what happened to a payment that its webhook is about, and keep the answer.

        Raises:
            PaymentNotFound: there is none such of this gateway.
            GatewayUnavailable, StoreUnavailable: it cannot be known now.
        """
        payment = self._payments.get(payment_id, owner=None)
        if payment.gateway != gateway:
            raise PaymentNotFound
        return self._go_on(self.learn(payment))

    def _go_on(self, payment: Payment) -> Payment:
        """Take a payment further whose payer has agreed to it: at some gateways, this moves it."""
        if (payment.next_action or {}).get("type") != AGREED or payment.operation:
            return payment
        try:
            outcome = self.run(payment, confirm)
        except (OperationUnderWay, StatusConflict):  # a cancel was first
            return payment
        if not outcome.is_known:
            raise GatewayUnavailable
        return outcome.payment

    def settle(self, payment_id: str) -> Payment:
        """Take up a payment that is due: ask what happened, and repeat what did not.

        Of two that do this at once, one goes on. The next time is later each time. An operation
        that did not happen, and may not be repeated any more, is given up.
        """
        payment = self._payments.get(payment_id, owner=None)
        if not payment.due_at or payment.due_at > now():
            return payment
        if payment.operation:
            measure("OperationAge", _age(payment.operation), "Seconds")
        try:
            payment = self._payments.postpone(payment, next_look(payment))
            payment = self._go_on(self._resume(payment))
            operation = payment.operation
            window = self._gateway(payment).repeat_seconds + LATE_SECONDS
            if operation and _age(operation) >= window:
                payment = self._payments.save(
                    revise(payment, abandon(payment), operation.cause), payment
                )
        except (PaymentChanged, GatewayUnavailable):
            pass
        return payment

    def _keep(self, payment: Payment, facts: Facts, cause: str) -> Payment:
        """Keep facts that were learnt after the payment was read."""
        for _ in range(TRIES):
            try:
                return self._payments.save(revise(payment, apply(payment, facts), cause), payment)
            except PaymentChanged as changed:
                payment = changed.payment
                facts = self._fetch(payment)
        raise StoreUnavailable

    def _fetch(self, payment: Payment) -> Facts:
        return asked(payment, "fetch", lambda: self._gateway(payment).fetch(payment))

    def _gateway(self, payment: Payment) -> Gateway:
        """Return the payment's gateway.

        Raises:
            GatewayUnavailable: this stack has no such gateway any more.
        """
        gateway = self._gateways.get(payment.gateway)
        if gateway is None:
            raise GatewayUnavailable
        return gateway


@cache
def manual_operations() -> Operations:
    """Return the operations on payments whose money moves elsewhere."""
    return Operations(payments(), {MANUAL: Manual()})


def _ask(gateway: Gateway, payment: Payment) -> Facts:
    """Ask the gateway for the payment's operation under way."""
    operation = payment.operation
    assert operation  # noqa: S101
    ask = {
        "start": gateway.start,
        "complete": gateway.complete,
        "capture": gateway.capture,
        "cancel": gateway.cancel,
        "refund": gateway.refund,
    }
    kind = operation.kind
    return asked(payment, kind, lambda: ask[kind](payment, operation))


def _is_reached(payment: Payment, operation: Operation) -> bool:
    """Tell whether a capture or a cancel led to what it was for."""
    if operation.kind == "capture":
        return payment.captured_minor == operation.amount_minor
    return payment.status == lifecycle.CANCELED


def _age(operation: Operation) -> float:
    return seconds_between(operation.since, now())
