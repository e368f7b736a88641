"""One deadline for a whole invocation, whatever it waits for."""

from collections.abc import Callable
from threading import Thread
from typing import Generic, Protocol, TypeVar

from shared.errors import DeadlineExceeded
from shared.time_left import give

SPARE_SECONDS = 0.5
"""How long before the function's timeout the client is answered."""

T = TypeVar("T")


class Context(Protocol):
    """What is used of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""


def seconds_left(context: Context) -> float:
    """Return how long an invocation may still work, SPARE_SECONDS before its timeout."""
    return max(0.0, context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS)


def within(context: Context, work: Callable[[], T]) -> T:
    """Return what `work` returns, if it is done in time.

    The timeouts of a client bound each wait of a socket, not a call: an answer that comes byte by
    byte and a slow name look-up outlast them. So the work is done in a thread that is waited for.
    Work that is late goes on behind: what it stores is safe to repeat, by its key or version, and
    it asks no gateway for anything any more (`shared.time_left`).

    Raises:
        DeadlineExceeded: it is not done.
        Exception: whatever `work` raised.
    """
    seconds = seconds_left(context)
    worker = _Worker(work, seconds)
    worker.start()
    worker.join(seconds)
    return worker.result()


class _Worker(Thread, Generic[T]):
    def __init__(self, work: Callable[[], T], seconds: float) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._seconds = seconds
        self._answer: T
        self._error: BaseException | None = None

    def run(self) -> None:
        give(self._seconds)
        try:
            self._answer = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._error = error

    def result(self) -> T:
        if self.is_alive():
            raise DeadlineExceeded
        if self._error:
            raise self._error
        return self._answer
