"""Stripe: the payer pays on Stripe's own page (Checkout), so that no card data comes here.

A payment is a Checkout Session; the PaymentIntent, its charge and refunds come of that. What is
asked for once has the operation's id and the endpoint as its Idempotency-Key. Answers to changes
are not read: a repeated request gets its first answer, as it was then. What happened is fetched.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from time import monotonic
from typing import Any, TypeVar

import requests
import stripe
from requests.adapters import HTTPAdapter

from shared.errors import FieldError, GatewayKeysRefused, GatewayUnavailable, InvalidRequest
from shared.gateways import keys
from shared.gateways.heard import hear
from shared.gateways.pages import way_back
from shared.gateways.port import Gateway
from shared.payments import ids, lifecycle
from shared.payments.clock import later, now, seconds_between
from shared.payments.facts import Facts, RefundFacts
from shared.payments.payment import Operation, Payment
from shared.time_left import time_left

stripe.enable_telemetry = False  # it would write to the home folder

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 5.0
CALL_SECONDS = 7.0
"""How long a request may take with its retries: less than the functions' 10 seconds."""

RETRIES = 2

SESSION_SECONDS = 24 * 3600 - 300
"""How long the payer has: Stripe takes 30 minutes to 24 hours from when it makes the session."""

SKEW_SECONDS = 300
"""How far Stripe's clock may be behind ours, and how old a webhook's signature may be."""

DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0}
"""The currencies whose amounts have other decimals at Stripe than in ISO 4217."""

EXPANDED = "payment_intent.latest_charge"
EPOCH = "1970-01-01T00:00:00Z"

_STATES = {
    "succeeded": lifecycle.CAPTURED,
    "requires_capture": lifecycle.AUTHORIZED,
    "processing": lifecycle.PROCESSING,
    "canceled": lifecycle.CANCELED,
}
_RAN_OUT = ("automatic", "expired")
_REFUNDS = {"succeeded": "SUCCEEDED", "failed": "FAILED", "canceled": "FAILED"}

Json = dict[str, Any]
T = TypeVar("T")


class _Refused(Exception):
    """Stripe refuses a request for good, and did nothing.

    Attributes:
        reason: its code and message, for the payment's last error.
    """

    def __init__(self, error: stripe.StripeError) -> None:
        code = error.code or "refused"
        self.reason = {"code": code, "message": (error.user_message or "Refused")[:255]}
        super().__init__(code)


class _Answer(Exception):
    """What the log says of an error of Stripe's: nothing that a request or an answer held."""


class Stripe(Gateway):
    """Stripe's account that the stack's secret key belongs to."""

    is_instant = False
    repeat_seconds = 23 * 3600.0  # Stripe keeps Idempotency-Keys for 24 hours at least

    def start(self, payment: Payment, operation: Operation) -> Facts:
        """Make a session; the schedule, which comes later, makes another.

        Stripe replays an error 500 as long as it keeps a key. A session whose id did not arrive is
        no danger: nobody has seen its page.
        """
        try:
            session, is_replay = _call(
                lambda client: _with_replay(
                    client.v1.checkout.sessions.create(
                        _session_of(payment, operation),  # type: ignore[arg-type]
                        _once(operation, f"session{payment.attempts}"),
                    )
                )
            )
        except _Refused as refused:
            return replace(
                self.fetch(payment), last_error=refused.reason, answers=operation.operation_id
            )
        if is_replay:
            return self.fetch(replace(payment, references={"session": session["id"]}))
        return _facts(payment, session)

    def complete(self, payment: Payment, operation: Operation) -> Facts:  # noqa: D102
        return replace(self.fetch(payment), answers=operation.operation_id)

    def capture(self, payment: Payment, operation: Operation) -> Facts:  # noqa: D102
        amount = _at_stripe(operation.amount_minor or payment.amount_minor, payment)
        intent = _intent_id(payment)
        return self._change(
            payment,
            operation,
            lambda client: client.v1.payment_intents.capture(
                intent, {"amount_to_capture": amount}, _once(operation, "capture")
            ),
        )

    def cancel(self, payment: Payment, operation: Operation) -> Facts:  # noqa: D102
        reason = {"code": "too_late", "message": "The payer has paid, or the payment is over"}
        is_refused = True
        # A payer may pay an open session meanwhile: then it is the money to be released.
        for _ in range(2):
            session = _session(payment)
            if session is None:
                raise GatewayUnavailable
            cancel = _cancellation(session, operation)
            if cancel is None:
                break
            try:
                _call(cancel)
                is_refused = False
            except _Refused as refused:
                reason, is_refused = refused.reason, True
        facts = self.fetch(payment)
        if is_refused and facts.state != lifecycle.CANCELED:
            return replace(facts, last_error=reason, answers=operation.operation_id)
        return facts

    def refund(self, payment: Payment, operation: Operation) -> Facts:  # noqa: D102
        refund = payment.refund(operation.refund_id or "")
        assert refund  # noqa: S101 - it was written with the operation
        metadata = {"paymentId": payment.payment_id, "refundId": refund.refund_id}
        if refund.reason:
            metadata["reason"] = refund.reason
        intent, amount = _intent_id(payment), _at_stripe(refund.amount_minor, payment)
        return self._change(
            payment,
            operation,
            lambda client: client.v1.refunds.create(
                {"payment_intent": intent, "amount": amount, "metadata": metadata},
                _once(operation, "refund"),
            ),
        )

    def fetch(self, payment: Payment) -> Facts:  # noqa: D102
        session = _session(payment)
        return _facts(payment, session) if session else Facts(lifecycle.PENDING)

    def payment_id_in(self, headers: Mapping[str, str], body: bytes) -> str | None:  # noqa: D102
        _verify(headers.get("stripe-signature"), body)
        try:
            about: Json = json.loads(body)["data"]["object"]
            kind = about["object"]
        except (ValueError, TypeError, KeyError):
            raise InvalidRequest(FieldError("body", "must be an event of Stripe")) from None
        found = _payment_id(about)
        if not found and kind in ("charge", "refund", "dispute") and about.get("payment_intent"):
            with suppress(_Refused):  # another account's, or gone
                intent = about["payment_intent"]
                found = _payment_id(
                    _call(lambda client: client.v1.payment_intents.retrieve(intent).to_dict())
                )
        return found

    def _change(
        self,
        payment: Payment,
        operation: Operation,
        ask: Callable[[stripe.StripeClient], object],
    ) -> Facts:
        try:
            _call(ask)
        except _Refused as refused:  # it may have happened before, or otherwise
            facts = self.fetch(payment)
            if _has_happened(operation, facts):
                return facts
            return replace(facts, last_error=refused.reason, answers=operation.operation_id)
        return self.fetch(payment)


