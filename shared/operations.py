"""Calls that move a payment on: write it down, ask its gateway, keep what the gateway says.

1. The operation is written into the payment's own item before the gateway is asked, on condition
   that the payment has not changed meanwhile.
2. The gateway is asked under the operation's id, as often as need be.
3. What it says is kept on the same condition. A payment that changed since it was read is read
   again and the gateway is asked for its present word, so that older facts never replace newer.

An answer that is not known leaves the operation under way; `settle` takes it up later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from shared.api.log import gauge
from shared.errors import (
    GatewayUnavailable,
    PaymentApiError,
    StatusConflict,
    StoreUnavailable,
    VersionMismatch,
)
from shared.gateways import gateways
from shared.gateways.port import Gateway
from shared.payments import lifecycle
from shared.payments.clock import later, now, seconds_between
from shared.payments.commands import Command
from shared.payments.facts import FIRST_LOOK_SECONDS, Facts, abandon, apply, revise
from shared.payments.payment import Operation, Payment
from shared.store.payments import PaymentChanged, PaymentRepository, payments

TRIES = 10
"""How often a payment that others change at the same time is decided anew."""

LONGEST_WAIT_SECONDS = 600
"""The longest pause between two looks at an operation under way."""

LONGEST_IDLE_SECONDS = 86_400
"""The same for a payment that waits for its payer, or for its gateway."""


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

    def run(self, payment: Payment, command: Command, version: int | None = None) -> Outcome:
        """Do what a command asks of a payment; `version` is the one to change (If-Match).

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
            gateway = self._gateways[payment.gateway]
            after, facts = step.payment, step.facts
            if facts is None and gateway.is_instant:
                facts = _ask(gateway, after)
            if facts is not None:
                after = apply(after, facts)
            try:
                kept = self._payments.save(revise(payment, after, step.cause), payment)
            except PaymentChanged as changed:
                payment = changed.payment
                continue
            return Outcome(kept) if facts is not None else self._asked(kept)
        raise StoreUnavailable

    def _asked(self, payment: Payment) -> Outcome:
        """Ask for the operation under way, and keep the answer."""
        operation = payment.operation
        assert operation  # noqa: S101 - it was just kept
        try:
            facts = _ask(self._gateways[payment.gateway], payment)
            payment = self._keep(payment, facts, operation.cause)
        except GatewayUnavailable:
            return Outcome(payment, is_known=False)
        is_known = payment.operation is None or payment.operation != operation
        if is_known and not _is_reached(payment, operation):
            message = (payment.last_error or {}).get("message", "The gateway decided otherwise")
            raise StatusConflict(payment.status, lifecycle.may_become(payment.status), message)
        return Outcome(payment, is_known=is_known)

    def learn(self, payment: Payment) -> Payment:
        """Ask the gateway for everything that it knows of the payment, and keep it.

        Raises:
            GatewayUnavailable: its answer is not known.
        """
        return self._keep(payment, self._gateways[payment.gateway].fetch(payment), "gateway")

    def settle(self, payment_id: str) -> Payment:
        """Take up a payment that is due: ask what happened, and repeat what did not.

        Of two that do this at once, one goes on. The next time is later each time.
        """
        payment = self._payments.get(payment_id, owner=None)
        if not payment.due_at or payment.due_at > now():
            return payment
        longest = LONGEST_IDLE_SECONDS
        if payment.operation:
            gauge("OperationAge", seconds_between(payment.operation.since, now()))
            longest = LONGEST_WAIT_SECONDS
        wait = min(FIRST_LOOK_SECONDS * 2**payment.attempts, longest)
        try:
            payment = self._payments.postpone(payment, later(now(), wait))
            payment = self.learn(payment)
            operation = payment.operation
            if operation is None:
                return payment
            gateway = self._gateways[payment.gateway]
            if seconds_between(operation.since, now()) < gateway.repeat_seconds:
                return self._keep(payment, _ask(gateway, payment), operation.cause)
            return self._payments.save(revise(payment, abandon(payment), operation.cause), payment)
        except (GatewayUnavailable, PaymentChanged):
            return payment

    def _keep(self, payment: Payment, facts: Facts, cause: str) -> Payment:
        """Keep facts that were learnt after the payment was read."""
        for _ in range(TRIES):
            try:
                return self._payments.save(revise(payment, apply(payment, facts), cause), payment)
            except PaymentChanged as changed:
                payment = changed.payment
                facts = self._gateways[payment.gateway].fetch(payment)
        raise StoreUnavailable


@cache
def operations() -> Operations:
    """Return the operations on this execution environment's payments."""
    return Operations(payments(), gateways())


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
    return ask[operation.kind](payment, operation)


def _is_reached(payment: Payment, operation: Operation) -> bool:
    match operation.kind:
        case "capture":
            return payment.captured_minor > 0
        case "cancel":
            return payment.status == lifecycle.CANCELED
    return True
