"""A JSON body as a Pydantic model; what is wrong with it, in the words of this API."""

from typing import TYPE_CHECKING, TypeVar

from pydantic_core import ValidationError

from shared.errors import FieldError, InvalidRequest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from shared.api.fields import Body

MAX_FIELDS = 50
"""With more fields than this, an answer that lists the unknown ones would only repeat the body."""


B = TypeVar("B", bound="Body")

# Pydantic's error types, in the words of this API.
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request, which has {fields}",
    "model_type": "must be a JSON object",
    "dict_type": "must be an object of strings",
    "literal_error": "must be {expected}",
    "string_type": "must be a string",
    "string_unicode": "must be Unicode text, without lone surrogates",
    "string_too_short": "must have at least {min_length} character",
    "string_too_long": "must have at most {max_length} characters",
    "value_error": "{error}",
}


def parse(model: type[B], document: object) -> B:
    """Return a JSON document, its numbers parsed as `Decimal`, as the model.

    Raises:
        InvalidRequest: with every field that is missing, wrong or unknown.
    """
    if isinstance(document, dict) and len(document) > MAX_FIELDS:
        raise InvalidRequest(
            FieldError("body", f"has {len(document)} fields, this request has {_fields(model)}")
        )
    try:
        return model.model_validate(document)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        raise InvalidRequest(*(_field_error(model, each) for each in wrong)) from None


def _field_error(model: "type[Body]", error: "ErrorDetails") -> FieldError:
    message = _MESSAGES.get(error["type"], "is not valid")
    message = message.format(fields=_fields(model), **error.get("ctx", {}))
    path = list(map(str, error["loc"]))
    if error["type"] == "value_error":  # of a default, Pydantic tells the name that Python has
        first, *others = path[0].split("_")
        path[0] = first + "".join(map(str.capitalize, others))
    if path[-1:] == ["[key]"]:  # Pydantic's mark: it is the entry's name that is wrong
        path.pop()
        message = f"its name {message}"
    return FieldError(".".join(path) or "body", message)


def _fields(model: "type[Body]") -> str:
    names = sorted(model.names())
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "none"
