"""PayPal: Orders v2 and Payments v2, over HTTP.

The payer approves an order on PayPal's pages, which moves nothing; then we capture it, or authorize
it and capture the authorization later. Documented by PayPal's OpenAPI
(github.com/paypal/paypal-rest-api-specifications), and by its guides for `PayPal-Request-Id` and
webhooks.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from functools import cache, wraps
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import urllib3
from urllib3.util import Timeout, make_headers

from shared.errors import FieldError, GatewayKeysRefused, GatewayUnavailable, InvalidRequest
from shared.gateways.heard import hear
from shared.gateways.keys import keys
from shared.gateways.pages import way_back
from shared.gateways.port import Gateway
from shared.payments.clock import now, seconds_between
from shared.payments.facts import Facts, RefundFacts
from shared.payments.ids import is_payment_id
from shared.payments.lifecycle import (
    AUTHORIZED,
    CANCELED,
    CAPTURED,
    ENDS,
    EXPIRED,
    FAILED,
    PENDING,
    PROCESSING,
    REQUIRES_ACTION,
)
from shared.payments.limits import LIMITS
from shared.payments.payment import AGREED, Operation, Payment
from shared.time_left import time_left

Json = Mapping[str, Any]

LIVE_URL = "https://api-m.paypal.com"
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 6.0

QUICK_SECONDS = 1.0
"""A request that failed so soon is sent once more under the same id: there is time for it."""

TOKEN_SPARE_SECONDS = 60
"""How long before it runs out a token is not used any more."""

ORDER_SECONDS = 3 * 3600
"""How long PayPal keeps an order that nobody approves, at least."""

# What PayPal answers where it did already what it is asked for: it is asked what happened.
ALREADY = {
    "ORDER_ALREADY_CAPTURED",
    "ORDER_ALREADY_AUTHORIZED",
    "ORDER_COMPLETED_OR_VOIDED",
    "AUTHORIZATION_ALREADY_CAPTURED",
    "PREVIOUSLY_CAPTURED",
    "PREVIOUSLY_VOIDED",
    "CAPTURE_FULLY_REFUNDED",
    "DUPLICATE_INVOICE_ID",
}
NO_ROOM = {"CAPTURE_FULLY_REFUNDED", "REFUND_AMOUNT_EXCEEDED"}
BUSY = "PREVIOUS_REQUEST_IN_PROGRESS"
NOT_APPROVED = "ORDER_NOT_APPROVED"

ORDERS = {"VOIDED": CANCELED, "COMPLETED": PROCESSING}  # of an order that lists no payments
TAKEN = {"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"}  # statuses of a capture that brought money
LOST = {"DECLINED", "FAILED", "REVERSED"}
REFUNDS = {
    "PENDING": "PENDING",
    "COMPLETED": "SUCCEEDED",
    "FAILED": "FAILED",
    "CANCELLED": "FAILED",
}

# Headers of a webhook, and the fields of the call that verifies it. The first one is named to who
# sends none.
SIGNED = {
    "paypal-transmission-sig": "transmission_sig",
    "paypal-transmission-id": "transmission_id",
    "paypal-transmission-time": "transmission_time",
    "paypal-cert-url": "cert_url",
    "paypal-auth-algo": "auth_algo",
}
_ID = re.compile(r"[A-Z0-9]{1,36}")
_CAPTURE_LINK = re.compile(r"/v2/payments/captures/([A-Z0-9]{1,36})$")


class Refused(Exception):
    """PayPal refuses a request for good.

    Attributes:
        status: of the HTTP response.
        issue: PayPal's code for the reason.
        link: where the payer may choose another way to pay; None: PayPal named no such page.
    """

    def __init__(self, status: int, answer: Json) -> None:
        details = answer.get("details") or [{}]
        self.status = status
        self.issue = str(details[0].get("issue") or answer["name"])
        self.message = str(details[0].get("description") or answer.get("message") or self.issue)
        self.link = _link(answer, "payer-action", "redirect", "approve")
        super().__init__(self.issue)

    @property
    def last_error(self) -> dict[str, str]:
        """The reason as a payment keeps it."""
        return {"code": self.issue, "message": self.message}


R = TypeVar("R")


def _readable(method: Callable[..., R]) -> Callable[..., R]:
    """Let an answer that lacks what PayPal documents be one that is not known."""

    @wraps(method)
    def read(*arguments: Any) -> R:
        try:
            return method(*arguments)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise GatewayUnavailable from error

    return read


class PayPal(Gateway):
    """PayPal.

    References of a payment: `order`, `authorization` and `capture` are PayPal's ids; `created` is
    the order's time, `approve` the page for the payer; `declined` marks the approval whose
    instrument was declined.
    """

    is_instant = False
    # PayPal keeps a request id for 6 hours for orders, and for 45 days for the rest.
    repeat_seconds = 21_000.0

    @_readable
    def start(self, payment: Payment, operation: Operation) -> Facts:
        """Create the order; an order moves no money."""
        try:
            order = _post("/v2/checkout/orders", _new_order(payment, operation), operation, "order")
        except Refused as refusal:
            return Facts(PENDING, last_error=refusal.last_error, answers=operation.operation_id)
        return _facts(payment, order)

    @_readable
    def complete(self, payment: Payment, operation: Operation) -> Facts:
        """Capture or authorize the order that the payer approved."""
        order_id = (payment.references or {})["order"]
        if (payment.next_action or {}).get("type") != AGREED:  # nobody has looked yet
            seen = _order(payment)
            if seen is None:
                return _gone(payment)
            if seen["status"] != "APPROVED":
                facts = _facts(payment, seen)
                is_known = facts.state == REQUIRES_ACTION or seen["status"] == "COMPLETED"
                return replace(facts, answers=operation.operation_id if is_known else None)
        what = "authorize" if payment.capture == "manual" else "capture"
        try:
            order = _post(f"/v2/checkout/orders/{order_id}/{what}", {}, operation, what)
        except Refused as refusal:
            return self._declined(payment, operation, refusal)
        return replace(_facts(payment, order), answers=operation.operation_id)

    def _declined(self, payment: Payment, operation: Operation, refusal: Refused) -> Facts:
        """Return the facts after a refused capture of an order: the payer may choose another way.

        The order stays APPROVED. It is marked, so that only a new approval or a client's confirm
        tries again, not every look at it.
        """
        if refusal.issue in ALREADY or refusal.status == 404:
            return self.fetch(payment)
        order = None if refusal.issue == "ORDER_EXPIRED" else _order(payment)
        if order is None:
            facts = Facts(EXPIRED)
        else:
            kept = dict(payment.references or {})
            if order["status"] == "APPROVED" and refusal.issue != NOT_APPROVED:
                kept["declined"] = _mark(order)
            if refusal.link:
                kept["approve"] = refusal.link
            facts = _facts(replace(payment, references=kept), order)
        return replace(facts, last_error=refusal.last_error, answers=operation.operation_id)

    @_readable
    def capture(self, payment: Payment, operation: Operation) -> Facts:
        """Capture the authorization once; what is left is released."""
        authorization = self._reference(payment, "authorization")
        asked = {
            "amount": _money(payment, operation.amount_minor or payment.amount_minor),
            "invoice_id": operation.operation_id,
            "final_capture": True,
        }
        path = f"/v2/payments/authorizations/{authorization}/capture"
        try:
            taken = _post(path, asked, operation, "capture")
        except Refused as refusal:
            return self._refused(payment, operation, refusal)
        if taken["status"] == "PENDING" or taken["status"] in TAKEN:
            is_taken = taken["status"] != "PENDING"
            return Facts(
                CAPTURED if is_taken else PROCESSING,
                _minor(payment, taken["amount"]) if is_taken else 0,
                authorized_until=payment.authorized_until,
                references={"capture": taken["id"]},
                answers=operation.operation_id,
            )
        facts = self.fetch(payment)
        return replace(facts, last_error=_reason(taken), answers=operation.operation_id)

    @_readable
    def cancel(self, payment: Payment, operation: Operation) -> Facts:
        """Void the authorization. An order cannot be canceled: from now on, nobody captures it."""
        known = payment.references or {}
        if "authorization" not in known or payment.state == PROCESSING:
            facts = self.fetch(payment)
            known = {**known, **facts.references}
            if facts.state == PROCESSING:
                message = "PayPal works on the payment, and cannot cancel it"
                error = {"code": "PAYMENT_PENDING", "message": message}
                return replace(facts, last_error=error, answers=operation.operation_id)
            if facts.state not in (AUTHORIZED, REQUIRES_ACTION, PENDING):
                return facts
        if authorization := known.get("authorization"):
            path = f"/v2/payments/authorizations/{authorization}/void"
            try:
                _post(path, None, operation, "void")
            except Refused as refusal:
                return self._refused(payment, operation, refusal)
        return Facts(CANCELED, references=known, answers=operation.operation_id)

    @_readable
    def refund(self, payment: Payment, operation: Operation) -> Facts:
        """Refund the capture."""
        assert operation.refund_id  # noqa: S101 - as every refund has
        assert operation.amount_minor  # noqa: S101
        refund = payment.refund(operation.refund_id)
        asked: dict[str, Any] = {
            "amount": _money(payment, operation.amount_minor),
            "invoice_id": operation.operation_id,
            "custom_id": operation.refund_id,
        }
        if note := " ".join(((refund and refund.reason) or "").split()):
            asked["note_to_payer"] = note[:255]
        path = f"/v2/payments/captures/{self._reference(payment, 'capture')}/refund"
        try:
            given_back = _post(path, asked, operation, "refund")
        except Refused as refusal:
            return self._refused(payment, operation, refusal)
        return Facts(
            payment.state,
            payment.captured_minor,
            (_refund(payment, given_back),),
            authorized_until=payment.authorized_until,
            answers=operation.operation_id,
        )

    @_readable
    def fetch(self, payment: Payment) -> Facts:
        """Read the order, which lists its authorizations, captures and refunds.

        An order whose id was lost moves no money: nobody can approve it.
        """
        known = payment.references or {}
        if "order" not in known:
            return Facts(PENDING)
        order = _order(payment)
        return _gone(payment) if order is None else _facts(payment, order)

    @_readable
    def payment_id_in(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """Let PayPal verify the webhook, and find the payment of its resource."""
        event = _verified(headers, body)
        resource = event.get("resource") or {}
        units = resource.get("purchase_units") or [{}]
        custom_id = resource.get("custom_id") or units[0].get("custom_id")
        if custom_id is None or (isinstance(custom_id, str) and custom_id.startswith("ref_")):
            custom_id = _custom_id_of_parent(resource)
        is_ours = isinstance(custom_id, str) and is_payment_id(custom_id)
        return custom_id if is_ours else None

    def _refused(self, payment: Payment, operation: Operation, refusal: Refused) -> Facts:
        """Return what PayPal knows after it refused an operation.

        Where it says that this is done already, it may have done it for this operation. Only if its
        list shows that somebody else did, this is an answer. What it does not find was made a
        moment ago, and is not everywhere yet.
        """
        facts = self.fetch(payment)
        is_answer = refusal.issue not in ALREADY and refusal.status != 404
        if operation.amount_minor and refusal.issue in NO_ROOM:
            done = [each for each in facts.refunds if each.status != "FAILED"]
            taken = sum(each.amount_minor for each in done)
            is_answer = taken + operation.amount_minor > facts.captured_minor
            is_answer &= all(each.refund_id != operation.refund_id for each in done)
        if not is_answer:
            return facts
        return replace(facts, last_error=refusal.last_error, answers=operation.operation_id)

    def _reference(self, payment: Payment, name: str) -> str:
        """Return an id of PayPal's, read from there where it is not known here."""
        known = payment.references or {}
        return known.get(name) or self.fetch(payment).references[name]


