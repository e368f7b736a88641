"""PayPal for the laptop and the tests: the part of its API that this project uses, with a ledger.

Orders, authorizations, captures and refunds are kept in memory, in PayPal's own shape. A payer's
page stands at the order's link; `curl -d outcome=pay <link>` does what a click there does. Events
are signed, and sent to a webhook where one is named. `GET /ledger` shows every movement of money.
"""

import hashlib
import hmac
import json
import secrets
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from threading import RLock, Timer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import urllib3
from werkzeug import Request, Response

from local.payer import page

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Json = dict[str, Any]

ORDER_SECONDS = 3 * 3600  # how long an order waits for its payer
AUTHORIZATION_SECONDS = 29 * 24 * 3600
ORDER_KEY_SECONDS = 6 * 3600  # how long a request id is known
PAYMENT_KEY_SECONDS = 45 * 24 * 3600

WITHOUT_DECIMALS = {"HUF", "JPY", "TWD"}
SENT_AGAIN_AFTER = (1.0, 5.0, 30.0)

ERRORS = {
    400: "INVALID_REQUEST",
    401: "AUTHENTICATION_FAILURE",
    403: "NOT_AUTHORIZED",
    404: "RESOURCE_NOT_FOUND",
    409: "RESOURCE_CONFLICT",
    422: "UNPROCESSABLE_ENTITY",
}

OUTCOMES = {
    "pay": "Pay",
    "decline": "Pay with a card that is declined",
    "abandon": "Cancel and return",
}


class Movement(NamedTuple):
    """A movement of money: hold, release, capture, reversal, refund or returned refund."""

    kind: str
    payment_id: str
    amount: Decimal
    currency: str
    by: str


class Exchange(NamedTuple):
    """A request, and what it was answered."""

    method: str
    path: str
    headers: Mapping[str, str]
    asked: bytes
    status: int
    answer: Any


class Event(NamedTuple):
    """A signed webhook, as it is sent."""

    headers: dict[str, str]
    body: bytes


class Problem(Exception):
    """An error in PayPal's shape."""

    def __init__(self, status: int, issue: str, links: Iterable[Json] = ()) -> None:
        self.status = status
        self.answer: Json = {
            "name": ERRORS[status],
            "message": "The stand-in refuses it",
            "debug_id": secrets.token_hex(6),
            "details": [{"issue": issue, "description": issue}],
            "links": [*links],
        }
        super().__init__(issue)


class Order:
    """An order and all that came of it, in PayPal's shape.

    Attributes:
        shown: the order but for its links and payments.
        declines: how many captures the payer's instrument declines from now on.
    """

    def __init__(self, asked: Json, at: str) -> None:
        [unit] = asked["purchase_units"]
        self.context: Json = asked["payment_source"]["paypal"]["experience_context"]
        self.unit: Json = {"reference_id": "default", **unit}
        self.shown: Json = {
            "id": new_id(),
            "intent": asked["intent"],
            "status": "PAYER_ACTION_REQUIRED",
            "payment_source": {"paypal": {}},
            "create_time": at,
        }
        self.authorizations: list[Json] = []
        self.captures: list[Json] = []
        self.refunds: list[Json] = []
        self.declines = 0

    @property
    def id(self) -> str:
        """PayPal's id."""
        return str(self.shown["id"])

    @property
    def payment_id(self) -> str:
        """The id of the payment that the order is for."""
        return str(self.unit["custom_id"])


Result = tuple[Order | None, Json | None]
"""What a request led to: an order, one of an order's resources, or a refund by itself."""


