"""A stand-in for Stripe: what the adapter uses of it, in memory, with a ledger.

Checkout Sessions, PaymentIntents, refunds, disputes and events, as the API has them: form-encoded
requests, Idempotency-Keys with replays, errors in Stripe's shape, signed webhooks. A payer may also
pay by a debit (`outcome=debit`): it takes until `finish`, and then succeeds or fails.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from werkzeug import Request, Response

from local.standin import Event, Json, Refusal, StandIn

HOLD_SECONDS = 7 * 86_400
LONGEST_SESSION_SECONDS = 86_400
SHORTEST_SESSION_SECONDS = 1800

CARD = {"exp_month": 12, "exp_year": 2034}

SESSION, INTENT = "checkout.session", "payment_intent"

# How the ids of objects begin.
PREFIXES = {SESSION: "cs_test", INTENT: "pi", "charge": "ch", "refund": "re", "dispute": "du"}

# What a new object has beside what it is made of.
NEW: Mapping[str, Json] = {
    SESSION: {
        "automatic_tax": {"enabled": False, "status": None},
        "custom_fields": [],
        "custom_text": {"shipping_address": None, "submit": None},
        "payment_intent": None,
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
    },
    INTENT: {
        "amount_capturable": 0,
        "amount_received": 0,
        "confirmation_method": "automatic",
        "last_payment_error": None,
        "latest_charge": None,
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    },
    "charge": {
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "captured": False,
        "disputed": False,
        "refunded": False,
    },
    "refund": {},
    "dispute": {
        "balance_transactions": [],
        "is_charge_refundable": False,
        "metadata": {},
        "reason": "fraudulent",
    },
}


class StripeError(Refusal):
    """An error in Stripe's shape."""

    def __init__(
        self, status: int, message: str, code: str = "", kind: str = "invalid_request_error"
    ) -> None:
        error = {"type": kind, "message": message, **({"code": code} if code else {})}
        super().__init__(status, {"error": error})