def _new_order(payment: Payment, operation: Operation) -> Json:
    unit = {
        "custom_id": payment.payment_id,
        "invoice_id": operation.operation_id,
        "amount": _money(payment, payment.amount_minor),
    }
    if payment.description:
        unit["description"] = payment.description[:127]
    back = way_back(payment)
    context = {
        "return_url": back,
        "cancel_url": back,
        "user_action": "PAY_NOW",
        "shipping_preference": "NO_SHIPPING",  # this API knows of no address
    }
    return {
        "intent": "AUTHORIZE" if payment.capture == "manual" else "CAPTURE",
        "purchase_units": [unit],
        "payment_source": {"paypal": {"experience_context": context}},
    }


def _order(payment: Payment) -> Json | None:
    """Return the payment's order; None where PayPal has none."""
    try:
        return _get(f"/v2/checkout/orders/{(payment.references or {})['order']}")
    except Refused as refusal:
        if refusal.status != 404:
            raise GatewayUnavailable from refusal
        return None


def _gone(payment: Payment) -> Facts:
    """Return what follows from an order that PayPal does not know.

    It forgets orders that nobody pays; a new one may not be everywhere yet.
    """
    age = seconds_between((payment.references or {})["created"], now())
    is_expired = payment.state == REQUIRES_ACTION and age > ORDER_SECONDS
    return Facts(EXPIRED if is_expired else PENDING)