class PayPal:
    """The WSGI application. Every attribute may be changed while it runs.

    Attributes:
        url: its own address, for links; empty: as it is called.
        client_id, client_secret: what a token is given for.
        webhook_id: of the webhook that events are signed for.
        webhook_url: where events are sent; None: they are only kept in `events`.
        webhooks: `once`, `twice`, `late`, `reversed` (late, the newest first) or `none`.
        late_seconds: how late.
        capture_outcome: COMPLETED, PENDING (until `finish`), or DECLINED.
        refund_outcome: COMPLETED, PENDING (until `finish`), FAILING (PENDING, then FAILED),
            or REFUSED.
        decline_issue: by which it refuses to take or to hold what a payer agreed to, if any.
        blocks_duplicates: whether an invoice id may be used once (an account's setting).
        later_seconds: how soon `finish` comes of itself; None: never.
        token_seconds: how long a token is said to be good.
        seconds_ahead: how far its clock is ahead.
        ledger: every movement of money.
        exchanges: every request of the API, and its answer.
        events: every event, as it was sent.
    """

    # What is pending, and what is to be late, is lost with the process.
    KEPT: tuple[str, ...] = (
        *("client_id", "client_secret", "webhook_id", "_signing_key", "_tokens"),
        *("orders", "ledger", "events", "_known"),
    )

    def __init__(
        self,
        url: str = "",
        client_id: str = "",
        client_secret: str = "",
        webhook_id: str = "",
        webhook_url: str | None = None,
    ) -> None:
        self.url = url
        self.client_id = client_id or secrets.token_hex(16)
        self.client_secret = client_secret or secrets.token_hex(16)
        self.webhook_id = webhook_id or secrets.token_hex(8).upper()
        self.webhook_url = webhook_url
        self.webhooks = "once"
        self.late_seconds = 5.0
        self.capture_outcome = "COMPLETED"
        self.refund_outcome = "COMPLETED"
        self.decline_issue = ""
        self.blocks_duplicates = True
        self.later_seconds: float | None = None
        self.token_seconds = 32400
        self.seconds_ahead = 0.0
        self.ledger: list[Movement] = []
        self.exchanges: list[Exchange] = []
        self.events: list[Event] = []
        self.orders: dict[str, Order] = {}
        self._tokens: set[str] = set()
        self._known: dict[str, tuple[str, datetime, Result]] = {}
        self._later: list[Callable[[], None]] = []
        self._refusals: list[tuple[str, Problem]] = []
        self._waiting: list[Event] = []
        self._signing_key = secrets.token_bytes(32)
        self._lock = RLock()
        self._pool = urllib3.PoolManager(retries=False)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        with self._lock:
            self._let_time_pass()
            own = {"/checkoutnow": self._page, "/ledger": self._show_ledger}
            response = own.get(request.path, self._api)(request)
        return response(environ, start_response)

    # --- What happens at PayPal, by the payer or by somebody who signs in there ---

    def act(self, order_id: str, outcome: str) -> str:
        """Let the payer pay, decline or abandon; return where the browser goes.

        Raises:
            KeyError: there is no such order, or it does not wait for its payer.
        """
        with self._lock:
            order = self.orders[order_id]
            if order.shown["status"] == "COMPLETED":
                raise KeyError(order_id)
            if outcome == "abandon":
                return _with_query(order.context["cancel_url"], token=order_id)
            payer = "".join(secrets.choice("23456789ABCDEFGH") for _ in range(13))
            order.declines = 1 if outcome == "decline" else 0
            order.shown |= {
                "status": "APPROVED",
                "update_time": self._now(),
                "payment_source": {"paypal": {"account_id": payer, "name": {}}},
            }
            self._tell("CHECKOUT.ORDER.APPROVED", "checkout-order", self._show(order))
            return _with_query(order.context["return_url"], token=order_id, PayerID=payer)

    def order_of(self, payment_id: str) -> Order:
        """Return the newest order of a payment."""
        return [each for each in self.orders.values() if each.payment_id == payment_id][-1]

    def refund_by_hand(self, payment_id: str, value: str) -> None:
        """Let somebody refund at PayPal."""
        with self._lock:
            order = self.order_of(payment_id)
            amount = {**order.captures[0]["amount"], "value": value}
            self._refund(order, order.captures[0], {"amount": amount}, "by hand")

    def reverse(self, payment_id: str) -> None:
        """Take the captured money back, as after a chargeback."""
        with self._lock:
            order = self.order_of(payment_id)
            capture = order.captures[0]
            capture |= {"status": "REVERSED", "update_time": self._now()}
            self._move("reversal", order, capture["amount"], "PayPal")
            self._tell("PAYMENT.CAPTURE.REVERSED", "capture", self._related(order, capture))

    def fail_refunds(self, payment_id: str) -> None:
        """Let refunds that were done come back."""
        with self._lock:
            order = self.order_of(payment_id)
            for refund in order.refunds:
                self._fail(order, refund)

    def void_by_hand(self, payment_id: str) -> None:
        """Let somebody void the authorization at PayPal."""
        with self._lock:
            order = self.order_of(payment_id)
            self._void(order, order.authorizations[0], self._now())

    def refuse(self, ending: str, status: int, issue: str) -> None:
        """Refuse the next request whose path ends so, without doing it."""
        self._refusals.append((ending, Problem(status, issue)))

    def finish(self) -> None:
        """Bring what is pending to its end."""
        with self._lock:
            later, self._later = self._later, []
            for each in later:
                each()

    def forget(self) -> None:
        """Forget the request ids: what is asked again would happen again."""
        self._known.clear()

    def revoke_tokens(self) -> None:
        """Let every token run out before its time."""
        self._tokens.clear()

    def whole_units(self, request: Request) -> int:
        """Return the whole units of what a request asks for, else of its order; 0: none."""
        about = {*request.path.split("/"), request.args.get("token")}
        asked = request.get_json(silent=True) or {}
        units = asked.get("purchase_units") or [
            order.unit
            for order in self.orders.values()
            if about & {order.id, *(each["id"] for each in order.authorizations + order.captures)}
        ]
        amount = asked.get("amount") or (units[0]["amount"] if units else {"value": 0})
        return int(Decimal(amount["value"]))

    # --- HTTP ---

    def _show_ledger(self, request: Request) -> Response:  # noqa: ARG002
        moves = [
            {"kind": move.kind, "paymentId": move.payment_id, "amount": str(move.amount)}
            for move in self.ledger
        ]
        return Response(json.dumps({"moves": moves}), mimetype="application/json")

    def _page(self, request: Request) -> Response:
        order = self.orders.get(request.args.get("token", ""))
        if order is None or order.shown["status"] == "COMPLETED":
            return Response("There is no such order, or it is paid.\n", 404)
        outcome = request.form.get("outcome")
        if request.method == "POST" and outcome in OUTCOMES:
            return Response(status=303, headers={"Location": self.act(order.id, outcome)})
        amount = order.unit["amount"]
        shown = f"{amount['value']} {amount['currency_code']}"
        told = [order.unit.get("description", "")]
        return Response(page("PayPal", shown, told, OUTCOMES), mimetype="text/html")

    def _api(self, request: Request) -> Response:
        body = request.get_data()
        try:
            status, answer = self._answer(request, body)
        except Problem as problem:
            status, answer = problem.status, problem.answer
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers.pop("authorization", None)
        is_token = request.path == "/v1/oauth2/token"
        shown = json.loads(json.dumps(None if is_token else answer))
        exchange = Exchange(request.method, request.path, headers, body, status, shown)
        self.exchanges.append(exchange)
        debug_id = {"Paypal-Debug-Id": secrets.token_hex(6)}
        if answer is None:
            return Response(status=status, headers=debug_id)
        return Response(json.dumps(answer), status, debug_id, mimetype="application/json")

    def _answer(self, request: Request, body: bytes) -> tuple[int, Json | None]:
        if request.path == "/v1/oauth2/token":
            return self._token(request.headers.get("Authorization", ""))
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._tokens:
            refusal = Problem(401, "").answer
            return 401, {name: refusal[name] for name in ("name", "message", "debug_id")}
        for planned in self._refusals:
            if request.path.endswith(planned[0]):
                self._refusals.remove(planned)
                raise planned[1]
        match request.method, *request.path.strip("/").split("/"):
            case "POST", "v1", "notifications", "verify-webhook-signature":
                status = "SUCCESS" if self._is_signed(body.decode()) else "FAILURE"
                return 200, {"verification_status": status}
            case "GET", "v2", "checkout", "orders", order_id:
                return 200, self._show(self._order(order_id))
            case "GET", "v2", "payments", kind, resource_id:
                return 200, self._related(*self._found(kind, resource_id))
            case "POST", *names:
                return self._post(request, names, body)
        raise Problem(404, "INVALID_RESOURCE_ID")

    def _token(self, authorization: str) -> tuple[int, Json]:
        given = b64decode(authorization.removeprefix("Basic ")).decode()
        if not hmac.compare_digest(given, f"{self.client_id}:{self.client_secret}"):
            return 401, {
                "error": "invalid_client",
                "error_description": "Client Authentication failed",
            }
        token = secrets.token_hex(20)
        self._tokens.add(token)
        return 200, {
            "access_token": token,
            "token_type": "Bearer",
            "app_id": "APP-STANDIN",
            "expires_in": self.token_seconds,
        }

    def _post(self, request: Request, names: list[str], body: bytes) -> tuple[int, Json | None]:
        """Do once for a request id what is asked; answer its latest state."""
        request_id = request.headers.get("PayPal-Request-Id", secrets.token_hex(16))
        lasts = ORDER_KEY_SECONDS if "orders" in names else PAYMENT_KEY_SECONDS
        known = self._known.get(request_id)
        is_replay = known is not None and self._clock() - known[1] < timedelta(seconds=lasts)
        if known and is_replay:
            if known[0] != request.path:
                raise Problem(400, "INVALID_PARAMETER_VALUE")
            return 200, self._latest(known[2])
        asked: Json = json.loads(body) if body else {}
        result = self._do(names, asked, request_id)
        self._known[request_id] = (request.path, self._clock(), result)
        if names[-1] == "void":
            is_shown = request.headers.get("Prefer") == "return=representation"
            return (200, self._latest(result)) if is_shown else (204, None)
        return 201, self._latest(result)

    def _latest(self, result: Result) -> Json:
        order, resource = result
        if order is None:
            return resource or {}
        return self._related(order, resource) if resource else self._show(order)

    def _do(self, names: list[str], asked: Json, by: str) -> Result:
        """Do what a POST asks; return what came of it."""
        match names:
            case "v2", "checkout", "orders":
                order = self._create(asked)
                return order, None
            case "v2", "checkout", "orders", order_id, ("capture" | "authorize") as what:
                order = self._order(order_id)
                self._complete(order, what, by)
                return order, None
            case "v2", "payments", "authorizations", resource_id, "capture":
                order, held = self._found("authorizations", resource_id)
                taken = self._capture(order, held, asked, by)
                return order, taken
            case "v2", "payments", "authorizations", resource_id, "void":
                order, held = self._found("authorizations", resource_id)
                if held["status"] != "CREATED":
                    is_voided = held["status"] == "VOIDED"
                    raise Problem(422, "PREVIOUSLY_VOIDED" if is_voided else "PREVIOUSLY_CAPTURED")
                self._void(order, held, self._now(), by)
                return order, held
            case "v2", "payments", "captures", resource_id, "refund":
                order, taken = self._found("captures", resource_id)
                refund = self._refund(order, taken, asked, by)
                return None, refund
        raise Problem(404, "INVALID_RESOURCE_ID")

    # --- What is asked ---

    def _create(self, asked: Json) -> Order:
        [unit] = asked["purchase_units"]
        _check(unit["amount"], "DECIMAL_PRECISION")
        order = Order(asked, self._now())
        self.orders[order.id] = order
        return order

    def _complete(self, order: Order, what: str, by: str) -> None:
        if order.shown["status"] == "COMPLETED":
            is_taken = what == "capture"
            raise Problem(422, "ORDER_ALREADY_CAPTURED" if is_taken else "ORDER_ALREADY_AUTHORIZED")
        if order.shown["status"] != "APPROVED":
            raise Problem(422, "ORDER_NOT_APPROVED")
        if order.declines or self.decline_issue:
            order.declines = max(order.declines - 1, 0)
            link = {"href": self._approve_link(order), "rel": "redirect", "method": "GET"}
            raise Problem(422, self.decline_issue or "INSTRUMENT_DECLINED", links=[link])
        if what == "capture":
            self._take(order, order.unit["amount"], order.unit["invoice_id"], by)
        else:
            held = self._new("CREATED", order, order.unit["amount"], order.unit["invoice_id"])
            until = self._clock() + timedelta(seconds=AUTHORIZATION_SECONDS)
            held["expiration_time"] = _text(until)
            order.authorizations.append(held)
            self._move("hold", order, held["amount"], by)
            self._tell("PAYMENT.AUTHORIZATION.CREATED", "authorization", self._related(order, held))
        order.shown |= {"status": "COMPLETED", "update_time": self._now()}

    def _capture(self, order: Order, held: Json, asked: Json, by: str) -> Json:
        amount: Json = asked.get("amount") or held["amount"]
        _check(amount)
        if held["status"] == "VOIDED":
            is_late = held["update_time"] >= held["expiration_time"]
            raise Problem(422, "AUTHORIZATION_EXPIRED" if is_late else "AUTHORIZATION_VOIDED")
        if held["status"] == "CAPTURED":
            raise Problem(422, "AUTHORIZATION_ALREADY_CAPTURED")
        before = [each for each in order.captures if each["status"] != "DECLINED"]
        total = sum((_value(each["amount"]) for each in before), _value(amount))
        if total > _value(held["amount"]) * Decimal("1.15"):
            raise Problem(422, "MAX_CAPTURE_AMOUNT_EXCEEDED")
        if self.decline_issue:
            raise Problem(422, self.decline_issue)
        taken = self._take(order, amount, asked.get("invoice_id"), by)
        if taken["status"] != "DECLINED":
            is_final = asked.get("final_capture", False)
            held |= {"status": "CAPTURED" if is_final else "PARTIALLY_CAPTURED"}
            held["update_time"] = self._now()
            rest = _value(held["amount"]) - total
            if is_final and rest > 0:
                self._move("release", order, {**amount, "value": str(rest)}, by)
        return taken

    def _take(self, order: Order, amount: Json, invoice_id: str | None, by: str) -> Json:
        captures = [each for known in self.orders.values() for each in known.captures]
        if self._is_duplicate(invoice_id, captures):
            raise Problem(422, "DUPLICATE_INVOICE_ID")
        capture = self._new(self.capture_outcome, order, amount, invoice_id)
        capture["final_capture"] = True
        order.captures.append(capture)

        def take() -> None:
            capture.update(status="COMPLETED", update_time=self._now())
            capture.pop("status_details", None)
            self._move("capture", order, amount, by)
            self._tell("PAYMENT.CAPTURE.COMPLETED", "capture", self._related(order, capture))

        if capture["status"] == "COMPLETED":
            take()
        elif capture["status"] == "PENDING":
            capture["status_details"] = {"reason": "PENDING_REVIEW"}
            self._tell("PAYMENT.CAPTURE.PENDING", "capture", self._related(order, capture))
            self._do_later(take)
        else:
            capture["status_details"] = {"reason": "OTHER"}
            self._tell("PAYMENT.CAPTURE.DENIED", "capture", self._related(order, capture))
        return capture

    def _is_duplicate(self, invoice_id: str | None, known: list[Json]) -> bool:
        is_known = any(each.get("invoice_id") == invoice_id for each in known)
        return self.blocks_duplicates and invoice_id is not None and is_known

    def _void(self, order: Order, held: Json, at: str, by: str = "PayPal") -> None:
        held |= {"status": "VOIDED", "update_time": at}
        self._move("release", order, held["amount"], by)
        self._tell("PAYMENT.AUTHORIZATION.VOIDED", "authorization", self._related(order, held))

    def _refund(self, order: Order, capture: Json, asked: Json, by: str) -> Json:
        refunded = sum(_value(r["amount"]) for r in order.refunds if r["status"] != "FAILED")
        left = _value(capture["amount"]) - refunded
        amount = asked.get("amount") or {**capture["amount"], "value": str(left)}
        if capture["status"] == "REFUNDED":
            raise Problem(422, "CAPTURE_FULLY_REFUNDED")
        is_refused = self.refund_outcome == "REFUSED"
        if is_refused or capture["status"] not in ("COMPLETED", "PARTIALLY_REFUNDED"):
            raise Problem(422, "REFUND_NOT_ALLOWED")
        _check(amount)
        if _value(amount) > left:
            raise Problem(422, "REFUND_AMOUNT_EXCEEDED")
        refunds = [each for known in self.orders.values() for each in known.refunds]
        invoice_id = asked.get("invoice_id")
        if self._is_duplicate(invoice_id, refunds):
            raise Problem(422, "DUPLICATE_INVOICE_ID")
        status = "COMPLETED" if self.refund_outcome == "COMPLETED" else "PENDING"
        refund = self._new(status, order, amount, invoice_id)
        del refund["custom_id"]
        refund |= {name: asked[name] for name in ("custom_id", "note_to_payer") if name in asked}
        up = f"{self.url}/v2/payments/captures/{capture['id']}"
        refund["links"] = [{"href": up, "rel": "up", "method": "GET"}]
        order.refunds.append(refund)
        self._move("refund", order, amount, by)
        fails = self.refund_outcome == "FAILING"

        def end() -> None:
            if fails:
                self._fail(order, refund)
            else:
                refund.update(status="COMPLETED", update_time=self._now())
                self._tell("PAYMENT.CAPTURE.REFUNDED", "refund", refund)

        if status == "COMPLETED":
            end()
        else:
            refund["status_details"] = {"reason": "ECHECK"}
            self._tell("PAYMENT.REFUND.PENDING", "refund", refund)
            self._do_later(end)
        self._count_refunds(order, capture)
        return refund

    def _fail(self, order: Order, refund: Json) -> None:
        refund |= {"status": "FAILED", "update_time": self._now()}
        self._move("returned refund", order, refund["amount"], "PayPal")
        self._count_refunds(order, order.captures[-1])
        self._tell("PAYMENT.REFUND.FAILED", "refund", refund)

    def _count_refunds(self, order: Order, capture: Json) -> None:
        done = sum(_value(r["amount"]) for r in order.refunds if r["status"] != "FAILED")
        is_whole = done == _value(capture["amount"])
        capture["status"] = (
            "REFUNDED" if is_whole else "PARTIALLY_REFUNDED" if done else "COMPLETED"
        )
        capture["update_time"] = self._now()

    # --- What is shown ---

    def _new(self, status: str, order: Order, amount: Json, invoice_id: str | None) -> Json:
        return {
            "id": new_id(),
            "status": status,
            "amount": dict(amount),
            "custom_id": order.payment_id,
            **({"invoice_id": invoice_id} if invoice_id else {}),
            "create_time": self._now(),
            "update_time": self._now(),
        }

    def _show(self, order: Order) -> Json:
        lists = {
            "authorizations": order.authorizations,
            "captures": order.captures,
            "refunds": order.refunds,
        }
        payments = {name: each for name, each in lists.items() if each}
        unit = {**order.unit, **({"payments": payments} if payments else {})}
        links = [
            {"href": f"{self.url}/v2/checkout/orders/{order.id}", "rel": "self", "method": "GET"}
        ]
        if order.shown["status"] == "PAYER_ACTION_REQUIRED":
            href = self._approve_link(order)
            links.append({"href": href, "rel": "payer-action", "method": "GET"})
        return {**order.shown, "purchase_units": [unit], "links": links}

    def _related(self, order: Order, resource: Json) -> Json:
        if resource in order.refunds:
            return resource
        return {**resource, "supplementary_data": {"related_ids": {"order_id": order.id}}}

    def _approve_link(self, order: Order) -> str:
        return f"{self.url}/checkoutnow?token={order.id}"

    def _order(self, order_id: str) -> Order:
        if order_id not in self.orders:
            raise Problem(404, "INVALID_RESOURCE_ID")
        return self.orders[order_id]

    def _found(self, kind: str, resource_id: str) -> tuple[Order, Json]:
        for order in self.orders.values():
            lists = {
                "authorizations": order.authorizations,
                "captures": order.captures,
                "refunds": order.refunds,
            }
            for each in lists.get(kind, []):
                if each["id"] == resource_id:
                    return order, each
        raise Problem(404, "INVALID_RESOURCE_ID")

    # --- Money, time and events ---

    def _move(self, kind: str, order: Order, amount: Json, by: str) -> None:
        currency = amount["currency_code"]
        self.ledger.append(Movement(kind, order.payment_id, _value(amount), currency, by))

    def _do_later(self, end: Callable[[], None]) -> None:
        self._later.append(end)
        if self.later_seconds is not None:
            _start(self.later_seconds, self.finish)

    def _let_time_pass(self) -> None:
        now = self._clock()
        for order in list(self.orders.values()):
            waits = order.shown["status"] in ("PAYER_ACTION_REQUIRED", "APPROVED")
            created = datetime.fromisoformat(order.shown["create_time"].replace("Z", "+00:00"))
            if waits and now - created > timedelta(seconds=ORDER_SECONDS):
                del self.orders[order.id]
            for held in order.authorizations:
                if held["status"] == "CREATED" and held["expiration_time"] <= _text(now):
                    self._void(order, held, held["expiration_time"])

    def _clock(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.seconds_ahead)

    def _now(self) -> str:
        return _text(self._clock())

    def _tell(self, kind: str, resource_type: str, resource: Json) -> None:
        """Sign an event and send it."""
        event = {
            "id": f"WH-{secrets.token_hex(12).upper()}",
            "create_time": self._now(),
            "resource_type": resource_type,
            "event_type": kind,
            "summary": f"Stand-in: {kind} of “{resource['id']}”",
            "event_version": "1.0",
            "resource": resource,
            "links": [],
        }
        # Not as Python writes it: what is decoded and encoded again has other bytes.
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
        self.send(self.sign(text.encode()))

    def sign(self, body: bytes) -> Event:
        """Return a body as a webhook with PayPal's signature."""
        transmission_id, at = str(uuid.uuid4()), self._now()
        headers = {
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
            "PAYPAL-CERT-URL": f"{self.url or 'http://127.0.0.1'}/v1/notifications/certs/CERT",
            "PAYPAL-TRANSMISSION-ID": transmission_id,
            "PAYPAL-TRANSMISSION-SIG": self._signature(transmission_id, at, self.webhook_id, body),
            "PAYPAL-TRANSMISSION-TIME": at,
            "Content-Type": "application/json",
        }
        return Event(headers, body)

    def send(self, event: Event) -> None:
        """Send an event as `webhooks` says."""
        self.events.append(event)
        if self.webhook_url is None or self.webhooks == "none":
            return
        if self.webhooks in ("late", "reversed"):
            at = 0 if self.webhooks == "reversed" else len(self._waiting)
            self._waiting.insert(at, event)
            _start(self.late_seconds, self._send_waiting)
            return
        for _ in range(2 if self.webhooks == "twice" else 1):
            _start(0, lambda: self._deliver(event, SENT_AGAIN_AFTER))

    def _send_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._deliver(event, SENT_AGAIN_AFTER)

    def _deliver(self, event: Event, again: tuple[float, ...]) -> None:
        url = self.webhook_url
        if url is None:
            return
        try:
            answer = self._pool.request(
                "POST", url, body=event.body, headers=event.headers, timeout=30
            )
            is_taken = answer.status < 300
        except urllib3.exceptions.HTTPError:
            is_taken = False
        if not is_taken and again:
            _start(again[0], lambda: self._deliver(event, again[1:]))

    def _signature(self, transmission_id: str, at: str, webhook_id: str, body: bytes) -> str:
        signed = f"{transmission_id}|{at}|{webhook_id}|".encode() + hashlib.sha256(body).digest()
        return "s" + hmac.new(self._signing_key, signed, "sha256").hexdigest()

    def _is_signed(self, text: str) -> bool:
        """Tell whether the event, byte for byte as it stands in the text, was signed here."""
        raw = _members(text)
        asked = {name: json.loads(raw[name]) for name in raw if name != "webhook_event"}
        event = raw["webhook_event"].encode()
        wanted = self._signature(
            asked["transmission_id"], asked["transmission_time"], asked["webhook_id"], event
        )
        is_known = asked["webhook_id"] == self.webhook_id
        return is_known and hmac.compare_digest(wanted, asked["transmission_sig"])


