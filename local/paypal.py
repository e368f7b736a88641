"""A stand-in for PayPal: the part of its API that the adapter uses, in memory, with a ledger.

Orders, authorizations, captures and refunds are kept in PayPal's own shape; events are signed.
"""

import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qsl, urlencode, urlsplit

from werkzeug import Request, Response

from local.standin import Event, Json, Refusal, StandIn

ORDER_SECONDS = 3 * 3600  # how long an order waits for its payer
AUTHORIZATION_SECONDS = 29 * 24 * 3600
ORDER_KEY_SECONDS = 6 * 3600  # how long a request id is known
PAYMENT_KEY_SECONDS = 45 * 24 * 3600

WITHOUT_DECIMALS = {"HUF", "JPY", "TWD"}

ERRORS = {
    400: "INVALID_REQUEST",
    401: "AUTHENTICATION_FAILURE",
    403: "NOT_AUTHORIZED",
    404: "RESOURCE_NOT_FOUND",
    409: "RESOURCE_CONFLICT",
    422: "UNPROCESSABLE_ENTITY",
}


class Problem(Refusal):
    """An error in PayPal's shape."""

    def __init__(self, status: int, issue: str = "", links: Iterable[Json] = ()) -> None:
        body = {
            "name": ERRORS[status],
            "message": "The stand-in refuses it",
            "debug_id": secrets.token_hex(6),
        }
        details = {"details": [{"issue": issue, "description": issue}], "links": [*links]}
        super().__init__(status, {**body, **(details if issue else {})})


@dataclass
class Order:
    """An order and all that came of it, in PayPal's shape.

    Attributes:
        shown: the order but for its unit, links and payments.
        unit: what is paid for.
        context: where the payer's browser goes.
        until: when it runs out.
        declines: how many captures the payer's instrument declines from now on.
    """

    shown: Json
    unit: Json
    context: Json
    until: str
    declines: int = 0
    authorizations: list[Json] = field(default_factory=list)
    captures: list[Json] = field(default_factory=list)
    refunds: list[Json] = field(default_factory=list)

    @property
    def id(self) -> str:
        """PayPal's id."""
        return str(self.shown["id"])

    @property
    def payment_id(self) -> str:
        """The id of the payment that the order is for."""
        return str(self.unit["custom_id"])

    @property
    def payments(self) -> dict[str, list[Json]]:
        """What came of it, by kind."""
        names = ("authorizations", "captures", "refunds")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def refunded(self) -> Decimal:
        """How much is given back, or about to be."""
        given = (_value(each) for each in self.refunds if each["status"] != "FAILED")
        return sum(given, Decimal())