class StripeStandIn(StandIn):
    """The WSGI application.

    Attributes:
        objects: by kind and by id; what begins with _ is not shown.
        troubles: what befalls the next POST requests: "429", "409", "500" (nothing was done),
            "500 after" (it was done); a 500 is kept for its Idempotency-Key, as at Stripe.
    """

    name = "stripe"
    title = "Stripe"
    outcomes: Mapping[str, str] = {
        "pay": "Pay",
        "decline": "Pay with a card that is declined",
        "debit": "Pay by a debit, which takes days",
        "abandon": "Go back",
    }
    payers_page = r"/pay/(\w+)"
    ledger_unit = "amountMinor"  # Stripe's, whatever the currency
    id_header = "Request-Id"
    KEPT = (*StandIn.KEPT, "secret_key", "webhook_secret", "objects")

    def __init__(self, webhook_url: str | None = None) -> None:
        super().__init__(webhook_url)
        self.secret_key = f"sk_test_{secrets.token_hex(16)}"
        self.webhook_secret = f"whsec_{secrets.token_hex(16)}"
        self.troubles: deque[str] = deque()
        self.objects: dict[str, dict[str, Json]] = {kind: {} for kind in NEW}

    @property
    def keys(self) -> Json:
        """What the functions read as the gateway's keys."""
        secret, webhooks = self.secret_key, [self.webhook_secret]
        return {"secretKey": secret, "webhookSecrets": webhooks, "url": self.url}

    # --- What happens at Stripe without the API ---

    def pay(self, name: str, outcome: str = "pay") -> str:
        """Let the payer of a session pay, be declined, or leave; return where they go next."""
        with self._step():
            session = self.objects[SESSION][name]
            outcome = "decline" if outcome == "pay" and self.name in self.decline else outcome
            if session["status"] == "open" and outcome != "abandon":
                self._act(session, outcome)
            if session["status"] == "complete":
                return str(session["success_url"])
            return str(session["url"] if outcome == "decline" else session["cancel_url"])

    def _act(self, session: Json, outcome: str) -> None:
        if not session["payment_intent"]:  # made when the payer first tries to pay
            self._tell("payment_intent.created", self._intent_for(session))
        intent = self.objects[INTENT][session["payment_intent"]]
        if outcome == "pay":
            self._paid(session, intent)
        elif outcome == "debit":
            session |= {"status": "complete", "url": None}
            intent |= {"status": "processing", "last_payment_error": None}
            self.later(self.finish)
            self._tell("checkout.session.completed", session)
        else:
            self._declined(intent)

    def refund_by_hand(self, intent_id: str, amount: int) -> str:
        """Refund a payment as somebody who signs in there; return the refund's id."""
        with self._step():
            return str(self._refund(self.objects[INTENT][intent_id], amount)["id"])

    def cancel_by_hand(self, intent_id: str) -> None:
        """Release the money that is held, as somebody who signs in there."""
        with self._step():
            self._cancel(self.objects[INTENT][intent_id], "requested_by_customer")

    def dispute(self, intent_id: str, amount: int) -> str:
        """Let the payer's bank dispute a payment; return the dispute's id."""
        with self._step():
            charge = self._charge_of(self.objects[INTENT][intent_id])
            charge["disputed"] = True
            about = {"charge": charge["id"], "payment_intent": intent_id, "amount": amount}
            same = {"currency": charge["currency"], "status": "needs_response"}
            dispute = self._new("dispute", **about, **same)
            self._tell("charge.dispute.created", dispute)
            return str(dispute["id"])

    def lose(self, dispute_id: str) -> None:
        """End a dispute: the payer's bank takes the money back."""
        with self._step():
            dispute = self.objects["dispute"][dispute_id]
            dispute["status"] = "lost"
            intent = self.objects[INTENT][dispute["payment_intent"]]
            self._book("dispute", intent, dispute["amount"])
            self._tell("charge.dispute.closed", dispute)

    def finish(self, debits: str = "succeed") -> None:
        """Let every refund and debit that is under way come to its end."""
        with self._step():
            for session in self.objects[SESSION].values():
                intent = self.objects[INTENT].get(session["payment_intent"] or "", {})
                if intent.get("status") != "processing":
                    continue
                if debits == "succeed":
                    self._paid(session, intent, "checkout.session.async_payment_succeeded")
                else:
                    self._declined(intent)
                    intent["status"] = "requires_payment_method"
                    self._tell("checkout.session.async_payment_failed", session)
            for refund in self.objects["refund"].values():
                if refund["status"] == "pending" and refund["id"] in self._failing:
                    self._fail(refund)
                elif refund["status"] == "pending":
                    refund["status"] = "succeeded"
                    self._tell("refund.updated", refund)

    def fail_refund(self, refund_id: str) -> None:
        """Let a refund fail that had succeeded: the payer's bank sent it back."""
        with self._step():
            self._fail(self.objects["refund"][refund_id])

    def signed(self, event: Json, secret: str | None = None) -> Event:
        """Return an event's webhook, signed as of now."""
        body = json.dumps(event, indent=2).encode()
        at = int(time.time())
        key = (secret or self.webhook_secret).encode()
        signature = hmac.new(key, b"%d." % at + body, hashlib.sha256).hexdigest()
        content_type = "application/json; charset=utf-8"
        return Event(
            {"Content-Type": content_type, "Stripe-Signature": f"t={at},v1={signature}"}, body
        )

    def session_of(self, payment_id: str) -> Json:
        """Return the newest session of a payment of ours."""
        sessions = self.objects[SESSION].values()
        return [each for each in sessions if each["client_reference_id"] == payment_id][-1]

    def whole_units(self, request: Request) -> int:
        """Return the whole units of the amount that a request names, else of its payment's."""
        given = decoded(request.form.items(multi=True))
        known = {**self.objects[SESSION], **self.objects[INTENT]}
        about = next((known[each] for each in request.path.split("/") if each in known), {})
        named = given.get("amount") or given.get("amount_to_capture")
        if "line_items" in given:
            named = _price(given)["unit_amount"]
        return int(named or about.get("amount_total") or about.get("amount") or 0) // 100

    # --- HTTP ---

    def _asked(self, name: str) -> tuple[str, str]:
        session = self.objects[SESSION][name]
        if session["status"] != "open":
            raise KeyError(name)
        intent = self.objects[INTENT].get(session["payment_intent"] or "", {})
        error = intent.get("last_payment_error") or {"message": ""}
        amount = f"{session['amount_total']} {session['currency'].upper()}, in minor units"
        return amount, error["message"]

    def _api(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self.secret_key}":
            raise StripeError(401, "Invalid API Key provided")
        if request.method == "GET":
            given = decoded(request.args.items(multi=True))
            return self._json(200, self._do(request, given))
        return self._change(request)

    def _change(self, request: Request) -> Response:
        """Do what a POST asks for, once for its Idempotency-Key."""
        self._by = request.headers.get("Idempotency-Key", secrets.token_hex())
        asked = (request.path, request.get_data(as_text=True))
        if first := self._known.get(self._by):
            if first[0] != asked:
                message = "Keys for idempotent requests can only be used with the same parameters."
                raise StripeError(400, message, kind="idempotency_error")
            _, status, body = first
            return self._json(status, body, **{"Idempotent-Replayed": "true"})
        trouble = self.troubles.popleft() if self.troubles else ""
        if trouble == "429":
            raise StripeError(429, "Too many requests", "rate_limit")
        if trouble == "409":
            message = "There is currently another in-progress request using this Idempotency-Key."
            raise StripeError(409, message, "idempotency_key_in_use", "idempotency_error")
        status, body = 500, StripeError(500, "An unknown error occurred", kind="api_error").body
        try:
            if trouble != "500":
                done = self._do(request, decoded(request.form.items(multi=True)))
            if not trouble:
                status, body = 200, done
        except StripeError as error:
            status, body = error.status, error.body
        self._known[self._by] = (asked, status, body)
        headers = {"Stripe-Should-Retry": "false"} if status == 500 else {}
        return self._json(status, body, **headers)

    def _do(self, request: Request, given: Json) -> Json:
        """Do what a request asks for; return what it is answered."""
        match request.method, *request.path.split("/")[2:]:
            case "POST", "checkout", "sessions":
                found = self._create_session(given)
            case "GET", "checkout", "sessions", name:
                found = self._find(SESSION, name)
            case "POST", "checkout", "sessions", name, "expire":
                found = self._find(SESSION, name)
                _check(found, "open", "expired")
                self._expire(found)
            case "GET", "payment_intents", name:
                found = self._find(INTENT, name)
            case "POST", "payment_intents", name, "capture":
                found = self._find(INTENT, name)
                self._capture_held(found, given)
            case "POST", "payment_intents", name, "cancel":
                found = self._find(INTENT, name)
                _check(found, "requires_capture", "canceled")
                self._cancel(found, given.get("cancellation_reason"))
            case "POST", "refunds":
                found = self._create_refund(given)
            case "GET", ("refunds" | "disputes") as kind:
                return self._list(kind, given["payment_intent"])
            case _:
                message = f"Unrecognized request URL ({request.method}: {request.path})."
                raise StripeError(404, message)
        return self._shown(found, given)

    def _find(self, kind: str, name: str) -> Json:
        if name not in self.objects[kind]:
            raise StripeError(404, f"No such {kind}: '{name}'", "resource_missing")
        return self.objects[kind][name]

    def _list(self, kind: str, intent_id: str) -> Json:
        """Return the refunds or the disputes of a payment, the newest first."""
        known = reversed(self.objects[kind.removesuffix("s")].values())
        data = [self._shown(each, {}) for each in known if each["payment_intent"] == intent_id]
        return {"object": "list", "data": data, "has_more": False, "url": f"/v1/{kind}"}

    def _shown(self, thing: Json, given: Json) -> Json:
        """Return an object as the API shows it, with what is to be expanded."""
        shown = {name: value for name, value in thing.items() if not name.startswith("_")}
        kinds = {"payment_intent": INTENT, "latest_charge": "charge"}
        for path in given.get("expand", ()):
            name, _, rest = path.partition(".")
            if inner := self.objects[kinds[name]].get(shown[name]):
                shown[name] = self._shown(inner, {"expand": [rest] if rest else []})
        return shown

    # --- Checkout Sessions ---

    def _create_session(self, given: Json) -> Json:
        now = self._now()
        expires_at = int(given.get("expires_at") or now + LONGEST_SESSION_SECONDS)
        # Stripe forgives a clock that is some minutes off.
        lasts = expires_at - now + 300
        if not SHORTEST_SESSION_SECONDS <= lasts <= LONGEST_SESSION_SECONDS + 600:
            message = "The `expires_at` timestamp must be 30 minutes to 24 hours from now."
            raise StripeError(400, message)
        price = _price(given)
        session = self._new(
            SESSION,
            amount_total=int(price["unit_amount"]),
            cancel_url=given.get("cancel_url"),
            client_reference_id=given.get("client_reference_id"),
            currency=price["currency"],
            expires_at=expires_at,
            metadata=given.get("metadata", {}),
            mode=given["mode"],
            success_url=given["success_url"],
            _data=given.get("payment_intent_data", {}),
        )
        session["url"] = f"{self.url}/pay/{session['id']}"
        return session

    def _expire(self, session: Json) -> None:
        session |= {"status": "expired", "url": None}
        if intent := self.objects[INTENT].get(session["payment_intent"] or ""):
            self._cancel(intent, "automatic")
        self._tell("checkout.session.expired", session)

    # --- PaymentIntents and charges ---

    def _intent_for(self, session: Json) -> Json:
        data = session["_data"]
        intent = self._new(
            INTENT,
            amount=session["amount_total"],
            capture_method=data.get("capture_method", "automatic"),
            client_secret=f"never_to_be_kept_{secrets.token_hex(8)}",
            currency=session["currency"],
            metadata=data.get("metadata", {}),
            _session=session,
        )
        session["payment_intent"] = intent["id"]
        return intent

    def _paid(self, session: Json, intent: Json, event: str = "checkout.session.completed") -> None:
        session |= {"status": "complete", "url": None}
        intent["last_payment_error"] = None
        if intent["capture_method"] == "manual":
            intent["_held_until"] = self._now() + HOLD_SECONDS
            self._charge(intent, "succeeded", capture_before=intent["_held_until"])
            intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
            self._book("hold", intent, intent["amount"])
            self._tell("payment_intent.amount_capturable_updated", intent)
        else:
            self._charge(intent, "succeeded")
            self._capture(intent, intent["amount"])
        self._tell(event, session)

    def _declined(self, intent: Json) -> None:
        intent["last_payment_error"] = {
            "type": "card_error",
            "code": self.decline.get(self.name, "card_declined"),
            "message": "The card is declined, as the button or the amount asks",
        }
        self._charge(intent, "failed")
        self._tell("payment_intent.payment_failed", intent)

    def _charge(self, intent: Json, status: str, **card: int) -> Json:
        """Return the intent's new charge, by a card of which that is known."""
        charge = self._new(
            "charge",
            amount=intent["amount"],
            currency=intent["currency"],
            metadata=intent["metadata"],
            paid=status == "succeeded",
            payment_intent=intent["id"],
            payment_method_details={"type": "card", "card": {**CARD, **card}},
            status=status,
        )
        intent["latest_charge"] = charge["id"]
        return charge

    def _charge_of(self, intent: Json) -> Json:
        return self.objects["charge"][intent["latest_charge"]]

    def _capture_held(self, intent: Json, given: Json) -> None:
        _check(intent, "requires_capture", "captured")
        amount = int(given.get("amount_to_capture") or intent["amount_capturable"])
        if not 0 < amount <= intent["amount_capturable"]:
            message = "The amount to capture is greater than the amount that is held."
            raise StripeError(400, message, "amount_too_large")
        if code := self.decline.get(self.name):
            message = "The capture is declined, as its amount asks"
            raise StripeError(402, message, code, "card_error")
        self._capture(intent, amount)

    def _capture(self, intent: Json, amount: int) -> None:
        self._charge_of(intent).update(captured=True, amount_captured=amount)
        intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        intent["_session"]["payment_status"] = "paid"
        self._book("capture", intent, amount)
        if released := intent["amount"] - amount:
            # Stripe lists what a capture in part releases among the refunds (solidus_stripe #268).
            self._book("release", intent, released)
            self._give_back(intent, released)
            self._tell("charge.refunded", self._charge_of(intent))
        self._tell("payment_intent.succeeded", intent)

    def _cancel(self, intent: Json, reason: str | None) -> None:
        if intent["status"] == "requires_capture":
            self._book("release", intent, intent["amount"])
            self._charge_of(intent)["refunded"] = True
        intent |= {"status": "canceled", "cancellation_reason": reason, "amount_capturable": 0}
        self._tell("payment_intent.canceled", intent)

    # --- Refunds ---

    def _create_refund(self, given: Json) -> Json:
        intent = self._find(INTENT, given.get("payment_intent", ""))
        charge = self._charge_of(intent)
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(given.get("amount") or left)
        for is_so, message, code in (
            (not charge["captured"], "There is no successful charge to refund.", ""),
            (charge["disputed"], "The charge has been charged back.", "charge_disputed"),
            (not left, "The charge has already been refunded.", "charge_already_refunded"),
            (not 0 < amount <= left, "The amount is greater than what is left.", ""),
            (self.refunds == "refused", "The amount asks for it.", "charge_not_refundable"),
        ):
            if is_so:
                raise StripeError(400, message, code)
        return self._refund(intent, amount, self.refunds, given.get("metadata"))

    def _refund(
        self, intent: Json, amount: int, outcome: str = "succeeded", metadata: Json | None = None
    ) -> Json:
        status = "succeeded" if outcome == "succeeded" else "pending"
        refund = self._give_back(intent, amount, status, metadata)
        if outcome == "failing":
            self._failing.add(refund["id"])
        if status == "pending":
            self.later(self.finish)
        self._book("refund", intent, amount)
        self._tell("refund.created", refund)
        self._tell("charge.refunded", self._charge_of(intent))
        return refund

    def _give_back(
        self, intent: Json, amount: int, status: str = "succeeded", metadata: Json | None = None
    ) -> Json:
        """Return a new refund, which its charge counts."""
        self._count(intent, amount)
        return self._new(
            "refund",
            amount=amount,
            charge=intent["latest_charge"],
            currency=intent["currency"],
            metadata=metadata or {},
            payment_intent=intent["id"],
            status=status,
        )

    def _count(self, intent: Json, amount: int) -> None:
        charge = self._charge_of(intent)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]

    def _fail(self, refund: Json) -> None:
        refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        intent = self.objects[INTENT][refund["payment_intent"]]
        self._count(intent, -refund["amount"])
        self._book("refund failed", intent, refund["amount"])
        self._tell("refund.failed", refund)

    # --- Helpers ---

    def _new(self, kind: str, **fields: Any) -> Json:
        """Return a new object of a kind."""
        name = f"{PREFIXES[kind]}_{secrets.token_hex(12)}"
        same = {"id": name, "object": kind, "created": self._now(), "livemode": False}
        self.objects[kind][name] = thing = {**same, **NEW[kind], **fields}
        return thing

    def _now(self) -> int:
        return int(self._clock().timestamp())

    def _let_time_pass(self) -> None:
        now = self._now()
        for session in self.objects[SESSION].values():
            if session["status"] == "open" and session["expires_at"] <= now:
                self._expire(session)
        for intent in self.objects[INTENT].values():
            if intent["status"] == "requires_capture" and intent["_held_until"] <= now:
                self._cancel(intent, "automatic")

    def _book(self, kind: str, intent: Json, amount: int) -> None:
        self._move(kind, intent["_session"]["client_reference_id"], amount)

    def _tell(self, kind: str, about: Json) -> None:
        self._put(
            {
                "id": f"evt_{secrets.token_hex(12)}",
                "object": "event",
                "created": self._now(),
                "data": {"object": self._shown(about, {})},
                "livemode": False,
                "pending_webhooks": int(self.webhook_url is not None),
                "type": kind,
            }
        )


def decoded(pairs: Iterable[tuple[str, str]]) -> Json:
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
    if all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def _price(given: Json) -> Json:
    """Return the price of the one item of a session that is asked for."""
    [item] = given["line_items"]
    price: Json = item["price_data"]
    return price


def _check(thing: Json, needed: str, done: str) -> None:
    """Check that an object has the status in which something can be done with it."""
    if thing["status"] != needed:
        message = f"It has a status of {thing['status']}: only with {needed} it can be {done}."
        raise StripeError(400, message, "payment_intent_unexpected_state")
