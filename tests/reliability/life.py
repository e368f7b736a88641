"""The life of payments at a gateway: calls, repeated as the docs say, and sweeps.

`Life` is at the scripted gateway, `StandInLife` at the stand-ins of those that ship.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from settle_payments.app import handler as settle_payments
from shared.errors import GatewayUnavailable, StoreUnavailable
from shared.payments.lifecycle import MOVES
from shared.payments.payment import AGREED, Payment, new_payment
from shared.store.payments import payments
from shared.wiring import operations
from tests.conftest import Client, Context, Response, call, proxy_event
from tests.gateways.standins import PAGE, Event, StandIn
from tests.reliability.gateway import Account, Scripted, ScriptedGateway
from update_payment.app import handler as update_payment

if TYPE_CHECKING:
    from tests.reliability.conftest import Network


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
# Where a payer acts on the gateway's page. APPROVED: the payer has paid, and nobody has looked yet.
PAGE_CALLS = {
    "start": Call("confirm", {}, "automatic", "PENDING", "REQUIRES_ACTION", 0),
    "confirm": Call("confirm", {}, "automatic", "APPROVED", "CAPTURED", 10000),
    "authorize": Call("confirm", {}, "manual", "APPROVED", "AUTHORIZED", 0),
    "cancel open": Call("cancel", {}, "manual", "REQUIRES_ACTION", "CANCELED", 0),
    **{name: call for name, call in CALLS.items() if call.before != "PENDING"},
}
KEY = {"Idempotency-Key": "r-1"}


def calls_of(stand_in: "StandIn | type[StandIn]") -> Mapping[str, Call]:
    """Return the calls that move a payment on at a gateway that ships."""
    start = PAGE_CALLS["start"]._replace(status=stand_in.started)
    has_page = PAGE in stand_in.has
    others = {n: c for n, c in PAGE_CALLS.items() if has_page or c.before != "APPROVED"}
    return {**others, "start": start}


class Life:
    """Payments of one user, their back office, and the schedule.

    Attributes:
        seconds_ahead: how far the functions' clock is ahead.
        name: as a payment names the gateway.
        begun: the status in which a confirm takes the money.
        sweep_seconds: how much time passes until the schedule is looked at.
    """

    name = "scripted"
    begun = "PENDING"
    calls: Mapping[str, Call] = CALLS
    sweep_seconds = 3600

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
        """Let time pass, an hour or less, and the schedule run."""
        self.seconds_ahead += self.sweep_seconds
        self.run_schedule()

    def run_schedule(self) -> None:
        """Let the schedule run; a store that is away fails it."""
        with suppress(StoreUnavailable):
            settle_payments({}, Context())

    def webhook(self, payment_id: str) -> None:
        """Let the gateway tell that something happened to the payment, until that is heard."""
        for _ in range(3):
            with suppress(GatewayUnavailable):  # answered 503, and sent again
                operations().learn(self.kept(payment_id))
                return
        raise AssertionError("the fault has long passed, and the webhook is not heard")

    def kept(self, payment_id: str) -> Payment:
        return payments().get(payment_id, owner=None)

    def until_answered(self, call: Callable[[], Response]) -> Response:
        """Repeat a call until its outcome is known, and let the schedule run in between."""
        for _ in range(10):
            response = call()
            assert response.status != 500, response.text
            is_under_way = response.status == 409 and "operation-under-way" in response.text
            # A gateway that works on what it took refuses another operation: not the end either.
            is_at_work = response.status == 409 and '"PROCESSING"' in response.text
            if response.status not in (202, 503) and not is_under_way and not is_at_work:
                return response
            assert is_at_work or response.headers["Retry-After"] in ("1", "5")
            self.gateway.finish()
            self.sweep()
        raise AssertionError("the fault has long passed, and there is still no answer")

    def environment(self) -> dict[str, str]:
        """Return what a worker is told of the gateway."""
        return {"GATEWAY_URL": self.gateway.url}

    def captures(self, payment_id: str) -> int:
        """Return how many captures the gateway's ledger has."""
        account = self.gateway.accounts.get(payment_id)
        return sum(kind == "capture" for _, kind, _ in account.effects) if account else 0

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


