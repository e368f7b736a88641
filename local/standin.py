"""What the stand-ins of the payment gateways have in common.

A stand-in keeps a gateway's objects in memory, in the gateway's own shape. Beside the gateway's API
it has `/ledger`, which shows every movement of money, and a page where the payer pays:

    curl -d outcome=pay "$NEXT_ACTION_URL"     # or decline, or abandon
"""

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from threading import RLock, Thread, Timer
from typing import TYPE_CHECKING, Any, NamedTuple

import urllib3
from werkzeug import Request, Response
from werkzeug.utils import redirect

from local.payer import page

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Json = dict[str, Any]

# A webhook that is not taken is sent again at once, and then after 1, 2, 4, 8 and 16 seconds.
AGAIN = urllib3.Retry(
    6,
    allowed_methods=None,
    status_forcelist=range(300, 600),
    backoff_factor=0.5,
    respect_retry_after_header=False,
)


class Movement(NamedTuple):
    """A movement of money.

    Attributes:
        kind: hold, release, capture or refund, or another word of the gateway's.
        payment_id: this project's id of the payment.
        amount: in the units in which the gateway names amounts.
        by: the idempotency key that it was asked for under; None: nobody asked the API.
    """

    kind: str
    payment_id: str
    amount: Decimal | int
    by: str | None


class Event(NamedTuple):
    """A signed webhook, as it is sent."""

    headers: dict[str, str]
    body: bytes


class Refusal(Exception):
    """What the gateway answers where it does not do what it is asked for."""

    def __init__(self, status: int, body: Json) -> None:
        self.status = status
        self.body = body
        super().__init__(body)


