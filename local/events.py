"""What is put on the event bus: shown as it happens, a line for each event, and kept."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

# Of an event's detail, what a line has room for.
SHOWN = ("paymentId", "status", "amount", "currency")


def taken(call: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the entry of each event of a call that was taken."""
    results = answer.get("Entries", [{}] * len(call["Entries"]))
    for entry, result in zip(call["Entries"], results, strict=True):
        if "EventId" in result:
            yield entry


def line(entry: Mapping[str, Any]) -> str:
    """Return the line that shows an event."""
    detail = json.loads(entry["Detail"], parse_float=str)  # digit by digit
    shown = [str(detail[name]) for name in SHOWN if name in detail]
    time = str(detail.get("updatedAt", ""))[11:23]
    return " ".join(filter(None, (time, entry["DetailType"], *shown)))
