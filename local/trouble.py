"""Troubles on purpose, for the tests of whoever calls the API: docs/laptop.md has the tables.

At a gateway's stand-in, the amount asks for one: `AMOUNTS`, by whole units of a currency with two
decimals. In front of the API, a header does: `Laptop-Answer: 503, lost`.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from math import inf
from typing import Any, NamedTuple

from werkzeug import Request, Response

from local.refusal import RefusedError
from local.standin import StandIn

TRIES = 3
"""How many requests of an operation meet a trouble: the most that the API sends in one call."""

HEADER = "Laptop-Answer"
AWAY, SLOW, LOST = "away", "slow", "lost"


class Trouble(NamedTuple):
    """What befalls the requests that ask a stand-in for an amount.

    Attributes:
        says: what happens, for people.
        settings: attributes of the stand-in for as long as it answers.
        answer: to the first requests of an operation: a status, which says that nothing is done;
            AWAY: none, and nothing is done; SLOW: it is done, and answered late; LOST: it is done,
            and not answered.
        tries: how many requests are the first.
    """

    says: str
    settings: Mapping[str, Any] = {}
    answer: str = ""
    tries: float = TRIES


def _declined(code: str, issue: str) -> Trouble:
    says = f"paying and capturing are declined: `{code}` at Stripe, `{issue}` at PayPal"
    return Trouble(says, {"decline": {"stripe": code, "paypal": issue}})


def _refund(says: str, kind: str) -> Trouble:
    return Trouble(f"a refund {says}", {"refunds": kind})


def _webhooks(says: str, kind: str) -> Trouble:
    return Trouble(says, {"webhooks": kind})


AMOUNTS: Mapping[int, Trouble] = {
    66001: _declined("card_declined", "INSTRUMENT_DECLINED"),
    66002: _declined("expired_card", "TRANSACTION_REFUSED"),
    66003: _declined("processing_error", "PAYER_CANNOT_PAY"),
    66011: _refund("is refused", "refused"),
    66012: _refund("is PENDING for a minute, then SUCCEEDED", "pending"),
    66013: _refund("is PENDING for a minute, then FAILED", "failing"),
    66021: _webhooks("the webhooks come a minute late", "late"),
    66022: _webhooks("the webhooks come twice", "twice"),
    66023: _webhooks("the webhooks come in the wrong order, PayPal's a minute late", "reversed"),
    66024: _webhooks("no webhook comes", "none"),
    66429: Trouble("the gateway answers 429, and does nothing", answer="429"),
    66500: Trouble("the gateway answers 500, and does nothing", answer="500"),
    66503: Trouble("the gateway answers 503, and does nothing", answer="503"),
    66504: Trouble("the gateway does it, and answers too late", answer=SLOW),
    66520: Trouble("the gateway does it, and the connection is lost", answer=LOST),
    66599: Trouble("the gateway is away for good", answer=AWAY, tries=inf),
}
_NONE = Trouble("")


def troubled(standin: StandIn, slow_seconds: float = 15) -> Callable[[Request], Response]:
    """Return a stand-in whose requests meet what their amount asks for."""
    requests: Counter[str] = Counter()

    def answer(request: Request) -> Response:
        request.get_data()  # so that it can be read more than once
        operation = _operation(request)
        with standin.lock:
            trouble = AMOUNTS.get(standin.whole_units(request), _NONE)
            requests[operation] += 1
            is_met = operation and requests[operation] <= trouble.tries
            met = trouble.answer if is_met else ""
            if met == AWAY:
                raise ConnectionAbortedError
            if met.isdecimal():
                return Response("{}", int(met), mimetype="application/json")
            with _set(standin, trouble.settings):
                done = standin.answer(request)
        if met == SLOW:
            time.sleep(slow_seconds)
        if met == LOST:
            raise ConnectionAbortedError
        return done

    return answer


def _operation(request: Request) -> str:
    """Return the operation that a request belongs to, by its idempotency key; "": to none."""
    names = ("Idempotency-Key", "PayPal-Request-Id")
    key = next((request.headers[name] for name in names if name in request.headers), "")
    return re.split("[:.]", key)[0]  # what follows is the endpoint


@contextmanager
def _set(standin: StandIn, settings: Mapping[str, Any]) -> Iterator[None]:
    """Set attributes of a stand-in as long as the context."""
    before = {name: getattr(standin, name) for name in settings}
    vars(standin).update(settings)
    try:
        yield
    finally:
        vars(standin).update(before)


class Answer(NamedTuple):
    """What a word of the header asks for.

    Attributes:
        says: what happens, for people.
        kind: API Gateway's own answer; None: the connection is lost.
        is_done: the function does its work before.
    """

    says: str
    kind: str | None
    is_done: bool


ANSWERS: Mapping[str, Answer] = {
    "429": Answer("too many calls; nothing was done", "THROTTLED", is_done=False),
    "503": Answer(
        "the function cannot be reached; nothing was done", "INTEGRATION_FAILURE", is_done=False
    ),
    "504": Answer("the function did it, and took too long", "INTEGRATION_TIMEOUT", is_done=True),
    LOST: Answer("the function did it, and the connection is lost", None, is_done=True),
}


class Answers:
    """What the header asks for: an answer for each try of a call, then the function's own."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str | None, ...], cycle[Answer | None]] = {}

    def next(self, request: Request) -> Answer | None:
        """Return what is to happen to a call; None: nothing.

        Raises:
            RefusedError: the header has a word that nobody knows.
        """
        asked = request.headers.get(HEADER)
        if not asked:
            return None
        words = [word.strip() for word in asked.split(",")]
        if unknown := set(words) - set(ANSWERS):
            problem = f"{HEADER}: {', '.join(sorted(unknown))}: there is {', '.join(ANSWERS)}"
            raise RefusedError("BAD_REQUEST_BODY", problem)
        call = (request.method, request.full_path, request.headers.get("Idempotency-Key"), asked)
        turns = cycle([*(ANSWERS[word] for word in words), None])
        return next(self._turns.setdefault(call, turns))
