"""Times as they are kept and shown: UTC, RFC 3339 with milliseconds, in text order."""

from datetime import datetime, timedelta, timezone


def now() -> str:
    """Return the time."""
    return _text(datetime.now(timezone.utc))


def later(time: str, seconds: float) -> str:
    """Return the time so many seconds after another."""
    return _text(_parse(time) + timedelta(seconds=seconds))


def seconds_between(earlier: str, time: str) -> float:
    """Return the seconds from one time to another."""
    return (_parse(time) - _parse(earlier)).total_seconds()


def _parse(time: str) -> datetime:
    return datetime.fromisoformat(time.replace("Z", "+00:00"))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
