"""How long the work at hand may still take, for whatever it calls.

A thread that is late goes on after its invocation was answered: Lambda freezes it, and thaws it
with the next one. Nobody may be asked to move money by then.
"""

from contextvars import ContextVar
from math import inf
from time import monotonic, time

SPARE_SECONDS = 1.0
"""How much of the time is kept for the store: what a gateway answered, or did not, is written."""

_ends: ContextVar[tuple[float, float]] = ContextVar("ends", default=(inf, inf))


def give(seconds: float) -> None:
    """Let the work of this thread end in time, by either clock: one may stand still meanwhile."""
    _ends.set((monotonic() + seconds, time() + seconds))


def time_left() -> float:
    """Return the seconds that a gateway may take; less than zero where the time is up."""
    steady, wall = _ends.get()
    return min(steady - monotonic(), wall - time()) - SPARE_SECONDS
