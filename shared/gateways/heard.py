"""The gateway's own ids of the requests that the present call took, for the log."""

from contextvars import ContextVar

_heard: ContextVar[list[str]] = ContextVar("heard")


def listen() -> list[str]:
    """Return a list that gets the id of every request from now on, in this thread."""
    ids: list[str] = []
    _heard.set(ids)
    return ids


def hear(request_id: str | None) -> None:
    """Take the id that an answer brings; without one, the request is known by an empty text."""
    _heard.get([]).append((request_id or "")[:64])
