"""On a schedule: take up every operation and deadline that is due, so that none stays unknown."""

from collections.abc import Callable, Iterator
from functools import partial

from settle_payments.settled import settle
from shared.api.events import schedule
from shared.payments.clock import now
from shared.store.payments import payments

BATCH = 500
"""How many payments of each part of the index one run takes up at most."""


@schedule
def handler() -> Iterator[Callable[[], object]]:
    """Yield, for each payment that is due, what settles it."""
    for payment_id in payments().due(now(), BATCH):
        yield partial(settle, payment_id)
