"""The body of POST /payment."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StringConstraints

from create_payment import rules
from shared.api.fields import Body, FreeText
from shared.payments.cards import refuse_card_number
from shared.payments.money import parse_currency
from shared.payments.payment import MANUAL

MetadataKey = Annotated[
    str, StringConstraints(min_length=1, max_length=40), AfterValidator(refuse_card_number)
]
MetadataValue = Annotated[
    str, StringConstraints(max_length=500), AfterValidator(refuse_card_number)
]
Metadata = Annotated[dict[MetadataKey, MetadataValue], BeforeValidator(rules.few_entries)]
Capture = Annotated[Literal["automatic", "manual"], BeforeValidator(rules.automatic_unless_said)]
ReturnUrl = Annotated[str, StringConstraints(max_length=2000)]


class PaymentRequest(Body):
    """A payment to create. An optional field that is null is left out."""

    currency: Annotated[str, PlainValidator(parse_currency)]
    amount_minor: Annotated[int, PlainValidator(rules.minor_units)] = Field(alias="amount")
    description: FreeText | None = None
    metadata: Metadata = Field({})
    gateway: Annotated[str | None, AfterValidator(rules.of_this_stack)] = MANUAL
    capture: Capture = "automatic"
    return_url: Annotated[ReturnUrl | None, AfterValidator(rules.return_url)] = Field(
        None, alias="returnUrl", validate_default=True
    )