def _facts(payment: Payment, order: Json) -> Facts:
    """Return what an order says of its payment.

    Raises:
        GatewayUnavailable: it is another payment's.
    """
    [unit] = order["purchase_units"]
    if unit["custom_id"] != payment.payment_id:
        raise GatewayUnavailable
    references = {**(payment.references or {}), "order": order["id"]}
    references["created"] = _time(order["create_time"])
    if approve := _link(order, "payer-action", "approve"):
        references["approve"] = approve
    made = unit.get("payments") or {}
    captures, refunds = made.get("captures") or [], made.get("refunds") or []
    authorization = _current(made.get("authorizations") or [])
    if authorization:
        references["authorization"] = authorization["id"]
    taken = [each for each in captures if each["status"] in TAKEN]
    for each in taken[:1]:
        references["capture"] = each["id"]
    state, error = _state(order, authorization, captures)
    next_action: dict[str, str] | None = None
    if state == REQUIRES_ACTION:
        is_agreed = order["status"] == "APPROVED" and _mark(order) != references.get("declined")
        if is_agreed:
            next_action = {"type": AGREED}
        else:
            page = references.get("approve")
            next_action = {"type": "redirect", "url": page} if page else None
            error = dict(payment.last_error) if payment.last_error else None
    until = authorization.get("expiration_time") if authorization else None
    return Facts(
        state,
        sum(_minor(payment, each["amount"]) for each in taken),
        tuple(_refund(payment, each) for each in refunds),
        next_action,
        authorized_until=_time(until) if until and state not in ENDS else None,
        last_error=error,
        references=references,
        answers=_answered(payment, captures),
    )


