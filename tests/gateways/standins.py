"""Each gateway as the tests meet it: what it has, its stand-in on the loopback, and its books.

`STAND_INS` is the list: a new gateway's line there puts it through the conformance suite, and
through the crowds, the kills and the model of tests/reliability.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import ModuleType
from typing import Any, NamedTuple

import stripe as stripe_package

from local.loopback import listen, serving
from local.paypal import PayPal
from local.stripe import StripeStandIn
from paypal_webhook.app import handler as paypal_webhook
from shared.gateways import keys as gateway_keys
from shared.gateways import paypal as paypal_adapter
from shared.gateways import stripe as stripe_adapter
from shared.payments.payment import Payment
from stripe_webhook.app import handler as stripe_webhook
from tests.reliability.gateway import Outcome, Trouble
from tests.reliability.proxy import SILENT, Answer, Fault, FaultProxy, Request

# What a gateway may have. What it lacks is not asked of it.
NETWORK = "it is asked over a network, so that an outcome may be unknown"
PAGE = "the payer pays on a page of its own"
HOLD = "a payer's agreement holds the money of a payment with manual capture"
WEBHOOK = "it tells of its own accord what happened"
HAND = "somebody may refund there"

DAY = 86_400


class Books(NamedTuple):
    """What a gateway's ledger says of a payment.

    Attributes:
        sums: by kind (hold, release, capture, refund), minor units of ISO 4217.
        moves: how many movements there were, by kind and by what they were asked for under.
    """

    sums: Mapping[str, int]
    moves: Mapping[tuple[str, str | None], int]

    def number(self, kind: str) -> int:
        """Return how many movements of a kind there were."""
        return sum(count for (each, _), count in self.moves.items() if each == kind)


class Money(NamedTuple):
    """An amount that a gateway takes: in major units, in minor units, and a part of it."""

    currency: str
    amount: str
    minor: int
    part: str
    part_minor: int


class Event(NamedTuple):
    """A signed webhook."""

    headers: Mapping[str, str]
    body: bytes


class Network(FaultProxy):
    """The way to a gateway; every header of an answer is kept.

    Attributes:
        passed: the method and the path of every request that the gateway got.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.passed: list[tuple[str, str]] = []

    def _forward(self, request: Request) -> Answer:
        self.passed.append((request.method, request.path))
        answer = self._ask(request)
        dropped = ("content-length", "connection", "date", "server")
        kept = {key: value for key, value in answer.headers.items() if key.lower() not in dropped}
        return answer._replace(headers=kept)


