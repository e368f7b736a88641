"""The adapter for Stripe against somebody else's Stripe: localstripe, in a process of its own.

How far it goes: PaymentIntents that are held, captured in full and in part, canceled and declined,
refunds in part, what a capture in part releases, and webhooks with its own signatures. What it
lacks: Checkout, which our stand-in adds in front of it; Idempotency-Keys and a bound on refunds,
so that no fault is played here; `amount_received`, which is what was asked to be captured.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import pytest
import stripe as package
from werkzeug.wrappers import Request, Response

from local.loopback import listen, serving
from local.stripe import Json, StripeStandIn
from tests.gateways import standins
from tests.gateways.standins import Books, Event, StripeAccount
from tests.reliability.conftest import lives
from tests.reliability.life import StandInLife
from tests.reliability.proxy import Fault

LOCALSTRIPE = "localstripe==1.15.8"
SECONDS_TO_FETCH = 60

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def localstripe() -> Iterator[str]:
    """Return the address of a localstripe; it is ended by its process id."""
    uvx = Path(sys.executable).with_name("uvx")
    script = Path(__file__).with_name("run_localstripe.py")
    command = [str(uvx), "--quiet", "--python", sys.executable, "--from", LOCALSTRIPE, "python"]
    with subprocess.Popen(
        [*command, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        too_late = threading.Timer(SECONDS_TO_FETCH, process.kill)
        too_late.start()
        said = process.stdout.readline().split()
        too_late.cancel()
        if not said:
            pytest.skip(f"{LOCALSTRIPE} cannot be fetched: {process.stderr.read()[-300:]}")
        pid, port = map(int, said)
        yield f"http://127.0.0.1:{port}"
        os.kill(pid, signal.SIGTERM)


class Desk(StripeStandIn):
    """Stripe's Checkout, by our stand-in; the money behind it is localstripe's."""

    def __init__(self, localstripe: str, secret_key: str) -> None:
        super().__init__()
        self.secret_key = secret_key
        self._money = urlsplit(localstripe).netloc
        self._captures: dict[str, int] = {}
        self.client = package.StripeClient(self.secret_key, base_addresses={"api": localstripe})

    def __call__(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        if request.path.startswith("/v1/checkout"):
            return super().__call__(environ, start)
        connection = HTTPConnection(self._money, timeout=10)
        path = f"{request.path}?{request.query_string.decode()}"
        connection.request(request.method, path, request.get_data(), dict(request.headers))
        answer = connection.getresponse()
        response = Response(answer.read(), answer.status, content_type="application/json")
        connection.close()
        if request.path.endswith("/capture") and response.status_code == 200:
            asked = parse_qs(request.get_data(as_text=True))
            self._captures[request.path.split("/")[-2]] = int(asked["amount_to_capture"][0])
        return response(environ, start)

    def pay(self, name: str, outcome: str = "pay") -> str:
        """Let the payer pay by a card of localstripe's, or one that it declines."""
        session = self.objects["checkout.session"][name]
        if outcome == "abandon" or session["status"] != "open":
            return str(session["cancel_url"])
        number = "4242424242424242" if outcome == "pay" else "4000000000000341"
        card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
        method = self.client.v1.payment_methods.create({"type": "card", "card": cast(Any, card)})
        customer = self.client.v1.customers.create({})
        self.client.v1.payment_methods.attach(method.id, {"customer": customer.id})
        intent = self.client.v1.payment_intents.create(
            {
                "amount": session["amount_total"],
                "currency": session["currency"],
                "customer": customer.id,
                "payment_method": method.id,
                "capture_method": session["_data"]["capture_method"],
                "metadata": session["_data"]["metadata"],
            }
        )
        session["payment_intent"] = intent.id
        with suppress(package.CardError):
            self.client.v1.payment_intents.confirm(intent.id)
            session |= {"status": "complete", "url": None}
        return str(session["success_url"])

    def _shown(self, thing: Json, given: Json) -> Json:
        shown = super()._shown({**thing, "payment_intent": None}, given)
        if intent := thing.get("payment_intent"):
            shown["payment_intent"] = self.intent(intent)
        return shown

    def intent(self, intent_id: str) -> Json:
        """Return a PaymentIntent of localstripe's, with what it does not tell."""
        intent: Json = self.client.v1.payment_intents.retrieve(
            intent_id, {"expand": ["latest_charge"]}
        ).to_dict()
        taken = self._captures.get(intent_id, intent["amount"])
        intent["amount_received"] = taken if intent["status"] == "succeeded" else 0
        return intent


