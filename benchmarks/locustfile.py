"""`make load`: callers who each take payments through their lives, and the books at the end.

A life is create, confirm, the payer's page and the gateway's webhook, capture or cancel, a refund,
and a list. What was not answered for certain is asked for again with the same key, as
docs/clients.md says. At the end every payment is held against what its caller was told, and against
the ledgers of the gateways' stand-ins.
"""

# Locust is not in this environment.
# mypy: ignore-errors

import os
import random
import uuid
from collections import Counter
from decimal import Decimal
from urllib.parse import urljoin

import gevent
import requests
from locust import FastHttpUser, events, task

GATEWAYS = ("manual", "stripe", "paypal")
PAYER, OFFICE = os.environ["TOKEN"], os.environ["OFFICE"]
TRIES = 8
WAITING_FOR_SOMEBODY = {"PENDING", "REQUIRES_ACTION"}
SIDES = {"amountCapturedMinor": "captured", "amountRefundedMinor": "refunded"}

told: dict[str, dict] = {}
"""Each payment as the last answer showed it, by its id."""

ledgers: set[str] = set()
"""Where the ledgers of the gateways' stand-ins are."""


class Caller(FastHttpUser):
    """One caller, on one connection."""

    @task
    def a_life(self) -> None:
        """Take a payment from its create to a refund, or cancel it; list a page."""
        gateway, capture = random.choice(GATEWAYS), random.choice(["automatic", "manual"])
        payment = self._call("create", "POST", "/payment", new_payment(gateway, capture))
        payment = self._act(payment, "confirm")
        if action := payment["nextAction"]:
            ledgers.add(urljoin(action["url"], "/ledger"))
            name = f"the payer's page, {gateway}"
            self.client.post(action["url"], {"outcome": "pay"}, name=name, allow_redirects=False)
            payment = self._settled(payment)
        if capture == "manual" or gateway == "manual":
            if random.random() < 0.1:
                self._settled(self._act(payment, "cancel"))
                return
            payment = self._settled(self._act(payment, "capture", {"amount": "8.25"}))
        self._act(payment, "refund", {"amount": "3.10"})
        self._settled(payment)
        self._call("list", "GET", "/payments?limit=20")

    def _act(self, payment: dict, action: str, body: dict | None = None) -> dict:
        path = f"/payment/{payment['paymentId']}/{action}"
        return self._call(f"{action}, {payment['gateway']}", "POST", path, body)

    def _settled(self, payment: dict) -> dict:
        """Read a payment until nothing of it is under way: a webhook or the schedule comes."""
        path = f"/payment?paymentId={payment['paymentId']}"
        for _ in range(200):
            payment = self._call("read", "GET", path)
            if not is_under_way(payment):
                return payment
            gevent.sleep(0.1)
        raise TimeoutError(f"{payment['paymentId']} is {payment['status']} for ever")

    def _call(self, name: str, method: str, path: str, body: dict | None = None) -> dict:
        """Call the API until it answers for certain; keep what it said of a payment."""
        token = OFFICE if name.startswith(("capture", "refund")) else PAYER
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
        for _ in range(TRIES):
            with self.rest(method, path, name=name, json=body, headers=headers) as response:
                found = response.js or {}
                if response.status_code < 300:
                    if "paymentId" in found and "refundId" not in found:
                        told[found["paymentId"]] = found
                    return found
                response.failure(f"{response.status_code} {found.get('detail')}")
            gevent.sleep(float((response.headers or {}).get("Retry-After", 1)))
        raise TimeoutError(f"{name}: {TRIES} tries, and no answer")


def new_payment(gateway: str, capture: str) -> dict:
    """Return the body of a create."""
    at_gateway = {} if gateway == "manual" else {"returnUrl": "http://localhost/back"}
    body = {"amount": "10.50", "currency": "EUR"}
    return {**body, "gateway": gateway, "capture": capture, **at_gateway}


def is_under_way(payment: dict) -> bool:
    """Tell whether the outcome of something that was asked for is not known yet."""
    refunds = payment.get("refunds", [])
    return payment["status"] in {*WAITING_FOR_SOMEBODY, "PROCESSING"} or any(
        each["status"] == "PENDING" for each in refunds
    )


@events.test_stop.add_listener
def hold_against_the_books(environment: object, **_: object) -> None:
    """Read every payment again; one that is not as its caller and the ledgers know it is wrong."""

    def get(url: str) -> dict:
        headers = {"Authorization": f"Bearer {PAYER}"}
        return requests.get(url, headers=headers, timeout=30).json()

    def ended(payment_id: str) -> dict:
        for _ in range(300):  # what was under way when the time was up is found by the schedule
            payment = get(f"{environment.host}/payment?paymentId={payment_id}")
            if payment["status"] in WAITING_FOR_SOMEBODY or not is_under_way(payment):
                break
            gevent.sleep(0.1)
        return payment

    payments = [ended(payment_id) for payment_id in told]
    moved = Counter()
    for move in [move for url in ledgers for move in get(url)["moves"]]:
        minor = move.get("amountMinor") or int(Decimal(move["amount"]) * 100)
        moved[move["paymentId"], move["kind"]] += minor
    wrong = [
        payment["paymentId"]
        for payment in payments
        if payment["version"] < told[payment["paymentId"]]["version"]
        or (payment["gateway"] != "manual" and not agree(payment, moved))
    ]
    sums = [
        f"{sum(each[name] for each in payments) / 100:.2f} EUR {word}"
        for name, word in SIDES.items()
    ]
    print(f"{len(payments)} payments, {', '.join(sums)}.")
    print(f"Not as they were told, or as the gateways' ledgers say: {len(wrong)}", *wrong, sep="\n")
    if wrong or not payments:
        environment.process_exit_code = 1


def agree(payment: dict, moved: Counter) -> bool:
    """Tell whether a ledger has the money of a payment just so."""
    payment_id = payment["paymentId"]
    ledger = moved[payment_id, "capture"], moved[payment_id, "refund"]
    return ledger == tuple(payment[name] for name in SIDES)


@events.init.add_listener
def let_the_clock_catch_up(**_: object) -> None:
    """Turn gevent's loop once: else `--run-time` counts from before the imports, seconds ago."""
    gevent.sleep(0)