class StandIn:
    """A gateway's stand-in behind a network that fails on purpose.

    Attributes:
        name: as a payment names the gateway.
        has: what it has, of the kinds above.
        started: the status of a payment after its first confirm.
        takes: amounts in currencies without decimals, with two, and with three if it has such.
        page_seconds, hold_seconds: how long its page waits, and how long it holds money.
        keys: what the functions read as its keys.
        network: what stands before it.
        adapter: the module whose waiting times a silent network shortens.
        tries: how often its adapter sends a request before it gives up.
        remembers_seconds: how long the gateway knows the id of every request, by its documents.
    """

    name = ""
    has: frozenset[str] = frozenset()
    started = "REQUIRES_ACTION"
    takes: tuple[Money, ...] = ()
    page_seconds = hold_seconds = 0
    tries = 1
    remembers_seconds = 0
    adapter: ModuleType
    shortened: Mapping[str, float] = {}
    handler: Callable[..., Any]

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.network: Network
        self._heard = 0

    # What the gateway stands in for

    def pay(self, payment: Payment, outcome: str = "pay") -> str | None:
        """Let the payer act on the page that the payment names: pay, decline or abandon."""
        raise NotImplementedError

    def books(self, payment: Payment) -> Books:
        """Return what the ledger says of the payment."""
        raise NotImplementedError

    def events(self) -> list[Event]:
        """Return every event so far, signed as of now."""
        raise NotImplementedError

    def foreign_events(self) -> list[Event]:
        """Return signed events that are about nothing of this stack's, or not about a payment."""
        raise NotImplementedError

    def signed(self, resource: dict[str, Any]) -> Event:
        """Return a signed event about any resource."""
        raise NotImplementedError

    def refund_by_hand(self, payment: Payment, minor: int) -> None:
        """Let somebody who signs in there give money back."""
        raise NotImplementedError

    def fail_refunds(self, payment: Payment) -> None:
        """Let the refunds that were done come back."""
        raise NotImplementedError

    def turn_out(self, outcomes: Sequence[Outcome]) -> None:
        """Let what is asked for have such outcomes, or the usual one where there is none."""

    def put_on(self, seconds: float) -> None:
        """Let the gateway's clock be so far ahead."""

    def finish(self) -> None:
        """Let everything that is still going on come to its end."""

    def forget(self) -> None:
        """Forget the ids of requests: what is asked for again would happen again."""

    def lose_tokens(self) -> None:
        """Let every token run out before its time, where there are tokens."""

    # What the tests have in common

    def new_events(self) -> list[Event]:
        """Return the events since the last time."""
        events = self.events()
        new, self._heard = events[self._heard :], len(events)
        return new

    def plan(self, *troubles: Trouble, **hooks: Callable[[], object]) -> None:
        """Let the coming requests meet these faults, one each, and those after them none.

        Of outcomes, the gateway makes as much of everything as it has something like it.
        """
        if NETWORK not in self.has:
            return
        faults = [each for each in troubles if isinstance(each, Fault)]
        self.network.plan(*faults, **hooks)
        self.turn_out([each for each in troubles if isinstance(each, Outcome)])
        is_silent = not SILENT.isdisjoint(faults)
        for setting, seconds in self._waits.items():
            setattr(self.adapter, setting, self.shortened[setting] if is_silent else seconds)

    @property
    def calls(self) -> int:
        """How many requests came since the plan was made."""
        return self.network.calls

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve the stand-in, and the network before it."""
        self._waits = {setting: getattr(self.adapter, setting) for setting in self.shortened}
        with ExitStack() as stack:
            url = self._serve(stack)
            self.network = Network(url)
            self.keys["url"] = self.network.url
            self._forget_client()
            yield
            self.plan()
            self.network.close()
            self._forget_client()

    def _serve(self, stack: ExitStack) -> str:
        raise NotImplementedError

    def _forget_client(self) -> None:
        """Let the adapter make its client, and get its token, anew."""


class ManualPayments(StandIn):
    """No gateway at all: the back office says what happened, and that is the ledger."""

    name = "manual"
    has = frozenset()
    started = "PROCESSING"
    takes = (
        Money("JPY", "1500", 1500, "700", 700),
        Money("USD", "10.50", 1050, "4.25", 425),
        Money("KWD", "1.234", 1234, "0.111", 111),
    )

    @contextmanager
    def served(self) -> Iterator[None]:
        yield

    def books(self, payment: Payment) -> Books:
        """Return what the payment says: there is nobody else to ask."""
        sums = {"capture": payment.captured_minor, "refund": payment.refunded_minor}
        return Books(sums, {})


class StripeAccount(StandIn):
    """Stripe's stand-in."""

    name = "stripe"
    has = frozenset({NETWORK, PAGE, HOLD, WEBHOOK, HAND})
    takes = (
        Money("JPY", "1500", 1500, "700", 700),
        Money("UGX", "5000", 5000, "1300", 1300),  # with two decimals there
        Money("USD", "10.50", 1050, "4.25", 425),
        Money("KWD", "1.230", 1230, "0.110", 110),  # the last digit must be 0 there
    )
    page_seconds, hold_seconds = DAY, 7 * DAY
    tries = 3
    remembers_seconds = DAY
    adapter = stripe_adapter
    shortened: Mapping[str, float] = {"ANSWER_SECONDS": 0.1}
    handler = staticmethod(stripe_webhook)

    def pay(self, payment: Payment, outcome: str = "pay") -> str | None:
        return self.app.pay((payment.references or {})["session"], outcome)

    def books(self, payment: Payment) -> Books:
        scale = stripe_adapter._scale(payment)
        sums: Counter[str] = Counter()
        moves: Counter[tuple[str, str | None]] = Counter()
        for move in self.app.ledger:
            if move.payment_id != payment.payment_id:
                continue
            kind, sign = {"refund failed": ("refund", -1), "dispute": ("refund", 1)}.get(
                move.kind, (move.kind, 1)
            )
            sums[kind] += sign * move.amount
            moves[move.kind, move.by] += 1
        exact = {kind: stripe_adapter._shifted(amount, -scale) for kind, amount in sums.items()}
        assert {k: stripe_adapter._shifted(v, scale) for k, v in exact.items()} == dict(sums)
        return Books(Counter(exact), moves)

    def events(self) -> list[Event]:
        return [Event(*self.app.signed(event)) for event in self.app.events]

    def foreign_events(self) -> list[Event]:
        return [
            self.signed({"object": "customer", "id": "cus_1", "metadata": {}}),
            self.signed({"object": "payment_intent", "metadata": {"paymentId": "order 7"}}),
            self.signed({"object": "refund", "id": "re_1", "payment_intent": "pi_of_others"}),
            self.signed({"object": "charge", "metadata": {"paymentId": f"pay_{'a' * 32}"}}),
        ]

    def signed(self, resource: dict[str, Any]) -> Event:
        about = {"object": "payment_intent", **resource}
        if "paymentId" in resource:
            about = {"object": "payment_intent", "metadata": resource}
        event = {"id": "evt_1", "object": "event", "type": "any", "data": {"object": about}}
        return Event(*self.app.signed(event))

    def refund_by_hand(self, payment: Payment, minor: int) -> None:
        intent = (payment.references or {})["paymentIntent"]
        self.app.refund_by_hand(intent, stripe_adapter._at_stripe(minor, payment))

    def fail_refunds(self, payment: Payment) -> None:
        intent = (payment.references or {})["paymentIntent"]
        for refund in list(self.app.objects["refund"].values()):
            is_ours = bool(refund["metadata"])  # else: by hand, or what a capture in part released
            if is_ours and (refund["payment_intent"], refund["status"]) == (intent, "succeeded"):
                self.app.fail_refund(refund["id"])

    def turn_out(self, outcomes: Sequence[Outcome]) -> None:
        kinds = {Outcome.WORKING: "pending", Outcome.PENDING: "pending", Outcome.FAILING: "failing"}
        self.app.refunds = next((kinds[each] for each in outcomes if each in kinds), "succeeded")

    def put_on(self, seconds: float) -> None:
        self.app.seconds_ahead = seconds

    def finish(self) -> None:
        self.app.finish()

    def forget(self) -> None:
        self.app.forget_keys()

    def _serve(self, stack: ExitStack) -> str:
        self.app = StripeStandIn()
        self.app.url = stack.enter_context(serving(self.app, listen(0)))
        self.keys = self.app.keys
        return self.app.url

    def _forget_client(self) -> None:
        stripe_adapter._client_for.cache_clear()