def _state(
    order: Json, authorization: Json | None, captures: list[Json]
) -> tuple[str, dict[str, str] | None]:
    """Return the state of a payment, and why it failed if it did.

    Raises:
        ValueError: a capture has a status that is not known here.
    """
    statuses = {each["status"] for each in captures}
    if statuses - TAKEN - LOST - {"PENDING"}:
        raise ValueError  # younger than this: whether there is money cannot be told
    if statuses & TAKEN:
        return CAPTURED, None
    if "PENDING" in statuses:
        return PROCESSING, None
    lost = next((_reason(each) for each in captures if each["status"] in LOST), None)
    if authorization:
        return _state_of(authorization, lost)
    if lost:
        return FAILED, lost
    return ORDERS.get(order["status"], REQUIRES_ACTION), None


def _state_of(
    authorization: Json, lost: dict[str, str] | None
) -> tuple[str, dict[str, str] | None]:
    """Return the state of a payment whose authorization brought no money, and why it failed.

    Args:
        authorization: which counts.
        lost: why its capture failed; None: it has none.
    """
    status = authorization["status"]
    if status == "CREATED":
        return AUTHORIZED, lost
    if status in ("VOIDED", "EXPIRED"):
        is_run_out = status == "EXPIRED" or _is_run_out(authorization)
        return (EXPIRED if is_run_out else CANCELED), None
    if status == "DENIED" or (status != "PENDING" and lost):
        return FAILED, lost or _reason(authorization)
    return PROCESSING, None  # under review, or captured by what is not listed yet


def _current(authorizations: list[Json]) -> Json | None:
    """Return the authorization that counts: one that holds money before one that does not."""
    order = ("CREATED", "CAPTURED", "PARTIALLY_CAPTURED", "PENDING")
    ranks = {status: rank for rank, status in enumerate(order)}
    return min(authorizations, key=lambda each: ranks.get(each["status"], 9), default=None)


def _is_run_out(authorization: Json) -> bool:
    """Tell whether an authorization was voided by its time, not by a person."""
    until = authorization.get("expiration_time")
    if not until:
        return False
    return _time(authorization.get("update_time") or now()) >= _time(until)


def _answered(payment: Payment, captures: list[Json]) -> str | None:
    """Return the operation under way if one of the captures was made for it: it is decided."""
    operation = payment.operation.operation_id if payment.operation else None
    is_made = any(each.get("invoice_id") == operation for each in captures)
    is_capture = payment.operation is not None and payment.operation.kind == "capture"
    return operation if is_made and is_capture else None


