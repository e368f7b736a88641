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
from typing_extensions import TypeAliasType

from shared.api.body import Body
from shared.payments import money
from shared.payments.cards import refuse_card_number

MAX_METADATA = 20  # entries
NO_CARD_NUMBER = "without card numbers, which are refused"


def _minor_units(value: object, info: ValidationInfo) -> int:
    amount = money.parse_amount(value)
    currency = info.data.get("currency")  # absent where it was refused itself
    return money.to_minor(amount, currency) if currency else 0


def _few_entries(value: object) -> object:
    # Counted before the entries are looked at: the time to refuse does not grow with their number.
    if isinstance(value, dict) and len(value) > MAX_METADATA:
        raise ValueError(f"must have at most {MAX_METADATA} entries, this has {len(value)}")
    return value


# Named, so that the OpenAPI document has them by these names (shared/api/openapi.yaml).
Amount = TypeAliasType("Amount", Annotated[int, PlainValidator(_minor_units)])
Currency = TypeAliasType("Currency", Annotated[str, PlainValidator(money.parse_currency)])

Description = Annotated[str, StringConstraints(max_length=255), AfterValidator(refuse_card_number)]
MetadataKey = Annotated[
    str, StringConstraints(min_length=1, max_length=40), AfterValidator(refuse_card_number)
]
MetadataValue = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(refuse_card_number)
]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(max_length=MAX_METADATA),
    BeforeValidator(_few_entries),
]


class PaymentRequest(Body):
    """A payment to create. An optional field that is null is left out."""

    currency: Currency
    amount_minor: Amount = Field(alias="amount")
    description: Description | None = Field(None, description=f"Free text, {NO_CARD_NUMBER}.")
    metadata: Metadata | None = Field(None, description=f"Entries of your own, {NO_CARD_NUMBER}.")
