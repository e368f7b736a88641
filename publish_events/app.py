"""On the table's stream: tell the event bus what happened to each payment."""

from collections.abc import Iterator, Sequence
from itertools import starmap, tee

from publish_events.told import note
from shared.api.stream import Record, stream
from shared.bus import bus
from shared.payments.events import events
from shared.store.items import change


@stream
def handler(records: Sequence[Record]) -> Iterator[None]:
    """Put the events of each record on the bus, in order; yield once for each record."""
    changes, told = tee(map(change, records))
    for _, each in zip(bus().publish(starmap(events, changes)), told, strict=False):
        note(*each)
        yield
