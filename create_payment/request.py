"""The body of POST /payment."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
)

from shared.api.body import Body, FreeText
from shared.payments import money
from shared.payments.cards import refuse_card_number
from shared.payments.currencies import DECIMALS
from shared.payments.payment import MANUAL
from shared.settings import settings

MAX_METADATA = 20  # entries


def _minor_units(value: object, info: ValidationInfo) -> int:
    amount = money.parse_amount(value)
    currency = info.data.get("currency")  # absent where it was refused itself
    return money.to_minor(amount, currency, DECIMALS[currency]) if currency else 0


def _few_entries(value: object) -> object:
    if value is None:
        return {}
    # Counted before the entries are looked at: the time to refuse does not grow with their number.
    if isinstance(value, dict) and len(value) > MAX_METADATA:
        raise ValueError(f"must have at most {MAX_METADATA} entries, this has {len(value)}")
    return value


def _of_this_stack(gateway: str | None) -> str:
    known = settings().gateways
    if gateway is not None and gateway not in known:
        raise ValueError(f"must be a gateway of this stack: {', '.join(known)}")
    return gateway or MANUAL


def _url(url: str | None, info: ValidationInfo) -> str | None:
    if url is None:
        if (gateway := info.data.get("gateway", MANUAL)) != MANUAL:
            raise ValueError(f"is required with {gateway}: where the payer's browser comes back to")
        return None
    try:
        parts = urlsplit(url)
        is_local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
        is_right = bool(parts.hostname) and (parts.scheme == "https" or is_local)
    except ValueError:
        is_right = False
    if not is_right or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be a URL with https, or with http on localhost")
    return url


MetadataKey = Annotated[
    str, StringConstraints(min_length=1, max_length=40), AfterValidator(refuse_card_number)
]
MetadataValue = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(refuse_card_number)
]
ReturnUrl = Annotated[str, StringConstraints(max_length=2000)]


class PaymentRequest(Body):
    """A payment to create. An optional field that is null is left out."""

    currency: Annotated[str, PlainValidator(money.parse_currency)]
    amount_minor: Annotated[int, PlainValidator(_minor_units)] = Field(alias="amount")
    description: FreeText | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], BeforeValidator(_few_entries)] = Field({})
    gateway: Annotated[str | None, AfterValidator(_of_this_stack)] = MANUAL
    capture: Annotated[
        Literal["automatic", "manual"], BeforeValidator(lambda value: value or "automatic")
    ] = "automatic"
    return_url: Annotated[ReturnUrl | None, AfterValidator(_url)] = Field(
        None, alias="returnUrl", validate_default=True
    )
