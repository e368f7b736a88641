"""Operations beside others that change the same payment, and gateways that are slow to agree."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import (
    FieldError,
    GatewayKeysRefused,
    GatewayUnavailable,
    InvalidRequest,
    PaymentNotFound,
    StatusConflict,
    StoreUnavailable,
)
from shared.gateways.manual import Manual
from shared.operations import TRIES, Operations
from shared.payments import commands
from shared.payments.clock import later
from shared.payments.facts import Facts
from shared.payments.lifecycle import may_become
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
        assert (payment_id, owner) == (self.payment.payment_id, None)
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


# --- What a call is answered, by what its gateway says ---


class Asked(Manual):
    """A gateway that answers each question as a test says, and keeps what it was asked."""

    is_instant = False
    repeat_seconds = 86_400

    def __init__(self, **answers: Facts | Exception) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def _answer(self, question: str) -> Facts:
        self.asked.append(question)
        answer = self._answers[question]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def start(self, payment: Payment, operation: Operation) -> Facts:
        return self._answer("start")

    def complete(self, payment: Payment, operation: Operation) -> Facts:
        return self._answer("complete")

    def capture(self, payment: Payment, operation: Operation) -> Facts:
        return self._answer("capture")

    def cancel(self, payment: Payment, operation: Operation) -> Facts:
        return self._answer("cancel")

    def fetch(self, payment: Payment) -> Facts:
        assert payment.payment_id == PAYMENT.payment_id
        return self._answer("fetch")


HELD = replace(PAYMENT, gateway="asked", state="AUTHORIZED", status="AUTHORIZED")
NEW = replace(PAYMENT, gateway="asked")
AGREED = {"type": "confirm", "expiresAt": "2030-01-01T00:00:00.000Z"}


def asking(store: Store, gateway: Manual) -> Operations:
    return Operations(store, {"asked": gateway})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "facts", "status"),
    [
        (commands.capture(None), Facts("CAPTURED", 100), "CAPTURED"),
        (commands.cancel(None), Facts("CANCELED"), "CANCELED"),
    ],
)
def test_what_the_gateway_decides_is_the_answer(
    command: commands.Command, facts: Facts, status: str
) -> None:
    gateway = Asked(capture=facts, cancel=facts)
    done = asking(Store(HELD), gateway).run(HELD, command)

    assert (done.payment.status, done.payment.operation) == (status, None)
    assert (done.is_known, done.is_replay) == (True, False)
    assert len(gateway.asked) == 1
    assert done.payment.history[-1].cause == ("capture" if facts.captured_minor else "cancel")


@pytest.mark.parametrize(
    ("error", "outcome"), [(GatewayUnavailable(), "unknown"), (GatewayKeysRefused(), "keys")]
)
def test_a_silent_gateway_leaves_the_operation_under_way(
    error: Exception, outcome: str, logs: io.StringIO
) -> None:
    store = Store(HELD)
    done = asking(store, Asked(capture=error)).run(HELD, commands.capture(None))

    assert done.is_known is False
    assert done.payment is store.payment
    assert done.payment.status == "PROCESSING"
    assert done.payment.operation
    assert f'"outcome":"{outcome}","GatewayLatency":[' in logs.getvalue()


@pytest.mark.parametrize("state", ["AUTHORIZED", "PROCESSING"])
@pytest.mark.parametrize("call", ["capture", "cancel"])
def test_a_gateway_that_has_not_decided_leaves_it_unknown(state: str, call: str) -> None:
    command = commands.capture(None) if call == "capture" else commands.cancel(None)

    class Undecided(Asked):
        def capture(self, payment: Payment, operation: Operation) -> Facts:
            is_over = state == "PROCESSING"
            return Facts(state, answers=operation.operation_id if is_over else None)

        cancel = capture

    store = Store(HELD)
    done = asking(store, Undecided()).run(HELD, command)

    assert done.is_known is False
    assert done.payment is store.payment
    assert done.payment.status == "PROCESSING"


LATE = {"code": "late", "message": "Too late"}


@pytest.mark.parametrize(
    ("call", "facts"),
    [
        ("capture", Facts("CAPTURED", 50)),
        ("capture", Facts("CAPTURED", 50, last_error=LATE)),
        ("capture", Facts("CANCELED")),
        ("cancel", Facts("CAPTURED", 100)),
        ("cancel", Facts("PROCESSING", last_error=LATE)),
    ],
)
def test_a_gateway_that_decides_otherwise_is_a_conflict(call: str, facts: Facts) -> None:
    command = commands.capture(None) if call == "capture" else commands.cancel(None)

    class Otherwise(Asked):
        def capture(self, payment: Payment, operation: Operation) -> Facts:
            return replace(facts, answers=operation.operation_id)

        cancel = capture

    store = Store(HELD)
    with pytest.raises(StatusConflict) as conflict:
        asking(store, Otherwise()).run(HELD, command)

    assert store.payment.operation is None
    assert str(conflict.value) == (
        "Too late" if facts.last_error else "The gateway decided otherwise"
    )
    assert conflict.value.status == store.payment.status
    assert conflict.value.allowed == may_become(store.payment.status)


def test_a_confirm_that_leads_elsewhere_is_no_conflict() -> None:
    done = asking(Store(NEW), Asked(start=Facts("FAILED"))).run(NEW, commands.confirm)

    assert (done.payment.status, done.is_known) == ("FAILED", True)


def test_a_gateway_that_the_stack_has_no_more_is_not_known() -> None:
    with pytest.raises(GatewayUnavailable):
        operations(Store(HELD)).run(HELD, commands.capture(None))


# --- What the schedule does with a payment that is due ---

SINCE = "2026-11-24T09:00:00.000Z"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what sets the clock, in seconds after SINCE."""

    def put(seconds: float) -> None:
        for module in ("shared.operations", "shared.payments.facts"):
            monkeypatch.setattr(f"{module}.now", lambda: later(SINCE, seconds))

    return put


