"""A stand-in for Stripe: what the adapter uses of it, in memory, with a ledger.

    stripe = StripeStandIn("http://127.0.0.1:3001", secret_key, webhook_secret, webhook_url)

Checkout Sessions, PaymentIntents, refunds, disputes and events, as the API has them: form-encoded
requests, Idempotency-Keys with replays, errors in Stripe's shape, signed webhooks. A session's
`url` is a page where the payer pays, is declined, or goes back; its field `outcome` says which:

    curl -d outcome=pay http://127.0.0.1:3001/pay/cs_test_…    (or decline, debit, abandon)

A debit takes until `finish`, and then succeeds or fails.

What it does otherwise is chosen by attributes, by the payer's query, or by an amount (trouble.py):

    webhooks    once, twice, reversed (a batch in the opposite order), late (not before `deliver`),
                none; also `?webhooks=twice` at the payer's page
    refunds     succeeded, pending (until `finish`), failing (fails at `finish`), refused
    decline     the code by which it declines what the payer pays, and captures
    later_seconds   how soon `finish` and `deliver` come of themselves; None: never
    troubles    what befalls the next POST requests: "429", "409", "500" (nothing was done), "500
                after" (it was done); a 500 is kept for its Idempotency-Key, as at Stripe
    ahead       how many seconds its clock is ahead: sessions and holds run out

`ledger` has every movement of money: hold, release, capture, refund, refund failed. `GET /ledger`
shows it.
"""

import hashlib
import hmac
import json
import queue
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException as Refusal
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from local.payer import page

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Json = dict[str, Any]

API_VERSION = "2026-10-28.endive"
HOLD_SECONDS = 7 * 86_400
LONGEST_SESSION_SECONDS = 86_400
SHORTEST_SESSION_SECONDS = 1800
GREATEST_AMOUNT = 999_999_999_999  # in minor units, whatever the currency
TRIES = 3
WEBHOOK_SECONDS = 10

_ROUTES = Map(
    [
        Rule("/v1/checkout/sessions", methods=["POST"], endpoint="create_session"),
        Rule("/v1/checkout/sessions", methods=["GET"], endpoint="list_sessions"),
        Rule("/v1/checkout/sessions/<session>", methods=["GET"], endpoint="show_session"),
        Rule("/v1/checkout/sessions/<session>/expire", methods=["POST"], endpoint="expire_session"),
        Rule("/v1/payment_intents/<intent>", methods=["GET"], endpoint="show_intent"),
        Rule("/v1/payment_intents/<intent>/capture", methods=["POST"], endpoint="capture_intent"),
        Rule("/v1/payment_intents/<intent>/cancel", methods=["POST"], endpoint="cancel_intent"),
        Rule("/v1/refunds", methods=["POST"], endpoint="create_refund"),
        Rule("/v1/refunds", methods=["GET"], endpoint="list_refunds"),
        Rule("/v1/refunds/<refund>", methods=["GET"], endpoint="show_refund"),
        Rule("/v1/disputes", methods=["GET"], endpoint="list_disputes"),
        Rule("/v1/events", methods=["GET"], endpoint="list_events"),
        Rule("/v1/events/<event>", methods=["GET"], endpoint="show_event"),
        Rule("/ledger", methods=["GET"], endpoint="ledger"),
        Rule("/pay/<session>", methods=["GET"], endpoint="page"),
        Rule("/pay/<session>", methods=["POST"], endpoint="pay_on_page"),
    ]
)


OUTCOMES = {
    "pay": "Pay",
    "decline": "Pay with a card that is declined",
    "debit": "Pay by a debit, which takes days",
    "abandon": "Go back",
}


class Movement(NamedTuple):
    """A movement of money: hold, release, capture, refund or refund failed; Stripe's minor units.

    `key` is the Idempotency-Key that it was asked for under; None: nobody asked the API.
    """

    kind: str
    payment_intent: str
    amount: int
    key: str | None


