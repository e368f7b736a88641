"""On the table's stream: tell the event bus what happened to each payment."""

from collections.abc import Iterator, Sequence

from shared.api.stream import Record, stream
from shared.bus import bus
from shared.payments.events import events
from shared.store.items import change


@stream
def handler(records: Sequence[Record]) -> Iterator[None]:
    """Put the events of each record on the bus, in order; yield once for each record."""
    return bus().publish(events(*change(record)) for record in records)
