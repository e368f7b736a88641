"""The life of payments at the scripted gateway: calls, repeated as the docs say, and sweeps."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from settle_payments.app import handler as settle_payments
from shared.errors import StoreUnavailable
from shared.payments.lifecycle import MOVES
from shared.payments.payment import Payment, new_payment
from shared.store.payments import payments
from shared.wiring import operations
from tests.conftest import Client, Context, Response
from tests.reliability.gateway import Account, Scripted, ScriptedGateway

if TYPE_CHECKING:
    from tests.reliability.conftest import Network

SWEEP_SECONDS = 3600


class Call(NamedTuple):
    """A call, what is to be there before it, and what it is to lead to."""

    action: str
    body: dict[str, object]
    capture: str
    before: str
    status: str
    captured: int
    refunded: int = 0

    def has_led_to(self, payment: Payment) -> None:
        assert (payment.status, payment.captured_minor) == (self.status, self.captured)
        assert payment.refunded_minor == self.refunded


def becomes(before: str, after: str) -> bool:
    """Tell whether moves of the table lead there: a look may find that several have happened."""
    found, new = set(), {before}
    while new:
        found |= new
        new = {to for status in new for to in MOVES[status]} - found
    return after in found and before != after


CALLS = {
    "confirm": Call("confirm", {}, "automatic", "PENDING", "CAPTURED", 10000),
    "authorize": Call("confirm", {}, "manual", "PENDING", "AUTHORIZED", 0),
    "capture": Call("capture", {}, "manual", "AUTHORIZED", "CAPTURED", 10000),
    "capture in part": Call(
        "capture", {"amount": "60.50"}, "manual", "AUTHORIZED", "CAPTURED", 6050
    ),
    "cancel": Call("cancel", {"reason": "Sold out"}, "manual", "AUTHORIZED", "CANCELED", 0),
    "refund": Call("refund", {}, "automatic", "CAPTURED", "REFUNDED", 10000, 10000),
    "refund in part": Call(
        "refund", {"amount": 40}, "automatic", "CAPTURED", "PARTIALLY_REFUNDED", 10000, 4000
    ),
}
KEY = {"Idempotency-Key": "r-1"}


class Life:
    """Payments of one user, their back office, and the schedule.

    Attributes:
        seconds_ahead: how far the functions' clock is ahead.
    """

    def __init__(  # noqa: PLR0917
        self,
        network: "Network",
        gateway: ScriptedGateway,
        adapter: Scripted,
        alice: Client,
        office: Client,
        table: tuple[Any, str],
    ) -> None:
        self.network = network
        self.gateway = gateway
        self.adapter = adapter
        self.alice = alice
        self.office = office
        self._table = table
        self.seconds_ahead = 0.0
        self.payment_ids: list[str] = []

    def made(self, capture: str = "automatic", status: str = "PENDING") -> str:
        """Return the id of a new payment: PENDING, or AUTHORIZED or CAPTURED at its gateway."""
        new = new_payment(
            self.alice.user,
            None,
            amount_minor=10000,
            currency="USD",
            gateway="scripted",
            capture=capture,
            return_url="https://shop.example/",
        )
        captured = 10000 if status == "CAPTURED" else 0
        if status != "PENDING":
            account = Account(10000, capture, status, captured)
            account.effects = [("op_start", "capture" if captured else "hold", 10000)]
            self.gateway.accounts[new.payment_id] = account
        payments().create(
            replace(new, status=status, state=status, captured_minor=captured, version=2)
        )
        self.payment_ids.append(new.payment_id)
        return new.payment_id

    def do(self, call: Call, payment_id: str) -> Response:
        return self._caller(call).do(call.action, payment_id, call.body, KEY)

    def event(self, call: Call, payment_id: str) -> dict[str, Any]:
        """Return the event of the call, for a worker."""
        event = self._caller(call).event(payment_id, call.body, KEY)
        return {**event, "call": call.action}

    def _caller(self, call: Call) -> Client:
        return self.alice if call.action in ("confirm", "cancel") else self.office

    def refund(self, payment_id: str, key: str, **body: Any) -> Response:
        return self.office.do("refund", payment_id, body, {"Idempotency-Key": key})

    def sweep(self) -> None:
        """Let an hour pass, and the schedule run."""
        self.seconds_ahead += SWEEP_SECONDS
        self.run_schedule()

    def run_schedule(self) -> None:
        """Let the schedule run; a store that is away fails it."""
        with suppress(StoreUnavailable):
            settle_payments({}, Context())

    def webhook(self, payment_id: str) -> None:
        """Let the gateway tell that something happened to the payment."""
        operations().learn(self.kept(payment_id))

    def kept(self, payment_id: str) -> Payment:
        return payments().get(payment_id, owner=None)

    def until_answered(self, call: Callable[[], Response]) -> Response:
        """Repeat a call until its outcome is known, and let the schedule run in between."""
        for _ in range(10):
            response = call()
            assert response.status != 500, response.text
            is_under_way = response.status == 409 and "operation-under-way" in response.text
            if response.status not in (202, 503) and not is_under_way:
                return response
            assert response.headers["Retry-After"] in ("1", "5")
            self.gateway.finish()
            self.sweep()
        raise AssertionError("the fault has long passed, and there is still no answer")

    def settled(self, payment_id: str) -> Payment:
        """Return the payment after all that was under way, held against the gateway's ledger."""
        self.network.plan()
        self.gateway.plan()
        self.gateway.finish()
        for _ in range(4):
            payment = self.kept(payment_id)
            if not payment.due_at:
                break
            self.sweep()
        self.agree(payment)
        return payment

    def delete(self) -> None:
        """Delete the payments, so that they are not due in the next test."""
        client, name = self._table
        for payment_id in self.payment_ids:
            client.delete_item(TableName=name, Key={"paymentId": {"S": payment_id}})
        self.payment_ids = []

    def agree(self, payment: Payment) -> None:
        """Check that the payment is what the gateway's ledger says, to the last minor unit."""
        assert payment.operation is None
        statuses = [change.status for change in payment.history]
        assert all(becomes(*pair) for pair in pairwise(statuses)), statuses
        account = self.gateway.accounts.get(payment.payment_id)
        if account is None:
            assert payment.status in ("PENDING", "CANCELED")
            assert (payment.captured_minor, payment.refunds) == (0, ())
            return
        assert payment.status == account.status
        assert payment.captured_minor == account.captured
        assert payment.refunded_minor == account.refunded
        known = {each.refund_id: (each.amount_minor, each.status) for each in payment.refunds}
        for refund_id, refund in account.refunds.items():
            assert known.pop(refund_id) == (refund["amount"], refund["status"])
        assert all(status == "FAILED" for _, status in known.values())  # which it refused
        ids = Counter(operation for operation, _, _ in account.effects if "by" not in operation)
        assert not ids or max(ids.values()) == 1, account.effects
        captures = [amount for _, kind, amount in account.effects if kind == "capture"]
        assert len(captures) <= 1
        assert account.refunded <= sum(captures)
        refunds = [amount for _, kind, amount in account.effects if kind == "refund"]
        assert len(refunds) == len(account.refunds)
