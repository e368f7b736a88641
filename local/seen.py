"""What the laptop sees of its payments from outside: calls, webhooks, and events out.

Each is a line of JSON, in files of a bounded size that stay over a restart:

    at      when it began, as the API writes times
    to      whom it went to: api, stripe, paypal or bus
    ids     the ids in it: of payments, and the gateways' own
    method, path, status    of a call that may change something; null where there was no answer
    key     of a call: its idempotency key, or null
    event   the type of a webhook, or of an event out; null elsewhere
    eventId of a webhook
    outcome what the payer chose on a gateway's page
    detail  of an event out: JSON text
"""

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

from werkzeug import Request, Response

Note = Callable[..., None]

PATH = "/_local/seen"
MOST_BYTES = 1_000_000  # of a file, but for its last entry; the file before it is kept as well

# A payment where it is named as one, and not in somebody's description; Stripe's ids, PayPal's.
_IDS = re.compile(
    r"""(?:\A\S*/payment/|(?:paymentId|client_reference_id|custom_id)(?:"\s*:\s*"|(?:%5D)?=))"""
    r"(pay_[a-z2-7]{32})|\b((?:cs_test|pi|ch|re|du)_\w+|[0-9A-Z]{17})\b"
)


def book(folder: Path, to: str) -> Note:
    """Return what writes down an entry: its ids are in `text`, the other fields are given."""
    file, lock = folder / f"seen-{to}.jsonl", Lock()

    def note(text: str, at: datetime | None = None, **fields: object) -> None:
        began = (at or datetime.now(timezone.utc)).isoformat(timespec="milliseconds")
        ids = sorted({ours or theirs for ours, theirs in _IDS.findall(text)})
        entry = {"at": began.replace("+00:00", "Z"), "to": to, "ids": ids, **fields}
        with lock:
            if file.exists() and file.stat().st_size > MOST_BYTES:
                file.replace(f"{file}.1")
            with file.open("a", encoding="utf-8") as opened:
                opened.write(f"{json.dumps(entry)}\n")

    return note


def call(note: Note, request: Request, body: bytes, answer: Response | None, at: datetime) -> None:
    """Note a call that may change something."""
    if request.method in ("GET", "HEAD", "OPTIONS") or request.path.endswith("-signature"):
        return
    parts = [request.full_path.encode(), body]
    if answer:
        parts += [answer.get_data(), answer.headers.get("Location", "").encode()]
    event = _event(body) if request.path.startswith("/webhook/") else {}
    form = dict(parse_qsl(body.decode(errors="replace"))) if not event else {}
    note(
        b"\n".join(parts).decode(errors="replace"),
        at,
        method=request.method,
        path=request.path,
        status=answer.status_code if answer else None,
        key=request.headers.get("Idempotency-Key") or request.headers.get("PayPal-Request-Id"),
        event=event.get("event_type") or event.get("type"),  # PayPal's, Stripe's
        eventId=event.get("id"),
        outcome=form.get("outcome"),
    )


def watched(
    folder: Path, to: str, answer: Callable[[Request], Response]
) -> Callable[[Request], Response]:
    """Return what answers the same requests, and notes them."""
    note = book(folder, to)

    def watching(request: Request) -> Response:
        at, body, answered = datetime.now(timezone.utc), request.get_data(), None
        try:
            answered = answer(request)
        finally:
            call(note, request, body, answered, at)
        return answered

    return watching


def page(folder: Path) -> Callable[[bytes], Response]:
    """Return the page: how much was seen, and what was seen of the payment in its query."""

    def answer(query: bytes) -> Response:
        payment_id = dict(parse_qsl(query.decode())).get("paymentId")
        files = sorted(folder.glob("seen-*.jsonl*"))
        size = sum(file.stat().st_size for file in files)
        found = _of(payment_id, files) if payment_id else []
        return Response(json.dumps({"size": size, "seen": found}), mimetype="application/json")

    return answer


def _of(payment_id: str, files: Iterable[Path]) -> list[Any]:
    """Return the entries with the payment's id, or with an id that came with it."""
    lines = [line for file in files for line in file.read_text("utf-8").split("\n")[:-1]]
    entries = [json.loads(line) for line in lines]
    ids = {each for entry in entries if payment_id in entry["ids"] for each in entry["ids"]}
    return [entry for entry in entries if not ids.isdisjoint(entry["ids"])]


def _event(body: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        event = json.loads(body)
        if isinstance(event, dict):
            return event
    return {}
