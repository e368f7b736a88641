"""The stack's event bus (Amazon EventBridge): what happened to payments, told in order."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from random import uniform
from time import sleep
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from shared.errors import BusRefused, BusUnavailable
from shared.payments.events import Event
from shared.settings import settings
from shared.time_left import time_left

SOURCE = "payment-api"

# One call takes up to ten events. One event may have 256 KB (EventBridge User Guide, "Calculating
# PutEvents event entry size"; 1 MB since 2026): a call with less in all is never too large.
CALL_EVENTS = 10
CALL_BYTES = 256 * 1024

CONNECT_SECONDS = 1
ANSWER_SECONDS = 3
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

# Of a call or of one event in it (API Reference, PutEvents and "Common Errors"): not for good.
FOR_NOW = frozenset(
    {
        "ExpiredTokenException",
        "InternalException",
        "InternalFailure",
        "RequestExpired",
        "RequestTimeout",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_TOLD = {"EventId", "ErrorCode"}


class DamagedAnswer(Exception):
    """An answer is cut off, or another server's."""


class Bus:
    """An event bus by its name."""

    def __init__(self, name: str) -> None:
        self._name = name
        times = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=ANSWER_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 1},  # `_put` tries again
        )
        self._client: Any = boto3.client("events", config=times)

    def publish(self, changes: Iterable[Sequence[Event]]) -> Iterator[None]:
        """Put the events of changes on the bus in order; yield once for each change that is told.

        Nothing follows an event that fails. A payment has one event in a call at most: of those in
        one call some may fail, and the next event would then be told before the one that failed.

        Raises:
            BusUnavailable: the next change may or may not have been told; try again.
            BusRefused: the bus does not take an event of the next change.
            Exception: what the changes raised, when those before are told.
        """
        known, failure = _until_failure(changes)
        events = [(index, event) for index, change in enumerate(known) for event in change]
        told = place = 0
        while place < len(events):
            call = _one_call([event for _, event in events[place:]])
            put, error = self._put(call)
            place += put
            reached = events[place][0] if place < len(events) else len(known)
            yield from [None] * (reached - told)
            told = reached
            if error:
                raise error
        yield from [None] * (len(known) - told)
        if failure:
            raise failure

    def _put(self, events: Sequence[Event]) -> tuple[int, Exception | None]:
        """Put events on the bus, and again while there is time.

        Returns:
            How many come before the first that failed, and its error. Those after it may have been
            put as well: they are of other payments.
        """
        missing, pause = list(range(len(events))), FIRST_PAUSE_SECONDS
        while True:
            errors = self._try([events[index] for index in missing])
            failed = [(index, error) for index, error in zip(missing, errors, strict=True) if error]
            if not failed:
                return len(events), None
            is_late = time_left() < pause + CONNECT_SECONDS + ANSWER_SECONDS
            if is_late or isinstance(failed[0][1], BusRefused):
                return failed[0]
            sleep(uniform(pause / 2, pause))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            missing = [index for index, _ in failed]

    def _try(self, events: Sequence[Event]) -> list[Exception | None]:
        """Put events on the bus; return for each its error, or None."""
        try:
            answer = self._client.put_events(Entries=[self._entry(event) for event in events])
            return _errors(answer, len(events))
        except ClientError as error:
            refused = BusRefused(error.response["Error"]["Code"])
            is_for_now = error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
            failure = _unavailable(refused) if is_for_now else _of(refused)
        except (BotoCoreError, ResponseParserError, DamagedAnswer) as error:
            failure = _unavailable(error)
        return [failure] * len(events)

    def _entry(self, event: Event) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": event.type,
            "Detail": event.detail,
            "Time": event.payment.updated_at,
        }


def _errors(answer: Any, count: int) -> list[Exception | None]:
    """Return the error of each of `count` events in EventBridge's answer, or None.

    Raises:
        DamagedAnswer: it does not tell of each event.
    """
    results = answer.get("Entries", [])
    if len(results) != count or not all(result.keys() & _TOLD for result in results):
        raise DamagedAnswer
    codes = [result.get("ErrorCode") for result in results]
    return [_of(BusRefused(code)) if code else None for code in codes]


def _of(refused: BusRefused) -> Exception:
    return _unavailable(refused) if refused.code in FOR_NOW else refused


def _unavailable(cause: Exception) -> Exception:
    error = BusUnavailable()
    error.__cause__ = cause
    return error


@cache
def bus() -> Bus:
    """Return this execution environment's bus."""
    return Bus(settings().event_bus)


def _until_failure(
    changes: Iterable[Sequence[Event]],
) -> tuple[list[Sequence[Event]], Exception | None]:
    """Return the changes up to the first that cannot be read, and what it raised."""
    known: list[Sequence[Event]] = []
    try:
        known.extend(changes)
    except Exception as error:  # noqa: BLE001 - raised again after the changes before it
        return known, error
    return known, None


def _one_call(events: Sequence[Event]) -> Sequence[Event]:
    """Return as many events as may go into one call, one at least."""
    payments: set[str] = set()
    size = 0
    for count, event in enumerate(events[:CALL_EVENTS]):
        size += len(event.detail.encode()) + 100  # source, type and time
        payment_id = event.payment.payment_id
        if count and (payment_id in payments or size > CALL_BYTES):
            return events[:count]
        payments.add(payment_id)
    return events[:CALL_EVENTS]