class LocalStripeAccount(StripeAccount):
    """localstripe, as the life of payments meets a gateway."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.told: queue.Queue[Event] = queue.Queue()

    def _serve(self, stack: ExitStack) -> str:
        self.keys = {"secretKey": "sk_test_localstripe", "webhookSecrets": ["whsec_localstripe"]}
        self.app = Desk(self._url, self.keys["secretKey"])
        ear = stack.enter_context(serving(self._hear, listen(0)))
        told = f"url={ear}&secret={self.keys['webhookSecrets'][0]}".encode()
        urlopen(UrlRequest(f"{self._url}/_config/webhooks/us", told)).close()
        self.app.url = stack.enter_context(serving(self.app, listen(0)))
        return self.app.url

    def _hear(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        self.told.put(Event(dict(request.headers), request.get_data()))
        return Response(status=204)(environ, start)

    def books(self, payment: Any) -> Books:
        """Return what localstripe's own lists say."""
        intent_id = self.app.objects["checkout.session"][payment.references["session"]][
            "payment_intent"
        ]
        if intent_id is None:
            return Books({"capture": 0, "refund": 0}, {})
        intent = self.app.intent(intent_id)
        found = self.app.client.v1.refunds.list({"payment_intent": intent_id}).data
        listed = [each.to_dict() for each in found]
        refunds = [each for each in listed if each["metadata"]]
        released = sum(each["amount"] for each in listed if not each["metadata"])
        is_taken = intent["status"] == "succeeded"
        assert released == (intent["amount"] - intent["amount_received"] if is_taken else 0)
        sums = {
            "capture": intent["amount_received"],
            "refund": sum(each["amount"] for each in refunds),
        }
        moves = {("refund", each["metadata"]["refundId"]): 1 for each in refunds}
        assert len(moves) == len(refunds)
        return Books(sums, {**moves, ("capture", None): int(is_taken)})


@pytest.fixture(scope="module", autouse=True)
def in_its_place(localstripe: str) -> Iterator[None]:
    """Let a life at Stripe be one at localstripe."""
    known = cast(dict[str, Any], standins.STAND_INS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(known, "stripe", lambda: LocalStripeAccount(localstripe))
        yield


def at_localstripe(life: StandInLife, payment_id: str) -> str:
    """Return the status of the payment's PaymentIntent."""
    desk: Desk = life.stand_in.app  # type: ignore[attr-defined]
    return str(desk.intent((life.kept(payment_id).references or {})["paymentIntent"])["status"])


@lives("stripe")
def test_money_is_held_captured_in_part_and_given_back(life: StandInLife) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    assert at_localstripe(life, payment_id) == "requires_capture"

    assert life.office.do("capture", payment_id, {"amount": "60.50"}).status == 200
    for key in ("r-1", "r-1", "r-2"):
        assert life.refund(payment_id, key, amount=20).status == 201
    assert life.refund(payment_id, "r-3", amount="20.51").status == 400

    kept = life.settled(payment_id)
    assert (kept.status, kept.captured_minor, kept.refunded_minor) == (
        *("PARTIALLY_REFUNDED", 6050, 4000),
    )
    assert at_localstripe(life, payment_id) == "succeeded"


@lives("stripe")
def test_money_that_is_held_is_released_by_a_cancel(life: StandInLife) -> None:
    payment_id = life.made("manual", "AUTHORIZED")

    assert life.alice.do("cancel", payment_id).json["status"] == "CANCELED"

    assert at_localstripe(life, payment_id) == "canceled"
    assert life.office.do("capture", payment_id).status == 409
    life.settled(payment_id)


@lives("stripe")
def test_a_declined_payer_pays_with_another_card(life: StandInLife) -> None:
    payment_id = life.made("automatic", "REQUIRES_ACTION")
    life.pay(payment_id, "decline")

    declined = life.alice.do("confirm", payment_id).json
    assert (declined["status"], declined["lastError"]["code"]) == (
        *("REQUIRES_ACTION", "card_declined"),
    )
    life.pay(payment_id)

    assert life.alice.do("confirm", payment_id).json["status"] == "CAPTURED"
    assert life.refund(payment_id, "r-1").json["amountMinor"] == 10000
    assert life.settled(payment_id).status == "REFUNDED"


@lives("stripe")
def test_its_webhooks_are_taken_and_say_which_payment_was_paid(life: StandInLife) -> None:
    payment_id = life.made("automatic", "APPROVED")
    told = life.stand_in.told  # type: ignore[attr-defined]

    while life.kept(payment_id).status != "CAPTURED":
        event = told.get(timeout=20)
        forged = Event(event.headers, event.body.replace(b":", b": ", 1))
        assert life.hear([forged]) == [400]
        assert life.hear([event]) == [204]

    life.settled(payment_id)


@lives("stripe")
@pytest.mark.parametrize("name", ["capture", "capture in part", "cancel"])
def test_what_localstripe_refuses_since_it_has_happened_is_done(
    life: StandInLife, name: str
) -> None:
    """It knows no Idempotency-Key: what is sent again is refused, and asked about."""
    call = life.calls[name]
    payment_id = life.made(call.capture, call.before)
    life.stand_in.plan(*[Fault.NONE] * (name == "cancel"), *[Fault.DROPPED_ANSWER] * 3)

    assert life.until_answered(lambda: life.do(call, payment_id)).status == 200

    call.has_led_to(life.settled(payment_id))
