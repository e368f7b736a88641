"""What request bodies are made of (Pydantic).

`sam build` compiles a function's request.py into what Pydantic's core loads by itself, so that a
cold start need not import Pydantic and build the models. So a validator stands in a module that
does not import Pydantic.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainValidator, StringConstraints
from typing_extensions import TypeAliasType

from shared.payments.cards import refuse_card_number
from shared.payments.money import parse_amount


class Body(BaseModel):
    """The base of every request body. An optional field that is null is a field left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the fields as a client writes them."""
        return [field.alias or name for name, field in cls.model_fields.items()]


NO_CARD_NUMBER = "without card numbers, which are refused"

FreeText = Annotated[str, StringConstraints(max_length=255), AfterValidator(refuse_card_number)]
"""Words of the client's own, such as a description or a reason."""

# Named, so that the OpenAPI document has it by this name (shared/api/openapi.yaml).
Amount = TypeAliasType("Amount", Annotated[Decimal, PlainValidator(parse_amount)])
"""Major units of the payment's currency, exact, greater than zero."""