class Postponed(Store):
    """A store that keeps when the payment is looked at again, and from which others may take it."""

    is_taken = False
    due_at = ""

    def postpone(self, payment: Payment, due_at: str) -> Payment:
        if self.is_taken:
            raise PaymentChanged(payment)
        self.due_at = due_at
        return payment


def due(kind: str | None, **fields: Any) -> Payment:
    if kind:
        under_way = Operation("op_1", kind, SINCE, 100)
        fields |= {"operation": under_way, "status": "PROCESSING"}
    return replace(HELD, due_at=SINCE, **fields)


@pytest.mark.parametrize(
    ("kind", "attempts", "seconds"),
    [
        *(("capture", 0, 30), ("capture", 1, 60), ("capture", 4, 480), ("capture", 5, 600)),
        *((None, 0, 60), (None, 8, 15360), (None, 9, 21600)),
    ],
)
def test_each_look_is_later_than_the_one_before(
    at: Callable[[float], None], kind: str | None, attempts: int, seconds: int
) -> None:
    at(100)
    store = Postponed(due(kind, attempts=attempts))
    asking(store, Asked(fetch=GatewayUnavailable())).settle(PAYMENT.payment_id)

    assert store.due_at == later(SINCE, 100 + seconds)


@pytest.mark.parametrize(
    ("attempts", "page_ends", "seconds"),
    [
        *((0, None, 300), (1, None, 600), (7, None, 21600)),
        *((0, 200, 260), (5, 9000, 9060), (5, 9600, 9600)),
        *((0, -59, 1), (0, -60, 300)),  # when the page's end has been looked at
    ],
)
def test_a_payer_is_left_alone_for_a_while_and_the_page_s_end_is_looked_at(
    at: Callable[[float], None], attempts: int, page_ends: int | None, seconds: int
) -> None:
    at(0)
    page = {"type": "redirect"}
    if page_ends is not None:
        page["expiresAt"] = later(SINCE, page_ends)
    waiting = {"status": "REQUIRES_ACTION", "state": "REQUIRES_ACTION", "next_action": page}
    store = Postponed(due(None, attempts=attempts, **waiting))
    asking(store, Asked(fetch=GatewayUnavailable())).settle(PAYMENT.payment_id)

    assert store.due_at == later(SINCE, seconds)


def test_what_is_due_this_moment_is_taken_up(at: Callable[[float], None]) -> None:
    at(0)
    gateway = Asked(fetch=Facts("CAPTURED", 100))
    settled = asking(Postponed(due("capture")), gateway).settle(PAYMENT.payment_id)

    assert (settled.status, settled.operation, gateway.asked) == ("CAPTURED", None, ["fetch"])
    assert settled.history[-1].cause == "gateway"


