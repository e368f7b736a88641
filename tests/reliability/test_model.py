"""In whatever order users call, and whatever fails meanwhile, the API does as a small model does.

`make test` drives a fixed number of histories, the same each time; `make soak MINUTES=60` drives
new ones for an hour.
"""

import os
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import Client
from tests.reliability.conftest import Network
from tests.reliability.proxy import Fault
from tests.reliability.test_faults import Items, until_answered

MINUTES = float(os.environ.get("MINUTES") or 0)

users = st.sampled_from([0, 1])
keys = st.sampled_from(["order-1", "order-2"])
amounts = st.sampled_from(["117", "117.00", "1"])
faults = st.lists(st.sampled_from(Fault), max_size=4)


class Histories(RuleBasedStateMachine):
    """Two users, two keys, and the model: which payment each key made, each payment's text."""

    def __init__(self, network: Network, items: Items, steps: Iterator[int]) -> None:
        super().__init__()
        self._network = network
        self._items = items
        self._users = [Client(), Client()]
        self._of_key: dict[tuple[int, str], tuple[Decimal, str]] = {}
        self._payments: dict[str, tuple[int, str]] = {}
        self._unanswered = 0
        self._steps = steps

    @rule(user=users, key=keys, amount=amounts, faults=faults)
    def create(self, user: int, key: str, amount: str, faults: list[Fault]) -> None:
        is_first = (user, key) not in self._of_key
        body = {"amount": amount, "currency": "USD"}

        response = self._call(faults, lambda: self._users[user].create(body, key=key))

        if is_first:
            assert response.status == 201, response.text
            self._of_key[user, key] = Decimal(amount), response.text
            self._payments[response.json["paymentId"]] = user, response.text
        made, text = self._of_key[user, key]
        if made == Decimal(amount):
            assert (response.status, response.text) == (201, text)
            assert is_first or response.headers["Idempotent-Replayed"] == "true"
        else:
            assert response.status == 422, response.text

    @rule(user=users, faults=faults)
    def create_without_a_key(self, user: int, faults: list[Fault]) -> None:
        self._network.plan(*faults)
        response = self._users[user].create({"amount": "117", "currency": "USD"})
        self._network.plan()

        next(self._steps)
        assert response.status in {201, 503}, response.text
        if response.status == 503:
            self._unanswered += 1
        else:
            assert response.json["paymentId"] not in self._payments
            self._payments[response.json["paymentId"]] = user, response.text

    @precondition(lambda self: self._payments)
    @rule(user=users, data=st.data(), faults=faults)
    def read(self, user: int, data: st.DataObject, faults: list[Fault]) -> None:
        payment_id = list(self._payments)[data.draw(st.integers(0, len(self._payments) - 1))]
        owner, text = self._payments[payment_id]

        response = self._call(faults, lambda: self._users[user].get(payment_id))

        if user == owner:
            assert (response.status, response.text) == (200, text)
        else:
            assert response.status == 404, response.text

    def teardown(self) -> None:
        """Every payment that was answered is stored, and nothing that nobody asked for."""
        stored = {
            item["paymentId"]["S"] for item in self._items(*[user.user for user in self._users])
        }
        assert set(self._payments) <= stored
        assert len(stored) - len(self._payments) <= self._unanswered

    def _call(self, faults: list[Fault], call: Any) -> Any:
        next(self._steps)
        self._network.plan(*faults)
        response = until_answered(call)
        self._network.plan()
        return response


def test_every_history_goes_as_the_model_says(
    network: Network, items: Items, record_property: Any
) -> None:
    budget = settings(
        max_examples=3 if MINUTES else 10,  # so that a soak ends close to its time
        stateful_step_count=50 if MINUTES else 15,
        derandomize=not MINUTES,
        database=None,
        deadline=None,
    )
    steps = count()
    end = time.monotonic() + 60 * MINUTES
    while True:
        run_state_machine_as_test(lambda: Histories(network, items, steps), settings=budget)
        if time.monotonic() >= end:
            break
    record_property("cases", next(steps))