def _has_happened(operation: Operation, facts: Facts) -> bool:
    if operation.refund_id:
        return any(each.refund_id == operation.refund_id for each in facts.refunds)
    return facts.captured_minor == operation.amount_minor


# --- What is asked for ---


def _session_of(payment: Payment, operation: Operation) -> Json:
    """Return the Checkout Session to make: always the same one for an operation."""
    marks = {"paymentId": payment.payment_id}
    back = way_back(payment)
    price = {
        "currency": payment.currency.lower(),
        "unit_amount": _at_stripe(payment.amount_minor, payment),
        "product_data": {"name": (payment.description or "Payment")[:250]},
    }
    return {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": price}],
        "client_reference_id": payment.payment_id,
        "metadata": marks,
        "payment_intent_data": {"capture_method": payment.capture, "metadata": marks},
        "success_url": back,
        "cancel_url": back,
        "expires_at": int(seconds_between(EPOCH, operation.since)) + SESSION_SECONDS,
        "adaptive_pricing": {"enabled": False},  # what was asked for is what is paid
        "expand": [EXPANDED],
    }


def _cancellation(
    session: Json, operation: Operation
) -> Callable[[stripe.StripeClient], object] | None:
    """Return what gives up a session as it stands; None where nothing can."""
    intent = session.get("payment_intent") or {}
    if intent.get("status") == "requires_capture":
        return lambda client: client.v1.payment_intents.cancel(
            intent["id"], None, _once(operation, "cancel")
        )
    if session["status"] == "open":
        return lambda client: client.v1.checkout.sessions.expire(
            session["id"], None, _once(operation, "expire")
        )
    return None


def _once(operation: Operation, endpoint: str) -> stripe.RequestOptions:
    """Return the options by which a request happens once, however often it is sent."""
    return {"idempotency_key": f"{operation.operation_id}:{endpoint}"}


def _intent_id(payment: Payment) -> str:
    return (payment.references or {})["paymentIntent"]  # money was held or taken with it


def _scale(payment: Payment) -> int:
    return DECIMALS.get(payment.currency, payment.decimals) - payment.decimals


def _at_stripe(minor: int, payment: Payment) -> int:
    """Return an amount in Stripe's minor units; `limits` refuses what is not whole there."""
    return _shifted(minor, _scale(payment))


def _minor(amount: int, payment: Payment) -> int:
    """Return an amount of Stripe's in minor units of ISO 4217."""
    return _shifted(amount, -_scale(payment))


def _shifted(amount: int, digits: int) -> int:
    factor: int = 10 ** abs(digits)
    return amount * factor if digits >= 0 else amount // factor


# --- What Stripe knows ---


