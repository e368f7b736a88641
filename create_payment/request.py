"""The body of POST /payment."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StringConstraints
from typing_extensions import TypeAliasType

from create_payment import rules
from shared.api.fields import NO_CARD_NUMBER, Body, FreeText
from shared.payments.cards import refuse_card_number
from shared.payments.money import parse_currency
from shared.payments.payment import MANUAL

# Named, so that the OpenAPI document has them by these names (shared/api/openapi.yaml).
Amount = TypeAliasType("Amount", Annotated[int, PlainValidator(rules.minor_units)])
Currency = TypeAliasType("Currency", Annotated[str, PlainValidator(parse_currency)])

MetadataKey = Annotated[
    str, StringConstraints(min_length=1, max_length=40), AfterValidator(refuse_card_number)
]
MetadataValue = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(refuse_card_number)
]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(max_length=rules.MAX_METADATA),
    BeforeValidator(rules.few_entries),
]
Gateway = Annotated[str | None, AfterValidator(rules.of_this_stack)]
Capture = Annotated[Literal["automatic", "manual"], BeforeValidator(rules.automatic_unless_said)]
ReturnUrl = Annotated[
    Annotated[str, StringConstraints(max_length=2000)] | None, AfterValidator(rules.return_url)
]


class PaymentRequest(Body):
    """A payment to create. An optional field that is null is left out."""

    currency: Currency
    amount_minor: Amount = Field(alias="amount")
    description: FreeText | None = Field(None, description=f"Free text, {NO_CARD_NUMBER}.")
    metadata: Metadata | None = Field(None, description=f"Entries of your own, {NO_CARD_NUMBER}.")
    gateway: Gateway = Field(
        MANUAL, description="Who moves the money: a gateway of the stack. Default: `manual`."
    )
    capture: Capture = Field(
        "automatic",
        description="`manual` holds the money until a call captures it. Default: `automatic`.",
    )
    return_url: ReturnUrl = Field(
        None,
        alias="returnUrl",
        validate_default=True,
        description="Where the payer's browser comes back to; required for a gateway with pages."
        " https, or http on localhost.",
    )