def test_what_somebody_else_took_up_is_left_to_them(at: Callable[[float], None]) -> None:
    at(100)
    store, gateway = Postponed(due("capture")), Asked()
    store.is_taken = True

    assert asking(store, gateway).settle(PAYMENT.payment_id) is store.payment
    assert gateway.asked == []


def test_what_did_not_happen_is_asked_for_again(
    at: Callable[[float], None], logs: io.StringIO
) -> None:
    at(100)
    gateway = Asked(fetch=Facts("AUTHORIZED"), capture=Facts("CAPTURED", 100))
    settled = asking(Postponed(due("capture")), gateway).settle(PAYMENT.payment_id)

    assert (settled.captured_minor, settled.operation) == (100, None)
    assert gateway.asked == ["fetch", "capture"]
    assert settled.history[-1].cause == "capture"
    assert settled.version == PAYMENT.version + 2  # taken up, and kept
    assert '"OperationAge":[100.0]' in logs.getvalue()


@pytest.mark.parametrize(
    ("seconds", "asked", "is_given_up"),
    [
        (86_399, ["fetch", "capture", "fetch"], False),
        (86_400, ["fetch"], False),
        (89_999, ["fetch"], False),
        (90_000, ["fetch"], True),
    ],
)
def test_an_operation_is_repeated_for_a_time_and_then_given_up(
    at: Callable[[float], None], seconds: int, asked: list[str], is_given_up: bool
) -> None:
    at(seconds)
    gateway = Asked(
        fetch=Facts("AUTHORIZED"), capture=Facts("AUTHORIZED", references={"charge": "ch_1"})
    )
    settled = asking(Postponed(due("capture")), gateway).settle(PAYMENT.payment_id)

    assert gateway.asked == asked
    assert settled.references == ({"charge": "ch_1"} if "capture" in asked else None)
    assert (settled.operation is None) == is_given_up
    if is_given_up:
        assert (settled.status, settled.history[-1].cause) == ("AUTHORIZED", "capture")


@pytest.mark.parametrize(
    ("error", "outcome"), [(GatewayUnavailable(), "unknown"), (GatewayKeysRefused(), "keys")]
)
def test_a_gateway_that_is_away_is_counted(
    at: Callable[[float], None], error: Exception, outcome: str, logs: io.StringIO
) -> None:
    at(100_000)
    payment = due("capture")
    settled = asking(Postponed(payment), Asked(fetch=error)).settle(PAYMENT.payment_id)

    assert settled == payment
    assert f'"outcome":"{outcome}","GatewayLatency":[' in logs.getvalue()


# --- What a webhook leads to ---


def test_a_payer_who_agreed_is_taken_further() -> None:
    asked_of_payer = replace(HELD, state="REQUIRES_ACTION", status="REQUIRES_ACTION")
    gateway = Asked(
        fetch=Facts("REQUIRES_ACTION", next_action=AGREED), complete=Facts("CAPTURED", 100)
    )
    store = Store(asked_of_payer)
    asking(store, gateway).hear(PAYMENT.payment_id, "asked")

    assert gateway.asked == ["fetch", "complete"]
    assert (store.payment.status, store.payment.captured_minor) == ("CAPTURED", 100)


def test_a_payer_who_has_not_acted_yet_is_waited_for() -> None:
    redirect = {"type": "redirect", "url": "https://pay.example/1"}
    gateway = Asked(fetch=Facts("REQUIRES_ACTION", next_action=redirect))
    waiting = replace(HELD, state="REQUIRES_ACTION", status="REQUIRES_ACTION")
    asking(Store(waiting), gateway).hear(PAYMENT.payment_id, "asked")

    assert gateway.asked == ["fetch"]


def test_a_webhook_whose_outcome_is_not_known_comes_again() -> None:
    asked_of_payer = replace(HELD, state="REQUIRES_ACTION", status="REQUIRES_ACTION")
    gateway = Asked(
        fetch=Facts("REQUIRES_ACTION", next_action=AGREED), complete=GatewayUnavailable()
    )
    store = Store(asked_of_payer)

    with pytest.raises(GatewayUnavailable):
        asking(store, gateway).hear(PAYMENT.payment_id, "asked")
    assert store.payment.operation


def test_a_gateway_is_not_believed_about_anothers_payment() -> None:
    gateway = Asked()

    with pytest.raises(PaymentNotFound):
        asking(Store(HELD), gateway).hear(PAYMENT.payment_id, "another")
    assert gateway.asked == []