def _session(payment: Payment) -> Json | None:
    """Return the payment's session with its PaymentIntent and charge; None where there is none.

    One whose id did not arrive is no loss: nobody has seen its page, so nobody can pay there, and
    a repeat of the start returns it.
    """
    session_id = (payment.references or {}).get("session")
    if not session_id:
        return None
    return _read(
        lambda client: client.v1.checkout.sessions.retrieve(
            session_id, {"expand": [EXPANDED]}
        ).to_dict()
    )


def _facts(payment: Payment, session: Json) -> Facts:
    """Return what follows from a session, its PaymentIntent, refunds and disputes."""
    if session.get("client_reference_id") != payment.payment_id:
        raise GatewayUnavailable  # a damaged answer, or another's
    intent: Json = session.get("payment_intent") or {}
    state = _state(session, intent)
    operation = payment.operation
    if state == lifecycle.EXPIRED and operation and operation.kind == lifecycle.CANCEL:
        state = lifecycle.CANCELED  # a session is canceled by letting it expire
    captured = intent["amount_received"] if state == lifecycle.CAPTURED else 0
    is_open = state == lifecycle.REQUIRES_ACTION
    error = intent.get("last_payment_error") if is_open or state == lifecycle.FAILED else None
    return Facts(
        state,
        _minor(captured, payment),
        tuple(_refunds(payment, intent)) if captured else (),
        next_action=_redirect(session) if is_open else None,
        authorized_until=_held_until(intent) if state == lifecycle.AUTHORIZED else None,
        last_error=_reason(error) if error else None,
        references={
            "session": session["id"],
            **({"paymentIntent": intent["id"]} if intent else {}),
        },
    )


def _state(session: Json, intent: Json) -> str:
    """Return where a payment stands; money comes first."""
    ran_out = session["status"] == "expired" or intent.get("cancellation_reason") in _RAN_OUT
    if ran_out and intent.get("status") == "canceled":
        return lifecycle.EXPIRED
    if state := _STATES.get(intent.get("status", "")):
        return state
    if session["status"] == "open":
        return lifecycle.REQUIRES_ACTION
    if session["status"] == "expired":
        return lifecycle.EXPIRED
    # The page is done, and so is a way to pay that failed later; the rest is under way.
    is_over = intent.get("status") == "requires_payment_method"
    return lifecycle.FAILED if is_over else lifecycle.PROCESSING


def _redirect(session: Json) -> Mapping[str, str]:
    expires_at = later(EPOCH, session["expires_at"])
    return {"type": "redirect", "url": session["url"], "expiresAt": expires_at}


def _held_until(intent: Json) -> str | None:
    """Return until when the money is held, where the payer's bank says so."""
    charge: Json = intent.get("latest_charge") or {}
    card: Json = (charge.get("payment_method_details") or {}).get("card") or {}
    before = card.get("capture_before")
    return later(EPOCH, before) if before else None


def _reason(error: Json) -> Mapping[str, str]:
    code = error.get("code") or error.get("type") or "declined"
    return {"code": code, "message": (error.get("message") or "Declined")[:255]}


def _refunds(payment: Payment, intent: Json) -> Iterator[RefundFacts]:
    """Yield what was given back, and what a lost dispute took."""
    about = {"payment_intent": intent["id"], "limit": 100}
    found = _listed(lambda client: client.v1.refunds.list(about))  # type: ignore[arg-type]
    found.sort(key=lambda each: each["created"])
    # What a capture in part releases is a refund at Stripe, made with it; no money came back.
    released = intent["amount"] - intent["amount_received"]
    changes = (each.at for each in payment.history if each.status in lifecycle.PAID)
    captured_at = seconds_between(EPOCH, next(changes, now()))
    for refund in found:
        own_id = (refund.get("metadata") or {}).get("refundId")
        is_old = refund["created"] <= captured_at + SKEW_SECONDS
        if is_old and not own_id and released and refund["amount"] == released:
            released = 0
            continue
        status = _REFUNDS.get(refund["status"], "PENDING")
        refund_id = own_id or _foreign_id(payment, refund)
        amount = _minor(refund["amount"], payment)
        yield RefundFacts(refund_id, amount, status, refund.get("failure_reason"))
    if (intent.get("latest_charge") or {}).get("disputed"):
        yield from _disputes(payment, about)


def _disputes(payment: Payment, about: Json) -> Iterator[RefundFacts]:
    """Yield each dispute that was lost, as a refund; as a failed one if it is won after all.

    While a dispute is open, nothing is decided.
    """
    for dispute in _listed(lambda client: client.v1.disputes.list(about)):  # type: ignore[arg-type]
        refund_id = _foreign_id(payment, dispute)
        amount = _minor(dispute["amount"], payment)
        if dispute["status"] == "lost":
            yield RefundFacts(refund_id, amount, "SUCCEEDED")
        elif payment.refund(refund_id):
            yield RefundFacts(refund_id, amount, "FAILED", "The dispute was won")