class PayPal(StandIn):
    """The WSGI application.

    Attributes:
        client_id, client_secret: what a token is given for.
        webhook_id: of the webhook that events are signed for.
        capture_outcome: COMPLETED, PENDING (until `finish`), or DECLINED.
        blocks_duplicates: whether an invoice id may be used once (an account's setting).
        token_seconds: how long a token is said to be good.
    """

    name = "paypal"
    title = "PayPal"
    outcomes: Mapping[str, str] = {
        "pay": "Pay",
        "decline": "Pay with a card that is declined",
        "abandon": "Cancel and return",
    }
    payers_page = r"/checkoutnow\?token=(\w+)"
    ledger_unit = "amount"
    id_header = "Paypal-Debug-Id"
    kept_back = frozenset({"late", "reversed"})  # its events come one by one
    KEPT = (
        *(*StandIn.KEPT, "client_id", "client_secret", "webhook_id"),
        *("orders", "_signing_key", "_tokens"),
    )

    def __init__(self, webhook_url: str | None = None) -> None:
        super().__init__(webhook_url)
        self.client_id = secrets.token_hex(16)
        self.client_secret = secrets.token_hex(16)
        self.webhook_id = secrets.token_hex(8).upper()
        self.capture_outcome = "COMPLETED"
        self.blocks_duplicates = True
        self.token_seconds = 32400
        self.orders: dict[str, Order] = {}
        self._tokens: set[str] = set()
        self._refusals: list[tuple[str, Problem]] = []
        self._signing_key = secrets.token_bytes(32)

    @property
    def keys(self) -> Json:
        """What the functions read as the gateway's keys."""
        client = {"clientId": self.client_id, "clientSecret": self.client_secret}
        return {**client, "webhookIds": [self.webhook_id], "url": self.url}

    # --- What happens at PayPal, by the payer or by somebody who signs in there ---

    def pay(self, name: str, outcome: str = "pay") -> str:
        """Let the payer of an order agree, or leave; return where the browser goes.

        Raises:
            KeyError: there is no such order, or it does not wait for its payer.
        """
        with self._step():
            order = self._waiting(name)
            if outcome == "abandon":
                return _with_query(order.context["cancel_url"], token=name)
            payer = "".join(secrets.choice("23456789ABCDEFGH") for _ in range(13))
            order.declines = int(outcome == "decline")
            order.shown |= {
                "status": "APPROVED",
                "update_time": self._now(),
                "payment_source": {"paypal": {"account_id": payer, "name": {}}},
            }
            self._tell("CHECKOUT.ORDER.APPROVED", order)
            return _with_query(order.context["return_url"], token=name, PayerID=payer)

    def order_of(self, payment_id: str) -> Order:
        """Return the newest order of a payment."""
        return [each for each in self.orders.values() if each.payment_id == payment_id][-1]

    def refund_by_hand(self, payment_id: str, value: str) -> None:
        """Let somebody refund at PayPal."""
        with self._step():
            order = self.order_of(payment_id)
            amount = {**order.captures[0]["amount"], "value": value}
            self._refund(order, order.captures[0], {"amount": amount})

    def reverse(self, payment_id: str) -> None:
        """Take the captured money back, as after a chargeback."""
        with self._step():
            order = self.order_of(payment_id)
            capture = order.captures[0]
            self._set(capture, "REVERSED")
            self._move("reversal", order.payment_id, _value(capture))
            self._tell("PAYMENT.CAPTURE.REVERSED", order, capture)

    def fail_refunds(self, payment_id: str) -> None:
        """Let refunds that were done come back."""
        with self._step():
            order = self.order_of(payment_id)
            for refund in order.refunds:
                self._fail(order, refund)

    def void_by_hand(self, payment_id: str) -> None:
        """Let somebody void the authorization at PayPal."""
        with self._step():
            order = self.order_of(payment_id)
            self._void(order, order.authorizations[0], self._now())

    def refuse(self, ending: str, status: int, issue: str) -> None:
        """Refuse the next request whose path ends so, without doing it."""
        self._refusals.append((ending, Problem(status, issue)))

    def finish(self) -> None:
        """Bring what is pending to its end."""
        with self._step():
            for order in self.orders.values():
                for capture in _pending(order.captures):
                    self._complete_capture(order, capture)
                for refund in _pending(order.refunds):
                    self._complete_refund(order, refund)

    def revoke_tokens(self) -> None:
        """Let every token run out before its time."""
        self._tokens.clear()

    def whole_units(self, request: Request) -> int:
        """Return the whole units of the amount that a request names, else of its order's."""
        about = {*request.path.split("/"), request.args.get("token")}
        asked = request.get_json(silent=True) or {}
        units = asked.get("purchase_units") or [
            order.unit
            for order in self.orders.values()
            if about & {order.id, *(each["id"] for each in order.authorizations + order.captures)}
        ]
        amounts = [each["amount"]["value"] for each in (asked, *units) if "amount" in each]
        return int(Decimal([*amounts, 0][0]))

    # --- HTTP ---

    def _waiting(self, name: str) -> Order:
        order = self.orders[name]
        if order.shown["status"] == "COMPLETED":
            raise KeyError(name)
        return order

    def _asked(self, name: str) -> tuple[str, str]:
        unit = self._waiting(name).unit
        amount = unit["amount"]
        return f"{amount['value']} {amount['currency_code']}", unit.get("description", "")

    def _api(self, request: Request) -> Response:
        if request.path == "/v1/oauth2/token":
            return self._token(request)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._tokens:
            raise Problem(401)
        for planned in self._refusals:
            if request.path.endswith(planned[0]):
                self._refusals.remove(planned)
                raise planned[1]
        match request.method, *request.path.split("/")[1:]:
            case "POST", "v1", "notifications", "verify-webhook-signature":
                status = "SUCCESS" if self._is_signed(request.get_data(as_text=True)) else "FAILURE"
                return self._json(200, {"verification_status": status})
            case "GET", "v2", "checkout", "orders", name:
                return self._json(200, self._show(self._order(name)))
            case "GET", "v2", "payments", kind, name:
                return self._json(200, self._show(*self._find(kind, name)))
            case "POST", *names:
                return self._post(request, names)
        raise Problem(404, "INVALID_RESOURCE_ID")

    def _token(self, request: Request) -> Response:
        given = request.authorization
        client = given and (given.username, given.password)
        if client != (self.client_id, self.client_secret):
            return self._json(401, {"error": "invalid_client"})
        token = secrets.token_hex(20)
        self._tokens.add(token)
        lasts = {"token_type": "Bearer", "expires_in": self.token_seconds}
        return self._json(200, {"access_token": token, **lasts})

    def _post(self, request: Request, names: list[str]) -> Response:
        """Do once for a request id what is asked; answer its latest state."""
        self._by = request.headers.get("PayPal-Request-Id", secrets.token_hex(16))
        path, until, result = self._known.get(self._by, ("", "", None))
        if self._now() < until:
            if path != request.path:
                raise Problem(400, "INVALID_PARAMETER_VALUE")
            return self._json(200, self._show(*result))
        result = self._do(names, request.get_json(silent=True) or {})
        lasts = ORDER_KEY_SECONDS if "orders" in names else PAYMENT_KEY_SECONDS
        self._known[self._by] = (request.path, self._in(lasts), result)
        return self._json(200 if names[-1] == "void" else 201, self._show(*result))

    def _do(self, names: list[str], asked: Json) -> tuple[Order, Json | None]:
        """Do what a POST asks; return the order, and which of its resources came of it."""
        match names:
            case "v2", "checkout", "orders":
                return self._create(asked), None
            case "v2", "checkout", "orders", name, ("capture" | "authorize") as what:
                order = self._order(name)
                self._complete(order, what)
                return order, None
            case "v2", "payments", "authorizations" as kind, name, "capture":
                order, held = self._find(kind, name)
                return order, self._capture(order, held, asked)
            case "v2", "payments", "authorizations" as kind, name, "void":
                order, held = self._find(kind, name)
                is_void, is_taken = (held["status"] == each for each in ("VOIDED", "CAPTURED"))
                _check(PREVIOUSLY_VOIDED=is_void, PREVIOUSLY_CAPTURED=is_taken)
                self._void(order, held, self._now())
                return order, held
            case "v2", "payments", "captures" as kind, name, "refund":
                order, taken = self._find(kind, name)
                return order, self._refund(order, taken, asked)
        raise Problem(404, "INVALID_RESOURCE_ID")

    def _order(self, name: str) -> Order:
        if name not in self.orders:
            raise Problem(404, "INVALID_RESOURCE_ID")
        return self.orders[name]

    def _find(self, kind: str, name: str) -> tuple[Order, Json]:
        for order in self.orders.values():
            for each in order.payments.get(kind, ()):
                if each["id"] == name:
                    return order, each
        raise Problem(404, "INVALID_RESOURCE_ID")

    def _show(self, order: Order, resource: Json | None = None) -> Json:
        """Return an order, or one of its resources, as the API shows it."""
        if resource:
            related = {"supplementary_data": {"related_ids": {"order_id": order.id}}}
            return resource if resource in order.refunds else {**resource, **related}
        unit = {**order.unit, **({"payments": order.payments} if order.payments else {})}
        links = [_link("self", f"{self.url}/v2/checkout/orders/{order.id}")]
        if order.shown["status"] == "PAYER_ACTION_REQUIRED":
            links.append(_link("payer-action", self._page_of(order)))
        return {**order.shown, "purchase_units": [unit], "links": links}

    def _page_of(self, order: Order) -> str:
        return f"{self.url}/checkoutnow?token={order.id}"

    # --- Orders, authorizations and captures ---

    def _create(self, asked: Json) -> Order:
        [unit] = asked["purchase_units"]
        _check(DECIMAL_PRECISION=_has_too_many_decimals(unit["amount"]))
        shown = {
            "id": _id(),
            "intent": asked["intent"],
            "status": "PAYER_ACTION_REQUIRED",
            "payment_source": {"paypal": {}},
            "create_time": self._now(),
        }
        context = asked["payment_source"]["paypal"]["experience_context"]
        unit = {"reference_id": "default", **unit}
        order = Order(shown, unit, context, self._in(ORDER_SECONDS))
        self.orders[order.id] = order
        return order

    def _complete(self, order: Order, what: str) -> None:
        """Take, or hold, what the payer agreed to."""
        is_over = order.shown["status"] == "COMPLETED"
        _check(
            ORDER_ALREADY_CAPTURED=is_over and what == "capture",
            ORDER_ALREADY_AUTHORIZED=is_over and what == "authorize",
            ORDER_NOT_APPROVED=order.shown["status"] != "APPROVED",
        )
        issue = self.decline.get(self.name)
        if order.declines or issue:
            order.declines = max(order.declines - 1, 0)
            link = _link("redirect", self._page_of(order))
            raise Problem(422, issue or "INSTRUMENT_DECLINED", links=[link])
        if what == "capture":
            self._take(order, order.unit)
        else:
            held = self._new("CREATED", order.unit)
            held["expiration_time"] = self._in(AUTHORIZATION_SECONDS)
            order.authorizations.append(held)
            self._move("hold", order.payment_id, _value(held))
            self._tell("PAYMENT.AUTHORIZATION.CREATED", order, held)
        self._set(order.shown, "COMPLETED")

    def _capture(self, order: Order, held: Json, asked: Json) -> Json:
        """Take what is held, or a part of it, and release the rest."""
        unit = {"amount": held["amount"], "custom_id": order.payment_id, **asked}
        is_void, value = held["status"] == "VOIDED", _value(unit)
        _check(
            DECIMALS_NOT_SUPPORTED=_has_too_many_decimals(unit["amount"]),
            AUTHORIZATION_EXPIRED=is_void and held["update_time"] >= held["expiration_time"],
            AUTHORIZATION_VOIDED=is_void,
            AUTHORIZATION_ALREADY_CAPTURED=held["status"] == "CAPTURED",
            MAX_CAPTURE_AMOUNT_EXCEEDED=value > _value(held) * Decimal("1.15"),
        )
        if issue := self.decline.get(self.name):
            raise Problem(422, issue)
        taken = self._take(order, unit)
        if taken["status"] != "DECLINED":
            self._set(held, "CAPTURED")
            if _value(held) > value:
                self._move("release", order.payment_id, _value(held) - value)
        return taken

    def _take(self, order: Order, unit: Json) -> Json:
        _check(DUPLICATE_INVOICE_ID=self._is_duplicate(unit, "captures"))
        capture = self._new(self.capture_outcome, unit)
        capture["final_capture"] = True
        order.captures.append(capture)
        if capture["status"] == "COMPLETED":
            self._complete_capture(order, capture)
        elif capture["status"] == "PENDING":
            capture["status_details"] = {"reason": "PENDING_REVIEW"}
            self._tell("PAYMENT.CAPTURE.PENDING", order, capture)
            self.later(self.finish)
        else:
            capture["status_details"] = {"reason": "OTHER"}
            self._tell("PAYMENT.CAPTURE.DENIED", order, capture)
        return capture

    def _complete_capture(self, order: Order, capture: Json) -> None:
        capture.pop("status_details", None)
        self._set(capture, "COMPLETED")
        self._move("capture", order.payment_id, _value(capture))
        self._tell("PAYMENT.CAPTURE.COMPLETED", order, capture)

    def _is_duplicate(self, asked: Json, kind: str) -> bool:
        known = [each for one in self.orders.values() for each in one.payments.get(kind, ())]
        ids = {each["invoice_id"] for each in known if "invoice_id" in each}
        return self.blocks_duplicates and asked.get("invoice_id") in ids

    def _void(self, order: Order, held: Json, at: str) -> None:
        held |= {"status": "VOIDED", "update_time": at}
        self._move("release", order.payment_id, _value(held))
        self._tell("PAYMENT.AUTHORIZATION.VOIDED", order, held)

    # --- Refunds ---

    def _refund(self, order: Order, capture: Json, asked: Json) -> Json:
        left = _value(capture) - order.refunded
        asked = {"amount": {**capture["amount"], "value": str(left)}, **asked}
        is_paid = capture["status"] in ("COMPLETED", "PARTIALLY_REFUNDED")
        _check(
            CAPTURE_FULLY_REFUNDED=capture["status"] == "REFUNDED",
            REFUND_NOT_ALLOWED=self.refunds == "refused" or not is_paid,
            DECIMALS_NOT_SUPPORTED=_has_too_many_decimals(asked["amount"]),
            REFUND_AMOUNT_EXCEEDED=_value(asked) > left,
            DUPLICATE_INVOICE_ID=self._is_duplicate(asked, "refunds"),
        )
        refund = self._new("PENDING", asked)
        refund["links"] = [_link("up", f"{self.url}/v2/payments/captures/{capture['id']}")]
        order.refunds.append(refund)
        self._move("refund", order.payment_id, _value(refund))
        if self.refunds == "succeeded":
            self._complete_refund(order, refund)
        else:
            refund["status_details"] = {"reason": "ECHECK"}
            if self.refunds == "failing":
                self._failing.add(refund["id"])
            self._tell("PAYMENT.REFUND.PENDING", order, refund)
            self.later(self.finish)
        self._count_refunds(order, capture)
        return refund

    def _complete_refund(self, order: Order, refund: Json) -> None:
        if refund["id"] in self._failing:
            self._fail(order, refund)
        else:
            self._set(refund, "COMPLETED")
            self._tell("PAYMENT.CAPTURE.REFUNDED", order, refund)

    def _fail(self, order: Order, refund: Json) -> None:
        self._set(refund, "FAILED")
        self._move("returned refund", order.payment_id, _value(refund))
        self._count_refunds(order, order.captures[-1])
        self._tell("PAYMENT.REFUND.FAILED", order, refund)

    def _count_refunds(self, order: Order, capture: Json) -> None:
        is_whole = order.refunded == _value(capture)
        part = "PARTIALLY_REFUNDED" if order.refunded else "COMPLETED"
        self._set(capture, "REFUNDED" if is_whole else part)

    # --- Time and events ---

    def _new(self, status: str, asked: Json) -> Json:
        """Return a new resource, with what was asked for."""
        names = ("amount", "custom_id", "invoice_id", "note_to_payer")
        given = {name: asked[name] for name in names if name in asked}
        times = {"create_time": self._now(), "update_time": self._now()}
        return {"id": _id(), "status": status, **given, **times}

    def _set(self, thing: Json, status: str) -> None:
        thing |= {"status": status, "update_time": self._now()}

    def _let_time_pass(self) -> None:
        now = self._now()
        for order in list(self.orders.values()):
            if order.shown["status"] in ("PAYER_ACTION_REQUIRED", "APPROVED") and order.until < now:
                del self.orders[order.id]
            for held in order.authorizations:
                if held["status"] == "CREATED" and held["expiration_time"] <= now:
                    self._void(order, held, held["expiration_time"])

    def _now(self) -> str:
        return self._in(0)

    def _in(self, seconds: float) -> str:
        time = self._clock() + timedelta(seconds=seconds)
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _tell(self, kind: str, order: Order, resource: Json | None = None) -> None:
        """Sign an event."""
        found = [name for name, known in order.payments.items() if resource in known]
        event = {
            "id": f"WH-{secrets.token_hex(12).upper()}",
            "create_time": self._now(),
            "resource_type": found[0].removesuffix("s") if found else "checkout-order",
            "event_type": kind,
            "resource": self._show(order, resource),
        }
        # Not as Python writes it: what is decoded and encoded again has other bytes.
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
        self._put(self.sign(text.encode()))

    def sign(self, body: bytes) -> Event:
        """Return a body as a webhook with PayPal's signature."""
        transmission_id, at = str(uuid.uuid4()), self._now()
        headers = {
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
            "PAYPAL-CERT-URL": f"{self.url}/v1/notifications/certs/CERT",
            "PAYPAL-TRANSMISSION-ID": transmission_id,
            "PAYPAL-TRANSMISSION-SIG": self._signature(transmission_id, at, body),
            "PAYPAL-TRANSMISSION-TIME": at,
            "Content-Type": "application/json",
        }
        return Event(headers, body)

    def _signature(self, transmission_id: str, at: str, body: bytes) -> str:
        said = f"{transmission_id}|{at}|{self.webhook_id}|".encode()
        signed = said + hashlib.sha256(body).digest()
        return "s" + hmac.new(self._signing_key, signed, "sha256").hexdigest()

    def _is_signed(self, text: str) -> bool:
        """Tell whether the event, byte for byte as it stands in the text, was signed here."""
        asked = json.loads(text)
        event = text.partition('"webhook_event": ')[2]
        _, end = json.JSONDecoder().raw_decode(event)
        wanted = self._signature(
            asked["transmission_id"], asked["transmission_time"], event[:end].encode()
        )
        return (asked["webhook_id"], asked["transmission_sig"]) == (self.webhook_id, wanted)


def _id() -> str:
    return secrets.token_hex(9).upper()[:17]


def _check(**issues: bool) -> None:
    """Refuse a request for the first issue that there is."""
    for issue, is_so in issues.items():
        if is_so:
            raise Problem(422, issue)


def _has_too_many_decimals(amount: Json) -> bool:
    return "." in str(amount["value"]) and amount["currency_code"] in WITHOUT_DECIMALS


def _value(thing: Json) -> Decimal:
    return Decimal(thing["amount"]["value"])


def _pending(resources: list[Json]) -> list[Json]:
    return [each for each in resources if each["status"] == "PENDING"]


def _link(relation: str, href: str) -> Json:
    return {"href": href, "rel": relation, "method": "GET"}


def _with_query(url: str, **parameters: str) -> str:
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *parameters.items()]
    return parts._replace(query=urlencode(query)).geturl()