class PayPalAccount(StandIn):
    """PayPal's stand-in."""

    name = "paypal"
    has = frozenset({NETWORK, PAGE, HOLD, WEBHOOK, HAND})
    takes = (
        Money("JPY", "1500", 1500, "700", 700),
        Money("HUF", "1500.00", 150000, "700", 70000),  # without decimals there
        Money("USD", "10.50", 1050, "4.25", 425),
    )
    page_seconds, hold_seconds = 3 * 3600, 29 * DAY
    tries = 2
    remembers_seconds = 6 * 3600
    adapter = paypal_adapter
    shortened: Mapping[str, float] = {"ANSWER_SECONDS": 0.1, "QUICK_SECONDS": 0.05}
    handler = staticmethod(paypal_webhook)

    def pay(self, payment: Payment, outcome: str = "pay") -> str | None:
        with suppress(KeyError):  # paid, or forgotten there
            return self.app.pay((payment.references or {})["order"], outcome)
        return None

    def books(self, payment: Payment) -> Books:
        sums: Counter[str] = Counter()
        moves: Counter[tuple[str, str | None]] = Counter()
        for move in self.app.ledger:
            if move.payment_id != payment.payment_id:
                continue
            kinds = {"returned refund": ("refund", -1), "reversal": ("capture", -1)}
            kind, sign = kinds.get(move.kind, (move.kind, 1))
            minor = move.amount.scaleb(payment.decimals)
            assert minor % 1 == 0
            sums[kind] += sign * int(minor)
            moves[move.kind, move.by] += 1
        return Books(sums, moves)

    def events(self) -> list[Event]:
        return [Event(each.headers, each.body) for each in self.app.events]

    def foreign_events(self) -> list[Event]:
        capture = [{"rel": "up", "href": "/v2/payments/captures/NO"}]
        return [
            self.signed({"id": "X"}),
            self.signed({"custom_id": "order-77"}),
            self.signed({"custom_id": f"pay_{'a' * 32}"}),
            self.signed({"custom_id": "ref_x", "links": capture}),
        ]

    def signed(self, resource: dict[str, Any]) -> Event:
        about = {**resource, "custom_id": resource.get("paymentId", resource.get("custom_id"))}
        document = {"event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": about}
        event = self.app.sign(json.dumps(document).encode())
        return Event(event.headers, event.body)

    def refund_by_hand(self, payment: Payment, minor: int) -> None:
        value = paypal_adapter._money(payment, minor)["value"]
        self.app.refund_by_hand(payment.payment_id, value)

    def fail_refunds(self, payment: Payment) -> None:
        self.app.fail_refunds(payment.payment_id)

    def turn_out(self, outcomes: Sequence[Outcome]) -> None:
        kinds = {
            Outcome.WORKING: ("PENDING", "pending"),
            Outcome.PENDING: ("PENDING", "pending"),
            Outcome.FAILING: ("DECLINED", "failing"),
        }
        found = (kinds[each] for each in outcomes if each in kinds)
        usual = ("COMPLETED", "succeeded")
        self.app.capture_outcome, self.app.refunds = next(found, usual)

    def put_on(self, seconds: float) -> None:
        self.app.seconds_ahead = seconds

    def finish(self) -> None:
        self.app.finish()

    def forget(self) -> None:
        self.app.forget_keys()

    def lose_tokens(self) -> None:
        self.app.revoke_tokens()

    def _serve(self, stack: ExitStack) -> str:
        self.app = PayPal()
        self.app.blocks_duplicates = False  # the request ids alone must do
        self.app.url = stack.enter_context(serving(self.app, listen(0)))
        self.keys = self.app.keys
        return self.app.url

    def _forget_client(self) -> None:
        paypal_adapter._client.cache_clear()


STAND_INS: Mapping[str, type[StandIn]] = {
    each.name: each for each in (ManualPayments, StripeAccount, PayPalAccount)
}


def those_with(*needed: str) -> list[str]:
    """Return the names of the gateways that have all of this."""
    return [name for name, each in STAND_INS.items() if each.has.issuperset(needed)]


def take_keys(known: Mapping[str, Mapping[str, Any]], put: Callable[..., None]) -> None:
    """Let the adapters read these keys; `put` sets an attribute of a module."""

    def read(gateway: str, *, fresh: bool = False) -> Mapping[str, Any]:
        return known[gateway]

    put(gateway_keys, "keys", read)
    put(paypal_adapter, "keys", read)
    put(stripe_package.HTTPClient, "INITIAL_DELAY", 0)