def new_id() -> str:
    """Return an id like PayPal's: 17 capital letters and digits."""
    return secrets.token_hex(9).upper()[:17]


def _members(text: str) -> dict[str, str]:
    """Return the members of a JSON object, each as it is written."""
    decoder, found, at = json.JSONDecoder(), dict[str, str](), text.index("{") + 1
    while True:
        at += len(text[at:]) - len(text[at:].lstrip(" ,\r\n\t"))
        if text[at] == "}":
            return found
        name, at = decoder.raw_decode(text, at)
        start = text.index(":", at) + 1
        start += len(text[start:]) - len(text[start:].lstrip())
        _, at = decoder.raw_decode(text, start)
        found[name] = text[start:at]


def _check(amount: Json, issue: str = "DECIMALS_NOT_SUPPORTED") -> None:
    """Check that a currency has the decimals of an amount."""
    value = str(amount["value"])
    if "." in value and amount["currency_code"] in WITHOUT_DECIMALS:
        raise Problem(422, issue)


def _value(amount: Json) -> Decimal:
    return Decimal(amount["value"])


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _with_query(url: str, **parameters: str) -> str:
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *parameters.items()]
    return parts._replace(query=urlencode(query)).geturl()


def _start(seconds: float, work: Callable[[], None]) -> None:
    timer = Timer(seconds, work)
    timer.daemon = True
    timer.start()
