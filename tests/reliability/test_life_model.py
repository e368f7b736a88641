"""In whatever order calls, gateway, payer and schedule move payments, the books agree.

The model is the gateway's own ledger, and a few lines that say what a quiet call is answered. It is
driven at the scripted gateway, and at the stand-ins of Stripe and PayPal. `make test` drives a
fixed number of histories, the same each time; `make soak MINUTES=60` drives new ones for an hour.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from local.paypal import Problem
from shared import wiring
from shared.payments.facts import apply
from shared.payments.ids import fingerprint, refund_id
from shared.payments.lifecycle import ENDS, PAID
from shared.payments.payment import Payment
from tests.conftest import Response
from tests.gateways.standins import NETWORK, those_with
from tests.reliability.conftest import lives
from tests.reliability.gateway import Outcome, Trouble
from tests.reliability.life import Life, StandInLife
from tests.reliability.proxy import Fault
from tests.reliability.test_life_faults import AT_THE_GATEWAY, AT_THE_STORE
from tests.reliability.test_model import MINUTES

DAY = 86_400
GATEWAYS = ("scripted", *those_with(NETWORK))

which = st.integers(0, 2)
amounts = st.sampled_from([None, 40, "60.50", 100])
keys = st.sampled_from(["r-1", "r-2", "r-3"])
few = {"max_size": 2}
at_gateway: Any = st.lists(st.sampled_from([*AT_THE_GATEWAY, Outcome.REDIRECTED]), **few)
at_store: Any = st.lists(st.sampled_from([Fault.NONE, *AT_THE_STORE]), **few)
has_payments = precondition(lambda self: self.life.payment_ids)


class Lives(RuleBasedStateMachine):
    """Up to three payments of one user."""

    def __init__(self, life: Life, steps: Iterator[int]) -> None:
        super().__init__()
        self.life = life
        self._steps = steps
        life.payment_ids = []

    @precondition(lambda self: len(self.life.payment_ids) < 3)
    @rule(capture=st.sampled_from(["automatic", "manual"]))
    def create(self, capture: str) -> None:
        body = {"amount": 100, "currency": "USD", "gateway": self.life.name, "capture": capture}
        payment = self.life.alice.create({**body, "returnUrl": "https://shop.example/"})
        assert payment.status == 201, payment.text
        self.life.payment_ids.append(payment.json["paymentId"])

    @has_payments
    @rule(which=which, gateway=at_gateway, store=at_store)
    def confirm(self, which: int, gateway: list[Trouble], store: list[Fault]) -> None:
        self._call("confirm", which, gateway, store)

    @has_payments
    @rule(which=which, amount=amounts, gateway=at_gateway, store=at_store)
    def capture(
        self, which: int, amount: object, gateway: list[Trouble], store: list[Fault]
    ) -> None:
        self._call("capture", which, gateway, store, amount=amount)

    @has_payments
    @rule(which=which, gateway=at_gateway, store=at_store)
    def cancel(self, which: int, gateway: list[Trouble], store: list[Fault]) -> None:
        self._call("cancel", which, gateway, store)

    @has_payments
    @rule(which=which, key=keys, amount=amounts, gateway=at_gateway, store=at_store)
    def refund(
        self, which: int, key: str, amount: object, gateway: list[Trouble], store: list[Fault]
    ) -> None:
        self._call("refund", which, gateway, store, key, amount=amount)

    @has_payments
    @rule(gateway=at_gateway, store=at_store, seconds=st.sampled_from([60, 3600]))
    def schedule(self, gateway: list[Trouble], store: list[Fault], seconds: int) -> None:
        next(self._steps)
        self.life.gateway.plan(*gateway)
        self.life.network.plan(*store)
        self.life.seconds_ahead += seconds
        self.life.run_schedule()
        self._calm()

    @has_payments
    @rule()
    def a_day_passes(self) -> None:
        self.life.seconds_ahead += DAY + 3600
        self.life.gateway.forget()

    @has_payments
    @rule(
        which=which,
        event=st.sampled_from(["pay", "expire", "give back", "fail refunds", "reverse", "finish"]),
        is_told=st.booleans(),
    )
    def something_happens_at_the_gateway(self, which: int, event: str, is_told: bool) -> None:
        next(self._steps)
        payment_id = self._id(which)
        account = self.life.gateway.accounts.get(payment_id)
        if event == "finish":
            self.life.gateway.finish()
        elif account and event == "pay" and account.state == "REQUIRES_ACTION":
            account.pay()
        elif account and event == "expire" and account.state in ("REQUIRES_ACTION", "AUTHORIZED"):
            account.expire()
        elif account and event == "give back":
            account.give_back(500)
        elif account and event == "fail refunds":
            account.fail_refunds()
        elif account and event == "reverse":
            account.reverse()
        if is_told:
            self.life.webhook(payment_id)

    def teardown(self) -> None:
        """Once all can be reached, and all has been told, nothing is unknown and all agrees."""
        self._calm()
        self.life.gateway.finish()
        for payment_id in self.life.payment_ids:
            self.life.webhook(payment_id)
            self.life.settled(payment_id)
        self.life.delete()

    def _id(self, which: int) -> str:
        return self.life.payment_ids[which % len(self.life.payment_ids)]

    def _calm(self) -> None:
        self.life.gateway.plan()
        self.life.network.plan()

    def _call(
        self,
        action: str,
        which: int,
        gateway: list[Trouble],
        store: list[Fault],
        key: str = "",
        **body: object,
    ) -> None:
        next(self._steps)
        payment_id = self._id(which)
        before = self.life.kept(payment_id)
        is_quiet = not gateway and not store and before.operation is None
        is_told = is_quiet and self._is_told(before)

        self.life.gateway.plan(*gateway)
        self.life.network.plan(*store)
        client = self.life.alice if action == "confirm" else self.life.office
        response = client.do(action, payment_id, body, {"Idempotency-Key": key} if key else {})
        self._calm()

        assert response.status in {200, 201, 202, 400, 409, 422, 503}, response.text
        if is_told and before.status != "PROCESSING":
            assert response.status == expected(action, before, key, **body), response.text
        self._holds(action, response, payment_id)

    def _is_told(self, payment: Payment) -> bool:
        """Tell whether the payment is as its gateway knows it."""
        account = self.life.gateway.accounts.get(payment.payment_id)
        return account is None or payment.status == account.status

    def _holds(self, action: str, response: Response, payment_id: str) -> None:
        """Check that what was answered for certain is in the ledger."""
        account = self.life.gateway.accounts.get(payment_id)
        if action == "capture" and response.status == 200:
            assert account
            captures = [amount for _, kind, amount in account.effects if kind == "capture"]
            assert captures == [response.json["amountCapturedMinor"]]
        if action == "refund" and response.status == 201 and response.json["status"] != "FAILED":
            assert account
            known = account.refunds[response.json["refundId"]]
            assert known["amount"] == response.json["amountMinor"]


class StandInLives(Lives):
    """The same at the stand-in of a gateway that ships: with a payer, and with webhooks that are
    lost, come twice, and in any order."""

    life: StandInLife

    @has_payments
    @rule(
        which=which,
        event=st.sampled_from(
            ["pay", "pay", "decline", "abandon", "give back", "fail refunds", "finish", "no token"]
        ),
    )
    def something_happens_at_the_gateway(self, which: int, event: str) -> None:
        next(self._steps)
        payment, stand_in = self.life.kept(self._id(which)), self.life.stand_in
        is_known = bool({"session", "order"} & set(payment.references or ()))
        books = stand_in.books(payment).sums
        if event in ("pay", "decline", "abandon") and is_known:
            stand_in.pay(payment, event)
        elif event == "give back" and books["capture"] - books["refund"] >= 500:
            with suppress(Problem):  # PayPal's page of the first capture, which was declined
                stand_in.refund_by_hand(payment, 500)
        elif event == "fail refunds" and books["refund"]:
            stand_in.fail_refunds(payment)
        elif event == "finish":
            stand_in.finish()
        elif event == "no token":
            stand_in.lose_tokens()

    @has_payments
    @rule(order=st.randoms(use_true_random=False), gateway=at_gateway, store=at_store)
    def webhooks_arrive(self, order: Random, gateway: list[Trouble], store: list[Fault]) -> None:
        """Some never, some twice, in any order; those that were not taken come again."""
        next(self._steps)
        events = [
            each for each in self.life.stand_in.new_events() for _ in range(order.choice((0, 1, 2)))
        ]
        order.shuffle(events)
        self.life.gateway.plan(*gateway)
        self.life.network.plan(*store)
        statuses = self.life.hear(events)
        self._calm()
        assert set(statuses) <= {204, 503}, statuses
        again = [event for event, status in zip(events, statuses, strict=True) if status == 503]
        assert set(self.life.hear(again)) <= {204}

    @has_payments
    @rule(days=st.sampled_from([1, 8, 30]))
    def a_day_passes(self, days: int) -> None:
        self.life.seconds_ahead += days * DAY + 3600
        self.life.gateway.forget()

    def _is_told(self, payment: Payment) -> bool:
        gateway = wiring.gateways()[self.life.name]
        return apply(payment, gateway.fetch(payment)) == payment

    def _holds(self, action: str, response: Response, payment_id: str) -> None:
        payment = self.life.kept(payment_id)
        books = self.life.stand_in.books(payment)
        if action == "capture" and response.status == 200:
            assert books.number("capture") == 1
            assert books.sums["capture"] == response.json["amountCapturedMinor"]
        if action == "refund" and response.status == 201 and response.json["status"] != "FAILED":
            assert books.sums["refund"] >= response.json["amountMinor"]
        twice = [each for each, times in books.moves.items() if each[1] and times > 1]
        assert not twice, books.moves


def expected(action: str, before: Payment, key: str, amount: Any = None) -> int:
    """Return the status of the answer to a call that nothing disturbs."""
    minor = int(Decimal(amount) * 100) if amount else None
    if action == "confirm":
        return 409 if before.status in ENDS else 200
    if action == "capture":
        is_same = before.captured_minor == (minor or 10000)
        return 200 if before.status == "AUTHORIZED" or is_same else 409
    if action == "cancel":
        return 409 if before.status in {*PAID, "FAILED", "EXPIRED"} else 200
    if known := before.refund(refund_id(before.payment_id, key)):
        return 201 if known.fingerprint == fingerprint(minor, None) else 422
    if before.status not in PAID or not before.refundable_minor:
        return 409
    return 400 if (minor or 0) > before.refundable_minor else 201


@lives(*GATEWAYS)
def test_every_history_ends_with_books_that_agree(life: Life, record_property: Any) -> None:
    machine = Lives if life.name == "scripted" else StandInLives
    few = 6 if life.name == "scripted" else 3
    budget = settings(
        max_examples=3 if MINUTES else few,
        stateful_step_count=50 if MINUTES else 12,
        derandomize=not MINUTES,
        database=None,
        deadline=None,
    )
    steps = count()
    end = time.monotonic() + 60 * MINUTES / len(GATEWAYS)
    while True:
        run_state_machine_as_test(lambda: machine(life, steps), settings=budget)
        if time.monotonic() >= end:
            break
    record_property("cases", next(steps))