class StripeError(Exception):
    """An error in Stripe's shape; `is_kept` where its Idempotency-Key replays it."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        code: str | None = None,
        param: str | None = None,
        *,
        is_kept: bool = False,
    ) -> None:
        self.status = status
        self.is_kept = is_kept
        error = {"type": kind, "code": code, "message": message, "param": param}
        self.body = {"error": {name: text for name, text in error.items() if text}}
        super().__init__(message)


class _First(NamedTuple):
    """The first request with an Idempotency-Key, and its answer."""

    request: tuple[str, str]
    status: int
    body: Json


class StripeStandIn:
    """A WSGI application; one lock makes each request a step of its own."""

    KEPT: tuple[str, ...] = (
        *("secret_key", "webhook_secret", "ledger", "events", "_late", "_firsts"),
        *("_sessions", "_intents", "_charges", "_refunds", "_disputes"),
    )

    def __init__(
        self, url: str, secret_key: str, webhook_secret: str, webhook_url: str | None = None
    ) -> None:
        self.url = url
        self.secret_key = secret_key
        self.webhook_secret = webhook_secret
        self.webhook_url = webhook_url
        self.webhooks = "once"
        self.refunds = "succeeded"
        self.decline = ""
        self.later_seconds: float | None = None
        self.troubles: deque[str] = deque()
        self.ahead = 0.0
        self.ledger: list[Movement] = []
        self.events: list[Json] = []
        self.asked: list[tuple[str, str, str | None]] = []  # method, path, Idempotency-Key
        self._lock = threading.RLock()
        self._key: str | None = None
        self._sessions: dict[str, Json] = {}
        self._intents: dict[str, Json] = {}
        self._charges: dict[str, Json] = {}
        self._refunds: dict[str, Json] = {}
        self._disputes: dict[str, Json] = {}
        self._firsts: dict[str, _First] = {}
        self._unsent: list[Json] = []
        self._late: list[Json] = []
        self._outbox: queue.Queue[Json] = queue.Queue()
        if webhook_url:
            threading.Thread(target=self._send_webhooks, daemon=True).start()

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Any:
        """Answer a request (WSGI)."""
        request = Request(environ)
        with self._lock:
            self._run_out()
            response = self._answer(request)
            self._hand_over()
        return response(environ, start)

    # --- What happens at Stripe without the API ---

    def pay(self, session_id: str, outcome: str = "pay") -> str:
        """Let the payer of a session pay, be declined, or leave; return where they go next."""
        with self._lock:
            self._run_out()
            session = self._sessions[session_id]
            outcome = "decline" if self.decline and outcome == "pay" else outcome
            if session["status"] == "open" and outcome != "abandon":
                intent = self._intent_of(session)
                if outcome == "pay":
                    self._paid(session, intent)
                elif outcome == "debit":
                    session |= {"status": "complete", "url": None}
                    intent |= {"status": "processing", "last_payment_error": None}
                    self._do_later(self.finish)
                    self._tell("checkout.session.completed", session)
                else:
                    self._declined(intent)
            self._hand_over()
            if session["status"] == "complete":
                return str(session["success_url"])
            return str(session["url"] if outcome == "decline" else session["cancel_url"])

    def refund_by_hand(self, intent_id: str, amount: int) -> str:
        """Refund a payment as somebody who signs in there; return the refund's id."""
        with self._lock:
            refund = self._refund(self._intents[intent_id], amount, {}, "succeeded")
            self._hand_over()
            return str(refund["id"])

    def cancel_by_hand(self, intent_id: str, reason: str = "requested_by_customer") -> None:
        """Release the money that is held, as somebody who signs in there."""
        with self._lock:
            self._cancel(self._intents[intent_id], reason)
            self._hand_over()

    def dispute(self, intent_id: str, amount: int, status: str = "needs_response") -> str:
        """Let the payer's bank dispute a payment; return the dispute's id."""
        with self._lock:
            intent = self._intents[intent_id]
            dispute = {
                "id": _id("du"),
                "object": "dispute",
                "amount": amount,
                "currency": intent["currency"],
                "charge": intent["latest_charge"],
                "payment_intent": intent_id,
                "created": self._now(),
                "status": status,
                "reason": "fraudulent",
                "metadata": {},
                "livemode": False,
                "is_charge_refundable": False,
                "balance_transactions": [],
            }
            self._disputes[dispute["id"]] = dispute
            self._charges[intent["latest_charge"]]["disputed"] = True
            self._tell("charge.dispute.created", dispute)
            self._hand_over()
            return str(dispute["id"])

    def decide(self, dispute_id: str, status: str) -> None:
        """End a dispute: lost or won."""
        with self._lock:
            dispute = self._disputes[dispute_id]
            dispute["status"] = status
            if status == "lost":
                self._move("dispute", dispute["payment_intent"], dispute["amount"])
            self._tell("charge.dispute.closed", dispute)
            self._hand_over()

    def finish(self, debits: str = "succeed") -> None:
        """Let every refund and debit that is under way come to its end."""
        with self._lock:
            for session in self._sessions.values():
                intent = self._intents.get(session["payment_intent"] or "", {})
                if intent.get("status") != "processing":
                    continue
                if debits == "succeed":
                    self._paid(session, intent, "checkout.session.async_payment_succeeded")
                else:
                    self._declined(intent)
                    intent["status"] = "requires_payment_method"
                    self._tell("checkout.session.async_payment_failed", session)
            for refund in self._refunds.values():
                end = refund["status"] == "pending" and refund.pop("_end", "succeeded")
                if end == "failed":
                    self._fail(refund)
                elif end:
                    refund["status"] = "succeeded"
                    self._tell("refund.updated", refund)
            self._hand_over()

    def fail_refund(self, refund_id: str) -> None:
        """Let a refund fail that had succeeded: the payer's bank sent it back."""
        with self._lock:
            self._fail(self._refunds[refund_id])
            self._hand_over()

    def forget_keys(self) -> None:
        """Forget the Idempotency-Keys, as Stripe does after a day."""
        with self._lock:
            self._firsts = {}

    def deliver(self) -> None:
        """Send the webhooks that are kept back, and wait until all are sent."""
        with self._lock:
            late, self._late = self._late, []
            for event in late:
                self._outbox.put(event)
        if self.webhook_url:
            self._outbox.join()

    def signed(self, event: Json, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of an event's webhook."""
        body = json.dumps(event, indent=2).encode()
        at = int(time.time())
        key = (secret or self.webhook_secret).encode()
        signature = hmac.new(key, b"%d." % at + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": f"t={at},v1={signature}",
        }
        return headers, body

    def session_of(self, payment_id: str) -> Json:
        """Return the newest session of a payment of ours."""
        with self._lock:
            return [
                session
                for session in self._sessions.values()
                if session["client_reference_id"] == payment_id
            ][-1]

    def whole_units(self, request: Request) -> int:
        """Return the whole units of the amount that a request names, else of its payment's.

        0 where there is none. Each currency is taken for one with two decimals.
        """
        given = decoded(request.form.items(multi=True))
        known = {**self._sessions, **self._intents}
        about = next((known[each] for each in request.path.split("/") if each in known), {})
        named = given.get("amount") or given.get("amount_to_capture")
        if "line_items" in given:
            named, _ = _total(given["line_items"])
        return int(named or about.get("amount_total") or about.get("amount") or 0) // 100

    # --- HTTP ---

    def _answer(self, request: Request) -> Response:
        try:
            endpoint, found = _ROUTES.bind_to_environ(request.environ).match()
        except Refusal:
            message = f"Unrecognized request URL ({request.method}: {request.path})."
            return _json(404, StripeError(404, "invalid_request_error", message).body)
        do: Callable[..., Any] = getattr(self, f"_{endpoint}")
        if endpoint in ("ledger", "page", "pay_on_page"):  # which are no part of Stripe's API
            response: Response = do(request, **found)
            return response
        key = request.headers.get("Idempotency-Key")
        self.asked.append((request.method, request.path, key))
        try:
            self._authenticate(request)
            if request.method == "GET":
                body = do(decoded(request.args.items(multi=True)), **found)
                return _json(200, body)
            return self._change(request, key, do, found)
        except StripeError as error:
            return _json(error.status, error.body)

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(key.encode(), self.secret_key.encode()):
            shown = f"{key[:8]}{'*' * 12}{key[-4:]}"
            raise StripeError(401, "invalid_request_error", f"Invalid API Key provided: {shown}")

    def _change(
        self, request: Request, key: str | None, do: Callable[..., Json], found: Mapping[str, Any]
    ) -> Response:
        """Do what a POST asks for, once for its Idempotency-Key."""
        given = (request.path, request.get_data(as_text=True))
        if first := self._firsts.get(key or ""):
            if first.request != given:
                message = "Keys for idempotent requests can only be used with the same parameters."
                raise StripeError(400, "idempotency_error", message)
            return _json(first.status, first.body, {"Idempotent-Replayed": "true"})
        trouble = self.troubles.popleft() if self.troubles else ""
        if trouble == "429":
            raise StripeError(429, "invalid_request_error", "Too many requests", "rate_limit")
        if trouble == "409":
            message = "There is currently another in-progress request using this Idempotency-Key."
            raise StripeError(409, "idempotency_error", message, "idempotency_key_in_use")
        status, body, self._key = 200, {}, key
        try:
            if trouble != "500":
                body = do(decoded(request.form.items(multi=True)), **found)
        except StripeError as error:
            if not error.is_kept:
                raise
            status, body = error.status, error.body
        finally:
            self._key = None
        if trouble:
            status, body = 500, StripeError(500, "api_error", "An unknown error occurred").body
        if key:
            self._firsts[key] = _First(given, status, json.loads(json.dumps(body)))
        headers = {"Stripe-Should-Retry": "false"} if status == 500 else {}
        return _json(status, body, headers)

    # --- Checkout Sessions ---

    def _create_session(self, given: Json) -> Json:
        for name in ("mode", "success_url", "line_items"):
            if not given.get(name):
                raise _missing(name)
        now = self._now()
        expires_at = int(given.get("expires_at") or now + LONGEST_SESSION_SECONDS)
        lasts = expires_at - now
        # Stripe forgives a clock that is some minutes off.
        if not SHORTEST_SESSION_SECONDS <= lasts + 300 <= LONGEST_SESSION_SECONDS + 600:
            message = "The `expires_at` timestamp must be 30 minutes to 24 hours from now."
            raise StripeError(400, "invalid_request_error", message, None, "expires_at")
        amount, currency = _total(given["line_items"])
        if amount > GREATEST_AMOUNT:
            message = f"The Checkout Session's total amount must be no more than {GREATEST_AMOUNT}"
            raise StripeError(400, "invalid_request_error", message, "amount_too_large")
        session_id = _id("cs_test")
        data = given.get("payment_intent_data", {})
        session: Json = {
            "id": session_id,
            "object": "checkout.session",
            "amount_subtotal": amount,
            "amount_total": amount,
            "automatic_tax": {"enabled": False, "status": None},
            "cancel_url": given.get("cancel_url"),
            "client_reference_id": given.get("client_reference_id"),
            "created": now,
            "currency": currency,
            "custom_fields": [],
            "custom_text": {"shipping_address": None, "submit": None},
            "customer": None,
            "expires_at": expires_at,
            "livemode": False,
            "metadata": given.get("metadata", {}),
            "mode": given["mode"],
            "payment_intent": None,
            "payment_method_types": ["card"],
            "payment_status": "unpaid",
            "shipping_options": [],
            "status": "open",
            "success_url": given["success_url"],
            "url": f"{self.url}/pay/{session_id}",
            "_data": data,
        }
        self._sessions[session_id] = session
        return self._shown(session, given)

    def _list_sessions(self, given: Json) -> Json:
        least = int(given.get("created", {}).get("gte", 0))
        return self._listed(
            given,
            "/v1/checkout/sessions",
            [each for each in self._sessions.values() if each["created"] >= least],
        )

    def _show_session(self, given: Json, session: str) -> Json:
        return self._shown(_known(self._sessions, "checkout.session", session), given)

    def _expire_session(self, given: Json, session: str) -> Json:
        found = _known(self._sessions, "checkout.session", session)
        if found["status"] != "open":
            message = (
                'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout'
                f" Session has a status of `{found['status']}`."
            )
            raise StripeError(400, "invalid_request_error", message, is_kept=True)
        self._expire(found)
        return self._shown(found, given)

    def _expire(self, session: Json) -> None:
        session["status"], session["url"] = "expired", None
        if intent := self._intents.get(session["payment_intent"] or ""):
            self._cancel(intent, "automatic")
        self._tell("checkout.session.expired", session)

    # --- PaymentIntents and charges ---

    def _intent_of(self, session: Json) -> Json:
        """Return a session's PaymentIntent, made when the payer first tries to pay."""
        if session["payment_intent"]:
            return self._intents[session["payment_intent"]]
        data = session["_data"]
        intent: Json = {
            "id": _id("pi"),
            "object": "payment_intent",
            "amount": session["amount_total"],
            "amount_capturable": 0,
            "amount_received": 0,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": data.get("capture_method", "automatic"),
            "client_secret": f"never_to_be_kept_{secrets.token_hex(8)}",
            "confirmation_method": "automatic",
            "created": self._now(),
            "currency": session["currency"],
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": data.get("metadata", {}),
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
        }
        self._intents[intent["id"]] = intent
        session["payment_intent"] = intent["id"]
        self._tell("payment_intent.created", intent)
        return intent

    def _paid(self, session: Json, intent: Json, event: str = "checkout.session.completed") -> None:
        is_held = intent["capture_method"] == "manual"
        before = self._now() + HOLD_SECONDS if is_held else None
        charge = self._charge(intent, "succeeded", before)
        intent |= {"latest_charge": charge["id"], "last_payment_error": None}
        session |= {"status": "complete", "url": None}
        if is_held:
            intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
            self._move("hold", intent["id"], intent["amount"])
            self._tell("payment_intent.amount_capturable_updated", intent)
        else:
            session["payment_status"] = "paid"
            self._capture(intent, intent["amount"])
        self._tell(event, session)

    def _declined(self, intent: Json) -> None:
        charge = self._charge(intent, "failed", None)
        intent["latest_charge"] = charge["id"]
        intent["last_payment_error"] = {
            "type": "card_error",
            "code": self.decline or "card_declined",
            "decline_code": "generic_decline",
            "message": "The card is declined, as the button or the amount asks",
            "charge": charge["id"],
        }
        self._tell("payment_intent.payment_failed", intent)

    def _charge(self, intent: Json, status: str, capture_before: int | None) -> Json:
        card: Json = {
            "brand": "visa",
            "checks": None,
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "funding": "credit",
            "last4": "4242",
            "network": "visa",
            "three_d_secure": None,
            "wallet": None,
        }
        if capture_before:
            card["capture_before"] = capture_before
        charge = {
            "id": _id("ch"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": 0,
            "amount_refunded": 0,
            "billing_details": {"address": None, "email": None, "name": None, "phone": None},
            "captured": False,
            "created": self._now(),
            "currency": intent["currency"],
            "disputed": False,
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "paid": status == "succeeded",
            "payment_intent": intent["id"],
            "payment_method_details": {"type": "card", "card": card},
            "refunded": False,
            "status": status,
        }
        self._charges[charge["id"]] = charge
        return charge

    def _capture(self, intent: Json, amount: int) -> None:
        charge = self._charges[intent["latest_charge"]]
        charge |= {"captured": True, "amount_captured": amount}
        intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        self._move("capture", intent["id"], amount)
        if released := intent["amount"] - amount:
            # Stripe lists what a capture in part releases among the refunds (solidus_stripe #268).
            self._list_release(intent, charge, released)
        self._tell("payment_intent.succeeded", intent)

    def _list_release(self, intent: Json, charge: Json, amount: int) -> None:
        self._move("release", intent["id"], amount)
        refund = self._new_refund(intent, amount, {}, "succeeded")
        charge["amount_refunded"] += amount
        self._refunds[refund["id"]] = refund
        self._tell("charge.refunded", charge)

    def _show_intent(self, given: Json, intent: str) -> Json:
        return self._shown(_known(self._intents, "payment_intent", intent), given)

    def _capture_intent(self, given: Json, intent: str) -> Json:
        found = _known(self._intents, "payment_intent", intent)
        if found["status"] != "requires_capture":
            raise _unexpected(found, "captured", "requires_capture")
        amount = int(given.get("amount_to_capture") or found["amount_capturable"])
        if not 0 < amount <= found["amount_capturable"]:
            message = "The amount to capture is greater than the amount that is held."
            raise StripeError(400, "invalid_request_error", message, "amount_too_large")
        if self.decline:
            message = "The capture is declined, as its amount asks"
            raise StripeError(402, "card_error", message, self.decline, is_kept=True)
        self._capture(found, amount)
        for session in self._sessions.values():
            if session["payment_intent"] == intent:
                session["payment_status"] = "paid"
        return self._shown(found, given)

    def _cancel_intent(self, given: Json, intent: str) -> Json:
        found = _known(self._intents, "payment_intent", intent)
        if found["status"] != "requires_capture":
            raise _unexpected(found, "canceled", "requires_capture")
        self._cancel(found, given.get("cancellation_reason"))
        return self._shown(found, given)

    def _cancel(self, intent: Json, reason: str | None) -> None:
        if intent["status"] == "requires_capture":
            self._move("release", intent["id"], intent["amount"])
            self._charges[intent["latest_charge"]]["refunded"] = True
        intent |= {"status": "canceled", "cancellation_reason": reason, "amount_capturable": 0}
        intent["canceled_at"] = self._now()
        self._tell("payment_intent.canceled", intent)

    # --- Refunds and disputes ---

    def _create_refund(self, given: Json) -> Json:
        intent = _known(self._intents, "payment_intent", given.get("payment_intent", ""))
        charge = self._charges.get(intent["latest_charge"] or "")
        if charge is None or not charge["captured"]:
            message = "This PaymentIntent does not have a successful charge to refund."
            raise StripeError(400, "invalid_request_error", message, is_kept=True)
        if charge["disputed"]:
            message = "This charge has been charged back; cannot issue a refund."
            code = "charge_disputed"
            raise StripeError(400, "invalid_request_error", message, code, is_kept=True)
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(given.get("amount") or left)
        if not left:
            message = f"Charge {charge['id']} has already been refunded."
            code = "charge_already_refunded"
            raise StripeError(400, "invalid_request_error", message, code, is_kept=True)
        if not 0 < amount <= left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge."
            raise StripeError(400, "invalid_request_error", message, None, "amount", is_kept=True)
        if self.refunds == "refused":
            message, code = "The refund is refused, as its amount asks", "charge_not_refundable"
            raise StripeError(400, "invalid_request_error", message, code, is_kept=True)
        refund = self._refund(intent, amount, given.get("metadata", {}), self.refunds)
        return self._shown(refund, given)

    def _refund(self, intent: Json, amount: int, metadata: Json, kind: str) -> Json:
        charge = self._charges[intent["latest_charge"]]
        refund = self._new_refund(intent, amount, metadata, "pending")
        if kind == "succeeded":
            refund["status"] = "succeeded"
        else:
            refund["_end"] = "failed" if kind == "failing" else "succeeded"
            self._do_later(self.finish)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self._refunds[refund["id"]] = refund
        self._move("refund", intent["id"], amount)
        self._tell("refund.created", refund)
        self._tell("charge.refunded", charge)
        return refund

    def _new_refund(self, intent: Json, amount: int, metadata: Json, status: str) -> Json:
        return {
            "id": _id("re"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": None,
            "charge": intent["latest_charge"],
            "created": self._now(),
            "currency": intent["currency"],
            "metadata": metadata,
            "payment_intent": intent["id"],
            "reason": None,
            "receipt_number": None,
            "status": status,
        }

    def _fail(self, refund: Json) -> None:
        refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        charge = self._charges[refund["charge"]]
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        self._move("refund failed", refund["payment_intent"], refund["amount"])
        self._tell("refund.failed", refund)

    def _list_refunds(self, given: Json) -> Json:
        return self._listed(given, "/v1/refunds", _of_intent(self._refunds, given))

    def _show_refund(self, given: Json, refund: str) -> Json:
        return self._shown(_known(self._refunds, "refund", refund), given)

    def _list_disputes(self, given: Json) -> Json:
        return self._listed(given, "/v1/disputes", _of_intent(self._disputes, given))

    # --- Events ---

    def _list_events(self, given: Json) -> Json:
        return self._listed(given, "/v1/events", self.events)

    def _show_event(self, given: Json, event: str) -> Json:
        return self._shown(
            _known({each["id"]: each for each in self.events}, "event", event), given
        )

    def _tell(self, kind: str, about: Json) -> None:
        event = {
            "id": _id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self._now(),
            "data": {"object": self._shown(about, {})},
            "livemode": False,
            "pending_webhooks": int(self.webhook_url is not None),
            "request": {"id": _id("req"), "idempotency_key": self._key},
            "type": kind,
        }
        self.events.append(event)
        self._unsent.append(event)

    def _hand_over(self) -> None:
        """Give the events of a request to the thread that sends them."""
        ready, self._unsent = self._unsent, []
        if ready and self.webhooks == "late":
            self._late += ready
            self._do_later(self.deliver)
            return
        if self.webhooks == "none" or not self.webhook_url:
            return
        for event in reversed(ready) if self.webhooks == "reversed" else ready:
            for _ in range(2 if self.webhooks == "twice" else 1):
                self._outbox.put(event)

    def _send_webhooks(self) -> None:
        while True:
            event = self._outbox.get()
            for attempt in range(TRIES):
                if self._is_taken(event):
                    break
                time.sleep(2**attempt)
            self._outbox.task_done()

    def _is_taken(self, event: Json) -> bool:
        target = urlsplit(self.webhook_url or "")
        headers, body = self.signed(event)
        connection = HTTPConnection(target.netloc, timeout=WEBHOOK_SECONDS)
        try:
            connection.request("POST", target.path or "/", body, headers)
            return connection.getresponse().status < 300
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    # --- The payer's page ---

    def _page_of(self, session: Json) -> str:
        amount = f"{session['amount_total']} {session['currency'].upper()}, in minor units"
        error = (self._intents.get(session["payment_intent"] or "") or {}).get("last_payment_error")
        told = [error["message"]] if error else []
        if session["status"] != "open":
            return page("Stripe", amount, [f"This page is {session['status']}."], {})
        return page("Stripe", amount, told, OUTCOMES)

    def _ledger(self, request: Request) -> Response:  # noqa: ARG002
        sessions = self._sessions.values()
        of = {each["payment_intent"]: each["client_reference_id"] for each in sessions}
        moves = [
            {"kind": move.kind, "paymentId": of[move.payment_intent], "amountMinor": move.amount}
            for move in self.ledger
        ]
        return _json(200, {"moves": moves})

    def _page(self, request: Request, session: str) -> Response:  # noqa: ARG002
        known = self._sessions.get(session)
        if known is None:
            return Response("There is no such page", 404)
        return Response(self._page_of(known), content_type="text/html; charset=utf-8")

    def _listed(self, given: Json, url: str, found: Iterable[Json]) -> Json:
        newest = list(found)[::-1]
        if after := given.get("starting_after"):
            newest = newest[[each["id"] for each in newest].index(after) + 1 :]
        limit = int(given.get("limit", 10))
        expand = [name.removeprefix("data.") for name in _many(given.get("expand"))]
        data = [self._shown(each, {"expand": expand}) for each in newest[:limit]]
        return {"object": "list", "data": data, "has_more": len(newest) > limit, "url": url}

    def _pay_on_page(self, request: Request, session: str) -> Response:
        if session not in self._sessions:
            return Response("There is no such page", 404)
        outcome = request.form.get("outcome", "")
        if outcome not in ("pay", "decline", "debit", "abandon"):
            return Response("outcome must be pay, decline, debit or abandon", 400)
        before, self.webhooks = self.webhooks, request.args.get("webhooks", self.webhooks)
        try:
            return redirect(self.pay(session, outcome), 303)
        finally:
            self.webhooks = before

    # --- Helpers ---

    def _now(self) -> int:
        return int(time.time() + self.ahead)

    def _do_later(self, work: Callable[[], None]) -> None:
        if self.later_seconds is not None:
            timer = threading.Timer(self.later_seconds, work)
            timer.daemon = True
            timer.start()

    def _run_out(self) -> None:
        """Let sessions and holds run out whose time has come."""
        now = self._now()
        for session in self._sessions.values():
            if session["status"] == "open" and session["expires_at"] <= now:
                self._expire(session)
        for intent in self._intents.values():
            if intent["status"] == "requires_capture":
                card = self._charges[intent["latest_charge"]]["payment_method_details"]["card"]
                if card.get("capture_before", now + 1) <= now:
                    self._cancel(intent, "automatic")

    def _move(self, kind: str, intent: str, amount: int) -> None:
        self.ledger.append(Movement(kind, intent, amount, self._key))

    def _shown(self, thing: Json, given: Json) -> Json:
        """Return a copy of an object as the API shows it, with what is to be expanded."""
        public = {name: value for name, value in thing.items() if not name.startswith("_")}
        shown: Json = json.loads(json.dumps(public))
        kept = {"payment_intent": self._intents, "latest_charge": self._charges}
        for path in _many(given.get("expand")):
            name, _, rest = path.partition(".")
            if name in kept and isinstance(shown.get(name), str):
                inner = kept[name][shown[name]]
                shown[name] = self._shown(inner, {"expand": [rest] if rest else []})
        return shown


def decoded(pairs: Any) -> Json:
    """Return a form's fields as nested objects and arrays: a[b][0]=c is {"a": {"b": ["c"]}}."""
    whole: Json = {}
    for name, value in pairs:
        keys = re.findall(r"[^\[\]]+", name)
        inner = whole
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = value
    return {name: _array(value) for name, value in whole.items()}


def _array(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _array(each) for name, each in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def _many(value: Any) -> list[str]:
    return value if isinstance(value, list) else []


def _total(items: list[Json]) -> tuple[int, str]:
    """Return the amount and the currency of a session's items."""
    prices = [item["price_data"] for item in items]
    counts = [int(item.get("quantity", 1)) for item in items]
    amounts = (int(price["unit_amount"]) for price in prices)
    return sum(map(int.__mul__, amounts, counts)), prices[0]["currency"]


def _known(kept: dict[str, Json], kind: str, name: str) -> Json:
    if name not in kept:
        message, code = f"No such {kind}: '{name}'", "resource_missing"
        raise StripeError(404, "invalid_request_error", message, code, "id")
    return kept[name]


def _of_intent(kept: dict[str, Json], given: Json) -> Iterator[Json]:
    intent = given.get("payment_intent")
    return (each for each in kept.values() if intent in (None, each["payment_intent"]))


def _missing(name: str) -> StripeError:
    message = f"Missing required param: {name}."
    return StripeError(400, "invalid_request_error", message, "parameter_missing", name)


def _unexpected(intent: Json, done: str, needed: str) -> StripeError:
    message = (
        f"This PaymentIntent could not be {done} because it has a status of {intent['status']}."
        f" Only a PaymentIntent with one of the following statuses may be {done}: {needed}."
    )
    code = "payment_intent_unexpected_state"
    return StripeError(400, "invalid_request_error", message, code, is_kept=True)


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _json(status: int, body: Json, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(body, indent=2)
    request_id = {"Request-Id": _id("req"), "Stripe-Version": API_VERSION}
    return Response(
        text, status, {**request_id, **(headers or {})}, content_type="application/json"
    )
