"""The rules of a payment to create that take more than a length or a type."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.payments import money
from shared.payments.currencies import DECIMALS
from shared.payments.payment import MANUAL
from shared.settings import settings

if TYPE_CHECKING:
    from pydantic import ValidationInfo

MAX_METADATA = 20  # entries


def minor_units(value: object, info: "ValidationInfo") -> int:
    """Return an amount in minor units of the currency, 0 where that was refused itself."""
    amount = money.parse_amount(value)
    currency = info.data.get("currency")
    return money.to_minor(amount, currency, DECIMALS[currency]) if currency else 0


def few_entries(value: object) -> object:
    """Return metadata with few entries.

    They are counted before they are looked at: the time to refuse does not grow with their number.
    """
    if isinstance(value, dict) and len(value) > MAX_METADATA:
        raise ValueError(f"must have at most {MAX_METADATA} entries, this has {len(value)}")
    return value


def automatic_unless_said(value: object) -> object:
    """Return how to capture."""
    return "automatic" if value is None else value


def of_this_stack(gateway: str | None) -> str:
    """Return the name of a gateway that this stack has."""
    known = settings().gateways
    if gateway is not None and gateway not in known:
        raise ValueError(f"must be a gateway of this stack: {', '.join(known)}")
    return gateway or MANUAL


def return_url(url: str | None, info: "ValidationInfo") -> str | None:
    """Return where the payer's browser comes back to; needed where a gateway has pages."""
    if url is None:
        if (gateway := info.data.get("gateway", MANUAL)) != MANUAL:
            raise ValueError(f"is required with {gateway}: where the payer's browser comes back to")
        return None
    if not (url.isascii() and url.isprintable() and " " not in url and _is_safe(url)):
        raise ValueError("must be a URL with https, or with http on localhost")
    return url


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
    return bool(parts.hostname) and (parts.scheme == "https" or is_local)
