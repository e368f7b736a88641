"""Operations beside others that change the same payment, and gateways that are slow to agree."""

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import FieldError, GatewayUnavailable, InvalidRequest, StoreUnavailable
from shared.gateways.manual import Manual
from shared.operations import TRIES, Operations
from shared.payments import commands
from shared.payments.facts import Facts
from shared.payments.payment import Operation, Payment, new_payment
from shared.store.payments import PaymentChanged

PAYMENT = new_payment("somebody", None, amount_minor=100, currency="USD")


class Store:
    """A store of one payment, which others change at each of the first writes."""

    def __init__(self, payment: Payment, changes: int = 0) -> None:
        self.payment = payment
        self.writes = 0
        self._changes = changes

    def get(self, payment_id: str, owner: str | None) -> Payment:
        return self.payment

    def save(self, payment: Payment, before: Payment) -> Payment:
        self.writes += 1
        if before.version != self.payment.version:
            raise PaymentChanged(self.payment)
        if self.writes <= self._changes:
            self.payment = replace(self.payment, version=self.payment.version + 1)
            raise PaymentChanged(self.payment)
        self.payment = payment
        return payment

    def postpone(self, payment: Payment, due_at: str) -> Payment:
        return replace(payment, due_at=due_at)


class Slow(Manual):
    """A gateway that has not captured when it is asked to, and has when it is asked what it did."""

    is_instant = False

    def __init__(self) -> None:
        self.captured = 0

    def capture(self, payment: Payment, operation: Operation) -> Facts:
        self.captured = 100
        return Facts("AUTHORIZED")

    def fetch(self, payment: Payment) -> Facts:
        return Facts("CAPTURED" if self.captured else "AUTHORIZED", self.captured)


def operations(store: Any, gateway: Any = None) -> Operations:
    return Operations(store, {"manual": gateway or Manual()})


def test_a_payment_that_others_change_is_decided_anew() -> None:
    store = Store(PAYMENT, changes=TRIES - 1)
    done = operations(store).run(PAYMENT, commands.capture(None))

    assert done.payment.captured_minor == 100
    assert done.payment.version == TRIES + 1


def test_a_payment_that_changes_all_the_time_is_for_later() -> None:
    store = Store(PAYMENT, changes=1000)

    with pytest.raises(StoreUnavailable):
        operations(store).run(PAYMENT, commands.capture(None))
    with pytest.raises(StoreUnavailable):
        operations(store, Slow()).learn(PAYMENT)
    assert store.writes == 2 * TRIES


def test_what_is_not_due_is_left_alone() -> None:
    store = Store(PAYMENT)

    assert operations(store).settle(PAYMENT.payment_id) is PAYMENT
    assert store.writes == 0


def test_an_answer_that_decides_nothing_is_followed_by_a_look() -> None:
    since = "2026-11-24T09:00:00.000Z"
    capture = Operation("op_1", "capture", since, 100)
    authorized = replace(PAYMENT, state="AUTHORIZED", operation=capture, due_at=since)
    settled = operations(Store(authorized), Slow()).settle(PAYMENT.payment_id)

    assert (settled.operation, settled.captured_minor, settled.status) == (None, 100, "CAPTURED")


def test_money_that_moves_elsewhere_has_no_webhook() -> None:
    with pytest.raises(InvalidRequest) as refused:
        Manual().payment_id_in({}, b"")

    assert refused.value.errors == (FieldError("body", "manual payments have no webhook"),)
    assert Manual().fetch(replace(PAYMENT, state="AUTHORIZED")) == Facts("AUTHORIZED")


class Taken(Store):
    """A store in which somebody else takes every operation up a moment before."""

    def save(self, payment: Payment, before: Payment) -> Payment:
        if replace(payment, version=before.version) == before != payment:
            raise PaymentChanged(before)
        return super().save(payment, before)


def test_of_two_that_take_an_operation_up_one_asks() -> None:
    since = "2026-11-24T09:00:00.000Z"
    capture = Operation("op_1", "capture", since, 100)
    authorized = replace(PAYMENT, state="AUTHORIZED", operation=capture, due_at=since)
    gateway = Slow()

    settled = operations(Taken(authorized), gateway).settle(PAYMENT.payment_id)

    assert settled.operation == capture
    assert gateway.captured == 0


class Crowded(Manual):
    """A gateway that refuses a refund, while somebody else asks for the same and hears nothing."""

    is_instant = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked = 0

    def refund(self, payment: Payment, operation: Operation) -> Facts:
        self._asked += 1
        if self._asked > 1:
            raise GatewayUnavailable
        operations(self._store, self).run(self._store.payment, REFUND)
        refused = {"code": "no_money", "message": "No money"}
        return Facts("CAPTURED", 100, last_error=refused, answers=operation.operation_id)


REFUND = commands.refund("key", None, None)


def test_a_refusal_does_not_end_what_somebody_else_asks_for_meanwhile() -> None:
    paid = replace(PAYMENT, state="CAPTURED", status="CAPTURED", captured_minor=100)
    store = Store(paid)

    done = operations(store, Crowded(store)).run(paid, REFUND)

    assert not done.is_known
    assert store.payment.operation
    assert store.payment.refunds[0].status == "PENDING"