class StandIn:
    """A WSGI application, in which each request is a step of its own.

    Every attribute may be changed while it runs.

    Attributes:
        url: its own address, for links.
        webhook_url: where events are sent; None: they are only kept in `events`.
        webhooks: once, twice, late (not before `deliver`), reversed (the newest first), or none.
        refunds: succeeded, pending (until `finish`), failing (pending, then failed), or refused.
        decline: by gateway, the code by which it declines to hold or to take money.
        later_seconds: how soon `finish` and `deliver` come of themselves; None: never.
        seconds_ahead: how far its clock is ahead.
        ledger: every movement of money.
        events: every event.
    """

    name = ""
    title = ""
    outcomes: Mapping[str, str] = {}
    """What the payer may do, and the words on its button."""

    payers_page = ""
    """The path and the query of the page, whose group is the name of what is to be paid."""

    ledger_unit = ""
    id_header = ""
    kept_back = frozenset({"late"})
    """Of `webhooks`, what waits for `deliver`."""

    KEPT: tuple[str, ...] = ("ledger", "events", "_late", "_known", "_failing")

    def __init__(self, webhook_url: str | None = None) -> None:
        self.url = ""
        self.webhook_url = webhook_url
        self.webhooks = "once"
        self.refunds = "succeeded"
        self.decline: Mapping[str, str] = {}
        self.later_seconds: float | None = None
        self.seconds_ahead = 0.0
        self.ledger: list[Movement] = []
        self.events: list[Any] = []
        self.lock = RLock()
        self._by: str | None = None
        self._known: dict[str, Any] = {}  # by idempotency key: what was asked, and what came of it
        self._failing: set[str] = set()  # the refunds that are to fail
        self._unsent: list[Any] = []
        self._late: list[Any] = []

    # --- What each gateway does in its own way ---

    @property
    def keys(self) -> Json:
        """What the functions read as the gateway's keys."""
        raise NotImplementedError

    def pay(self, name: str, outcome: str = "pay") -> str:
        """Let the payer act; return where their browser goes.

        Raises:
            KeyError: nothing waits for a payer under this name.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """Bring what is pending to its end."""
        raise NotImplementedError

    def signed(self, event: Any) -> Event:
        """Return the webhook of one of the events; it may have been signed when it happened."""
        return Event(*event)

    def whole_units(self, request: Request) -> int:
        """Return the whole units of the amount that a request names, else of its payment's.

        0 where there is none. Each currency is taken for one with two decimals.
        """
        raise NotImplementedError

    def _let_time_pass(self) -> None:
        """Let what has an end come to it whose time has come."""
        raise NotImplementedError

    def _asked(self, name: str) -> tuple[str, str]:
        """Return the amount that is to be paid, and what else its payer is told.

        Raises:
            KeyError: nothing waits for a payer under this name.
        """
        raise NotImplementedError

    def _api(self, request: Request) -> Response:
        """Answer a request of the gateway's API."""
        raise NotImplementedError

    # --- HTTP ---

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request (WSGI)."""
        return self.answer(Request(environ))(environ, start_response)

    def answer(self, request: Request) -> Response:
        """Answer a request."""
        with self._step():
            if request.path == "/ledger":
                return self._json(200, {"moves": [self._entry(each) for each in self.ledger]})
            if asked := re.match(self.payers_page, request.full_path):
                return self._page(request, asked[1])
            try:
                return self._api(request)
            except Refusal as refusal:
                return self._json(refusal.status, refusal.body)
            finally:
                self._by = None

    def _entry(self, move: Movement) -> Json:
        return {"kind": move.kind, "paymentId": move.payment_id, self.ledger_unit: move.amount}

    def _page(self, request: Request, name: str) -> Response:
        outcome = request.form.get("outcome", "")
        try:
            if outcome in self.outcomes:
                return redirect(self.pay(name, outcome), 303)
            amount, told = self._asked(name)
        except KeyError:
            return Response("There is no such page, or the payment is over.\n", 404)
        if request.method == "POST":
            return Response(f"outcome must be one of {', '.join(self.outcomes)}\n", 400)
        return Response(page(self.title, amount, told, self.outcomes), mimetype="text/html")

    def _json(self, status: int, body: Json, **headers: str) -> Response:
        headers[self.id_header] = secrets.token_hex(8)
        text = json.dumps(body, default=str)
        return Response(text, status, headers, mimetype="application/json")

    # --- Money, time and events ---

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Do something while nothing else happens; its events leave when it is done."""
        with self.lock:
            self._let_time_pass()
            yield
            self._hand_over()

    def _clock(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.seconds_ahead)

    def later(self, work: Callable[[], None]) -> None:
        """Do something after `later_seconds`."""
        if self.later_seconds is not None:
            timer = Timer(self.later_seconds, work)
            timer.daemon = True
            timer.start()

    def forget_keys(self) -> None:
        """Forget the idempotency keys: what is asked for again would happen again."""
        self._known.clear()

    def _move(self, kind: str, payment_id: str, amount: Decimal | int) -> None:
        self.ledger.append(Movement(kind, payment_id, amount, self._by))

    def _put(self, event: Any) -> None:
        self.events.append(event)
        self._unsent.append(event)

    def _hand_over(self) -> None:
        ready, self._unsent = self._unsent, []
        if not ready or not self.webhook_url or self.webhooks == "none":
            return
        is_reversed = self.webhooks == "reversed"
        ready = ready[::-1] if is_reversed else ready
        if self.webhooks in self.kept_back:
            self._late = ready + self._late if is_reversed else self._late + ready
            self.later(self.deliver)
            return
        times = 2 if self.webhooks == "twice" else 1
        events = [event for event in ready for _ in range(times)]
        Thread(target=self._send, args=(events,), daemon=True).start()

    def deliver(self) -> None:
        """Send the webhooks that are kept back."""
        with self.lock:
            late, self._late = self._late, []
        self._send(late)

    def _send(self, events: Iterable[Any]) -> None:
        with urllib3.PoolManager(retries=AGAIN, timeout=30) as pool:
            for event in events:
                headers, body = self.signed(event)
                with suppress(urllib3.exceptions.HTTPError):
                    pool.request("POST", str(self.webhook_url), body=body, headers=headers)
