"""The body of POST /payment."""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
)

from shared.api.body import Body
from shared.payments import money
from shared.payments.cards import refuse_card_number

MAX_METADATA = 20  # entries


def _minor_units(value: object, info: ValidationInfo) -> int:
    amount = money.parse_amount(value)
    currency = info.data.get("currency")  # absent where it was refused itself
    return money.to_minor(amount, currency) if currency else 0


def _few_entries(value: object) -> object:
    if value is None:
        return {}
    # Counted before the entries are looked at: the time to refuse does not grow with their number.
    if isinstance(value, dict) and len(value) > MAX_METADATA:
        raise ValueError(f"must have at most {MAX_METADATA} entries, this has {len(value)}")
    return value


Description = Annotated[str, StringConstraints(max_length=255), AfterValidator(refuse_card_number)]
MetadataKey = Annotated[
    str, StringConstraints(min_length=1, max_length=40), AfterValidator(refuse_card_number)
]
MetadataValue = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(refuse_card_number)
]


class PaymentRequest(Body):
    """A payment to create. An optional field that is null is left out."""

    currency: Annotated[str, PlainValidator(money.parse_currency)]
    amount_minor: Annotated[int, PlainValidator(_minor_units)] = Field(alias="amount")
    description: Description | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], BeforeValidator(_few_entries)] = Field({})