def _refund(payment: Payment, refund: Json) -> RefundFacts:
    """Return what PayPal says of a refund; one that was made at PayPal has PayPal's id."""
    operation = payment.operation
    custom_id = refund.get("custom_id") or ""
    if operation and operation.refund_id and refund.get("invoice_id") == operation.operation_id:
        refund_id = operation.refund_id
    else:
        refund_id = custom_id if custom_id.startswith("ref_") else refund["id"]
    status = REFUNDS[refund["status"]]
    error = _reason(refund)["message"] if status == "FAILED" else None
    return RefundFacts(refund_id, _minor(payment, refund["amount"]), status, error)


def _reason(resource: Json) -> dict[str, str]:
    """Return why a capture, an authorization or a refund failed."""
    code = (resource.get("status_details") or {}).get("reason") or resource["status"]
    return {"code": code, "message": f"PayPal says: {code}"}


def _mark(order: Json) -> str:
    """Return what tells one approval of an order from the next."""
    said = [order.get(name) for name in ("update_time", "payment_source", "payer")]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _link(answer: Json, *relations: str) -> str | None:
    links = {each.get("rel"): each.get("href") for each in answer.get("links") or ()}
    return next((links[rel] for rel in relations if links.get(rel)), None)


def _money(payment: Payment, amount_minor: int) -> dict[str, str]:
    """Return an amount as PayPal takes it, with its decimals: `check_decimals` lets no more in."""
    decimals = LIMITS["paypal"].decimals.get(payment.currency, payment.decimals)
    exact = Decimal(amount_minor).scaleb(-payment.decimals)
    return {"currency_code": payment.currency, "value": f"{exact:.{decimals}f}"}


def _minor(payment: Payment, money: Json) -> int:
    """Return an amount of PayPal's in minor units.

    Raises:
        ValueError: it is in another currency, or has more decimals.
    """
    amount = Decimal(money["value"]).scaleb(payment.decimals)
    if money["currency_code"] != payment.currency or amount % 1:
        raise ValueError
    return int(amount)


def _time(text: str) -> str:
    """Return a time of PayPal's as this stack keeps it."""
    time = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- Webhooks ---


def _verified(headers: Mapping[str, str], body: bytes) -> Json:
    """Return the event that PayPal signed.

    Raises:
        InvalidRequest: it did not, or not so.
    """
    for name in SIGNED:
        if not headers.get(name):
            raise InvalidRequest(FieldError(name.upper(), "is required: PayPal signs its webhooks"))
    try:
        # The body goes into a document of ours, and must be one document for that: it could end
        # early, and bring fields of its own.
        text = body.decode()
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise InvalidRequest(FieldError("body", "must be an event of PayPal's, in JSON"))
    signature = {field: headers[name] for name, field in SIGNED.items()}
    webhook_ids = keys("paypal").get("webhookIds") or []
    if not isinstance(webhook_ids, list):
        raise GatewayKeysRefused
    for webhook_id in webhook_ids:
        asked = json.dumps({**signature, "webhook_id": webhook_id})
        # As it was sent: written anew, it would not be what PayPal signed.
        spliced = f'{asked[:-1]}, "webhook_event": {text}}}'.encode()
        with suppress(Refused):
            answer = _client().call("POST", "/v1/notifications/verify-webhook-signature", spliced)
            if answer["verification_status"] == "SUCCESS":
                return event
    message = "is not PayPal's signature of this body"
    raise InvalidRequest(FieldError("PAYPAL-TRANSMISSION-SIG", message))


def _custom_id_of_parent(resource: Json) -> str | None:
    """Return the custom id of the order or the capture that a resource belongs to."""
    related = (resource.get("supplementary_data") or {}).get("related_ids") or {}
    up = _CAPTURE_LINK.search(_link(resource, "up") or "")
    capture_id = related.get("capture_id") or (up and up[1])
    with suppress(Refused, _Forbidden):  # nobody's, or another account's
        if _is_id(related.get("order_id")):
            order = _get(f"/v2/checkout/orders/{related['order_id']}")
            return str(order["purchase_units"][0].get("custom_id"))
        if _is_id(capture_id):
            return str(_get(f"/v2/payments/captures/{capture_id}").get("custom_id"))
    return None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


# --- HTTP ---


class _Token(NamedTuple):
    """A token, the keys that it was got with, and when it runs out (epoch seconds)."""

    url: str
    client: tuple[str, str]
    text: str
    until: float


