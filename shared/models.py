"""What a client may ask for, checked (Pydantic)."""

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)

from shared import money
from shared.cards import has_card_number
from shared.errors import FieldError, InvalidRequest
from shared.iso4217 import DECIMALS
from shared.payment import Payment, new_payment_id

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


MAX_METADATA = 20  # entries


def _minor_units(value: object, info: ValidationInfo) -> int:
    amount = money.parse_amount(value)
    currency = info.data.get("currency")  # absent where it was refused itself
    return money.to_minor(amount, currency) if currency else 0


def _no_card_number(text: str) -> str:
    if has_card_number(text):
        raise ValueError("holds what looks like a card number; this service must not store one")
    return text


def _few_entries(value: object) -> object:
    if value is None:
        return {}
    # Counted before the entries are looked at: the time to refuse does not grow with their number.
    if isinstance(value, dict) and len(value) > MAX_METADATA:
        raise ValueError(f"must have at most {MAX_METADATA} entries, this has {len(value)}")
    return value


Description = Annotated[str, StringConstraints(max_length=255), AfterValidator(_no_card_number)]
MetadataKey = Annotated[
    str, StringConstraints(min_length=1, max_length=40), AfterValidator(_no_card_number)
]
MetadataValue = Annotated[str, StringConstraints(max_length=500), AfterValidator(_no_card_number)]


class PaymentRequest(BaseModel):
    """The body of POST /payment. An optional field that is null is a field left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    currency: Annotated[str, PlainValidator(money.parse_currency)]
    amount_minor: Annotated[int, PlainValidator(_minor_units)] = Field(alias="amount")
    description: Description | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], BeforeValidator(_few_entries)] = {}

    @classmethod
    def parse(cls, body: object) -> "PaymentRequest":
        """Return the request that a JSON body holds, its numbers parsed as `Decimal`.

        Raises:
            InvalidRequest: with every field that is missing, wrong or unknown.
        """
        if isinstance(body, dict) and len(body) > _MOST_FIELDS:
            raise InvalidRequest(FieldError("body", f"has {len(body)} fields, a payment {_FIELDS}"))
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise InvalidRequest(*map(_field_error, error.errors(include_url=False))) from None

    def to_payment(self, owner: str, idempotency_key: str | None) -> Payment:
        """Return the payment to create: the owner's, pending, from now."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Payment(
            payment_id=new_payment_id(owner, idempotency_key),
            owner=owner,
            amount_minor=self.amount_minor,
            currency=self.currency,
            decimals=DECIMALS[self.currency],
            description=self.description,
            metadata=self.metadata,
            status="PENDING",
            created_at=now,
            updated_at=now,
        )


_FIELDS = "amount, currency, description and metadata"
_MOST_FIELDS = 50  # with more, the answer would only repeat the request

# Pydantic's error types, in the words of this API.
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": f"is not a field of a payment, which has {_FIELDS}",
    "model_type": "must be a JSON object",
    "dict_type": "must be an object of strings",
    "string_type": "must be a string",
    "string_unicode": "must be Unicode text, without lone surrogates",
    "string_too_short": "must have at least {min_length} character",
    "string_too_long": "must have at most {max_length} characters",
    "value_error": "{error}",
}


def _field_error(error: "ErrorDetails") -> FieldError:
    message = _MESSAGES.get(error["type"], "is not valid").format(**error.get("ctx", {}))
    path = list(map(str, error["loc"]))
    if path[-1:] == ["[key]"]:  # Pydantic's mark: it is the entry's name that is wrong
        path.pop()
        message = f"its name {message}"
    return FieldError(".".join(path) or "body", message)