def _foreign_id(payment: Payment, made_there: Json) -> str:
    """Return the id of a refund that was not asked for here: no client's key can be the same."""
    return ids.refund_id(payment.payment_id, f"\0{made_there['id']}")


def _payment_id(about: Json) -> str | None:
    """Return which payment an object of Stripe's says that it belongs to."""
    for said in ((about.get("metadata") or {}).get("paymentId"), about.get("client_reference_id")):
        if isinstance(said, str) and ids.is_payment_id(said):
            return said
    return None


# --- How it is asked ---


def _verify(signature: str | None, body: bytes) -> None:
    """Check the signature of a webhook with each of the secrets.

    Raises:
        InvalidRequest: none of them made it, or it is old.
    """
    secrets = _keys(lambda found: found["webhookSecrets"]) if signature else []
    if not isinstance(secrets, list):  # a text is a list of letters, and each would be a secret
        raise GatewayKeysRefused
    for secret in secrets:
        # The package raises others than its own for a body or a header that is not ASCII.
        with suppress(stripe.SignatureVerificationError, ValueError, TypeError):
            stripe.WebhookSignature.verify_header(body, signature, secret, SKEW_SECONDS)
            return
    rule = "must be Stripe's, over the body as it was sent, and at most 5 minutes old"
    raise InvalidRequest(FieldError("Stripe-Signature", rule))


def _listed(look: Callable[[stripe.StripeClient], stripe.ListObject[Any]]) -> list[Json]:
    return _read(lambda client: [each.to_dict() for each in look(client).auto_paging_iter()])


def _read(look: Callable[[stripe.StripeClient], T]) -> T:
    """Return what is read at Stripe; a refusal says nothing: the keys are another account's."""
    try:
        return _call(look)
    except _Refused as refused:
        raise GatewayUnavailable from refused


def _with_replay(session: stripe.StripeObject) -> tuple[Json, bool]:
    """Return a session, and whether it is shown as it was when it was made."""
    answer = session.last_response
    return session.to_dict(), bool(answer and answer.headers.get("Idempotent-Replayed"))


def _call(ask: Callable[[stripe.StripeClient], T]) -> T:
    """Return Stripe's answer; keys that it does not take are read again once.

    Raises:
        _Refused: Stripe did nothing, and never will.
        GatewayKeysRefused: it takes no such key, or the key does not allow this.
        GatewayUnavailable: its answer is not known.
    """
    _time.ends = monotonic() + CALL_SECONDS
    try:
        try:
            return ask(_client(fresh=False))
        except stripe.AuthenticationError:
            return ask(_client(fresh=True))
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise GatewayKeysRefused from _answer(error)
    except (stripe.InvalidRequestError, stripe.CardError) as error:
        raise _Refused(error) from None
    except stripe.StripeError as error:
        raise GatewayUnavailable from _answer(error)
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # no answer of Stripe's
        raise GatewayUnavailable from _Answer(type(error).__name__)


def _answer(error: stripe.StripeError) -> _Answer:
    return _Answer(f"{type(error).__name__} {error.http_status} {error.code} {error.request_id}")


def _client(*, fresh: bool) -> stripe.StripeClient:
    return _client_for(*_keys(lambda found: (found["secretKey"], found.get("url")), fresh=fresh))


def _keys(read: Callable[[Mapping[str, Any]], T], *, fresh: bool = False) -> T:
    try:
        return read(keys.keys("stripe", fresh=fresh))
    except (AttributeError, KeyError, TypeError):
        raise GatewayKeysRefused from _Answer("The keys of stripe are not complete")


@lru_cache(maxsize=4)
def _client_for(key: str, url: str | None) -> stripe.StripeClient:
    """Return a client; its connections are kept for the next call, whatever thread makes it."""
    session = requests.Session()
    session.trust_env = False  # a .netrc would take the place of the key
    session.mount("https://", _InTime())
    session.mount("http://", _InTime())
    return stripe.StripeClient(
        key,
        base_addresses={"api": url} if url else {},
        http_client=stripe.RequestsClient(session=session),
        max_network_retries=RETRIES,
    )


_time = threading.local()

# The package logs each request's address, and Stripe's words with what they quote.
logging.getLogger("stripe").setLevel(logging.WARNING)


class _InTime(HTTPAdapter):
    """Sends each request of a call in what is left of the call's time."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        left = min(_time.ends - monotonic(), time_left())
        if left <= 0:
            raise requests.RequestException("no time left")
        kwargs["timeout"] = (min(CONNECT_SECONDS, left), min(ANSWER_SECONDS, left))
        response = super().send(request, *args, **kwargs)
        hear(response.headers.get("Request-Id"))
        return response