class _Forbidden(GatewayKeysRefused):
    """The keys do not allow this: they lack a permission, or it is another account's."""


class _Client:
    """Calls PayPal with a token that is kept as long as it is good."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(maxsize=4, retries=False)
        self._lock = Lock()
        self._kept: _Token | None = None

    def call(
        self, method: str, path: str, body: bytes | None = None, request_id: str | None = None
    ) -> Json:
        """Return PayPal's answer.

        Raises:
            Refused: it refuses the request for good.
            GatewayUnavailable: its answer is not known.
            GatewayKeysRefused: it does not take the keys, or they do not allow this.
        """
        headers = {"Content-Type": "application/json", "Prefer": "return=representation"}
        if request_id:
            headers["PayPal-Request-Id"] = request_id
        refused: str | None = None
        for fresh in (False, False, True):  # a token may run out meanwhile, and keys be changed
            token = self._token(refused, fresh=fresh)
            bearer = {**headers, "Authorization": f"Bearer {token.text}"}
            status, answer = self._send(method, token.url + path, body, bearer)
            if status != 401:
                break
            refused = token.text
        if status in (401, 403):
            raise GatewayKeysRefused if status == 401 else _Forbidden
        if status >= 400:
            if "name" not in answer:  # somebody else's: a proxy's, a firewall's
                raise GatewayUnavailable
            refusal = Refused(status, answer)
            if status == 409 or refusal.issue == BUSY:
                raise GatewayUnavailable
            raise refusal
        return answer

    def _token(self, refused: str | None, *, fresh: bool) -> _Token:
        """Return a token that is good, other than the refused one."""
        with self._lock:
            for is_fresh in dict.fromkeys((fresh, True)):
                found = keys("paypal", fresh=True) if is_fresh else keys("paypal")
                if not (found.get("clientId") and found.get("clientSecret")):
                    raise GatewayKeysRefused
                url = str(found.get("url") or LIVE_URL).rstrip("/")
                client = (str(found["clientId"]), str(found["clientSecret"]))
                kept = self._kept
                if (
                    kept
                    and (kept.url, kept.client) == (url, client)
                    and kept.text != refused
                    and time.time() < kept.until
                ):
                    return kept
                headers = {
                    **make_headers(basic_auth=":".join(client)),
                    "Content-Type": "application/x-www-form-urlencoded",
                }
                status, answer = self._send(
                    "POST", f"{url}/v1/oauth2/token", b"grant_type=client_credentials", headers
                )
                if status < 400:
                    lasts = float(answer["expires_in"]) - TOKEN_SPARE_SECONDS
                    self._kept = _Token(url, client, answer["access_token"], time.time() + lasts)
                    return self._kept
            raise GatewayKeysRefused

    def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Json]:
        """Send a request, and once more where that failed soon: its id makes it happen once."""
        begun = time.monotonic()
        try:
            return self._send_once(method, url, body, headers)
        except GatewayUnavailable:
            if time.monotonic() - begun > QUICK_SECONDS:
                raise
        return self._send_once(method, url, body, headers)

    def _send_once(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Json]:
        left = time_left()
        if left <= 0:
            raise GatewayUnavailable
        times = Timeout(connect=min(CONNECT_SECONDS, left), read=min(ANSWER_SECONDS, left))
        try:
            response = self._pool.request(
                method, url, body=body, headers=headers, timeout=times, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise GatewayUnavailable from error
        hear(response.headers.get("Paypal-Debug-Id"))
        try:
            answer = json.loads(response.data) if response.data or response.status != 204 else {}
        except (ValueError, RecursionError):
            # Python's error holds the answer, and what causes an error is logged.
            raise GatewayUnavailable from ValueError("PayPal's answer is no JSON")
        if response.status >= 500 or response.status in (408, 429) or 300 <= response.status < 400:
            raise GatewayUnavailable
        if not isinstance(answer, dict):
            raise GatewayUnavailable
        return response.status, answer


@cache
def _client() -> _Client:
    return _Client()


def _get(path: str) -> Json:
    return _client().call("GET", path)


def _post(path: str, body: Json | None, operation: Operation, endpoint: str) -> Json:
    """Ask for something under the operation's id, one for each endpoint."""
    text = None if body is None else json.dumps(body).encode()
    return _client().call("POST", path, text, f"{operation.operation_id}.{endpoint}")