class StandInLife(Life):
    """The same at the stand-in of a gateway that ships; every payment goes through the API."""

    begun = "APPROVED"
    sweep_seconds = 700  # more than the longest pause, less than an order waits at PayPal

    def __init__(
        self,
        network: "Network",
        gateway: StandIn,
        alice: Client,
        office: Client,
        table: tuple[Any, str],
    ) -> None:
        self._ahead = 0.0
        self.stand_in = gateway
        super().__init__(network, gateway, None, alice, office, table)  # type: ignore[arg-type]

    @property
    def calls(self) -> Mapping[str, Call]:  # type: ignore[override]
        return calls_of(self.stand_in)

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.stand_in.name

    @property
    def seconds_ahead(self) -> float:  # type: ignore[override]
        return self._ahead

    @seconds_ahead.setter
    def seconds_ahead(self, seconds: float) -> None:
        self._ahead = seconds
        self.stand_in.put_on(seconds)

    def made(
        self,
        capture: str = "automatic",
        status: str = "PENDING",
        amount: object = 100,
        currency: str = "USD",
        **fields: object,
    ) -> str:
        body = {"amount": amount, "currency": currency, "gateway": self.name, "capture": capture}
        if PAGE in self.stand_in.has:
            body["returnUrl"] = "https://shop.example/back?cart=7"
        created = self.alice.create({**body, **fields})
        assert created.status == 201, created.text
        payment_id: str = created.json["paymentId"]
        self.payment_ids.append(payment_id)
        if status != "PENDING":
            started = self.alice.do("confirm", payment_id)
            assert started.json["status"] == self.stand_in.started, started.text
        if status in ("APPROVED", "AUTHORIZED", "CAPTURED"):
            self.pay(payment_id)
        if status in ("AUTHORIZED", "CAPTURED"):
            self.bring_to(payment_id, status)
        return payment_id

    def bring_to(self, payment_id: str, status: str) -> None:
        """Let the money be held or taken, after the payer agreed."""
        if PAGE in self.stand_in.has:
            response = self.alice.do("confirm", payment_id)
        else:
            event = self.office.event(payment_id, {"status": status})
            response = call(update_payment, event)
        assert response.json["status"] == status, response.text

    def pay(self, payment_id: str, outcome: str = "pay") -> str | None:
        """Let the payer act on the gateway's page, if it has one; return where they go next."""
        if PAGE not in self.stand_in.has:
            return None
        return self.stand_in.pay(self.kept(payment_id), outcome)

    def hear(self, events: Sequence[Event]) -> list[int]:
        """Send events as webhooks; return the statuses of the answers."""
        return [self._webhook(each).status for each in events]

    def _webhook(self, sent: Event) -> Response:
        event = proxy_event(f"{self.name}_webhook")
        event["multiValueHeaders"] |= {name: [value] for name, value in sent.headers.items()}
        event["body"] = sent.body.decode()
        return call(self.stand_in.handler, event)

    def webhook(self, payment_id: str) -> None:
        operations().hear(payment_id, self.name)

    def environment(self) -> dict[str, str]:
        keys = json.dumps({self.name: self.stand_in.keys})
        return {"GATEWAYS": f"manual,{self.name}", "GATEWAY_KEYS": keys}

    def captures(self, payment_id: str) -> int:
        return self.stand_in.books(self.kept(payment_id)).number("capture")

    def settled(self, payment_id: str) -> Payment:
        self.network.plan()
        self.stand_in.plan()
        self.stand_in.finish()
        payment = self.kept(payment_id)
        for _ in range(8):
            if not payment.due_at:
                break
            self.sweep()
            payment = self.kept(payment_id)
            if self._waits_for_somebody(payment):
                break
        assert payment.status != "PROCESSING" or not payment.due_at
        self.agree(payment)
        return payment

    @staticmethod
    def _waits_for_somebody(payment: Payment) -> bool:
        """Tell whether the next step is the payer's, or the back office's."""
        is_agreed = (payment.next_action or {}).get("type") == AGREED
        is_refunding = any(each.status == "PENDING" for each in payment.refunds)
        is_theirs = payment.status in ("REQUIRES_ACTION", "AUTHORIZED")
        return is_theirs and not (payment.operation or is_agreed or is_refunding)

    def agree(self, payment: Payment) -> None:
        assert payment.operation is None
        statuses = [change.status for change in payment.history]
        assert all(becomes(*pair) for pair in pairwise(statuses)), statuses
        books = self.stand_in.books(payment)
        sums = books.sums
        assert payment.captured_minor == sums["capture"]
        given_back = [each.amount_minor for each in payment.refunds if each.status != "FAILED"]
        assert sum(given_back) == sums["refund"]
        assert sum(given_back) <= payment.captured_minor
        if "hold" in sums:
            held = sums["hold"] - sums["release"] - sums["capture"]
            assert held == (payment.amount_minor if payment.status == "AUTHORIZED" else 0)
        for kind in ("hold", "capture", "release"):
            assert books.number(kind) <= 1, books.moves
        twice = [each for each, times in books.moves.items() if each[1] and times > 1]
        assert not twice, books.moves
