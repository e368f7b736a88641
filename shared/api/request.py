"""An API Gateway event as a request: headers, query, path parameters, body.

The events are those of a REST API's Lambda proxy integration (API Gateway Developer Guide, "Lambda
proxy integrations").
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from shared.api.caller import Caller, caller_of
from shared.api.problems import MAX_BODY_BYTES
from shared.errors import FieldError, InvalidRequest, RequestTooLarge, UnsupportedMediaType
from shared.payments.ids import PAYMENT_ID_RULE, is_payment_id

Event = Mapping[str, Any]

MAX_DELIMITERS = 12_000
"""Commas and opening brackets in a body: the longest valid request has fewer, and each value of a
JSON document costs time to parse."""

_JSON_MEDIA_TYPE = re.compile(
    r"\s*application/(?:[\w.-]+\+)?json\s*"
    r'(?:;(?!.*charset\s*=(?!\s*"?(?:utf-?8|us-ascii)\b)).*)?',
    re.I | re.S | re.A,
)
_ETAG = re.compile(r'"[1-9][0-9]{0,8}"')
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class PublicRequest:
    """An HTTP request that no authorizer has seen: a webhook, a health check.

    Attributes:
        path: what was called, with the stage or the base path before the template's path.
        trace_id: API Gateway's id of the call; a client can choose `requestId`, but not this one.
        route: method and path as the template has them.
    """

    def __init__(self, event: Event) -> None:
        self._event = event
        context = event["requestContext"]
        self.path: str = context["path"]
        # SAM CLI sends no extendedRequestId.
        self.trace_id: str = context.get("extendedRequestId") or context["requestId"]
        self.route = f"{event.get('httpMethod')} {event.get('resource')}"

    @property
    def all_headers(self) -> dict[str, str]:
        """Every header by its name in lower case; of one that is sent twice, the last value."""
        headers: Mapping[str, list[str]] = self._event.get("multiValueHeaders") or {}
        return {name.lower(): values[-1] for name, values in headers.items() if values}

    def headers(self, name: str) -> list[str]:
        """Return every value of a header, whose name is sent in any case."""
        headers: Mapping[str, list[str]] = self._event.get("multiValueHeaders") or {}
        name = name.lower()
        return [value for key, values in headers.items() if key.lower() == name for value in values]

    def header(self, name: str) -> str | None:
        """Return the header's value, None where it is not sent.

        Raises:
            InvalidRequest: it is sent twice.
        """
        return _one(name, self.headers(name), "must be sent once")

    def query(self, name: str) -> str | None:
        """Return the query parameter, None where it is not given.

        Raises:
            InvalidRequest: it is given twice.
        """
        parameters: Mapping[str, list[str]] = (
            self._event.get("multiValueQueryStringParameters") or {}
        )
        return _one(name, parameters.get(name) or [], "must be given once")

    def path_parameter(self, name: str) -> str:
        """Return the part of the path that the template's route calls `{name}`."""
        value: str = self._event["pathParameters"][name]
        return value

    @property
    def raw_body(self) -> bytes:
        """The body as it was sent, for a signature over it.

        Raises:
            RequestTooLarge: it is larger than MAX_BODY_BYTES.
            InvalidRequest: API Gateway's Base64 of it is damaged.
        """
        body = self._body()
        return body if isinstance(body, bytes) else body.encode(errors="surrogatepass")

    def _body(self) -> str | bytes:
        body: str = self._event.get("body") or ""
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLarge
        if not self._event.get("isBase64Encoded"):
            return body
        try:
            return base64.b64decode(body, validate=True)
        except ValueError:
            refuse("body", "must be JSON in UTF-8")

    def json(self, default: object = None) -> object:
        """Return the JSON document in the body, its numbers as `Decimal`.

        Args:
            default: returned where there is no body; without one, the body is required.

        Raises:
            UnsupportedMediaType: the Content-Type is something else.
            RequestTooLarge: it is larger than MAX_BODY_BYTES.
            InvalidRequest: there is none, it is not JSON, an object names a key twice, or it has
                more than MAX_DELIMITERS commas and opening brackets.
        """
        for media_type in self.headers("content-type"):
            if not _JSON_MEDIA_TYPE.fullmatch(media_type):
                raise UnsupportedMediaType
        body = self._body()
        try:
            text = body.decode() if isinstance(body, bytes) else body
        except UnicodeDecodeError:
            refuse("body", "must be JSON in UTF-8")
        text = text.removeprefix("\ufeff")
        if not text.strip():
            if default is not None:
                return default
            refuse("body", 'is required: a JSON object such as {"amount": 100, "currency": "USD"}')
        if sum(map(text.count, ",[{")) > MAX_DELIMITERS:
            refuse("body", f"must have at most {MAX_DELIMITERS} commas and opening brackets")
        try:
            return _JSON.decode(text)
        except json.JSONDecodeError as error:
            refuse("body", f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}")
        except RecursionError:
            refuse("body", "is nested too deeply")


def _unquoted(header: str) -> str:
    key = header.strip(" \t")
    return key[1:-1] if len(key) >= 2 and key[0] == key[-1] == '"' else key


class Request(PublicRequest):
    """An HTTP request by an authenticated caller.

    Attributes:
        caller: the holder of the access token.
    """

    caller: Caller

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.caller = caller_of(event, self.headers("authorization"))

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key header without its quotes; None where there is none.

        Raises:
            InvalidRequest: it is sent twice, or is not 1 to 255 printable ASCII characters.
        """
        value = self.header("Idempotency-Key")
        if value is None:
            return None
        return valid("Idempotency-Key", _unquoted(value), _IDEMPOTENCY_KEY.fullmatch, _KEY_RULE)

    @property
    def required_idempotency_key(self) -> str:
        """The same, where there must be one.

        Raises:
            InvalidRequest: also where there is none.
        """
        key = self.idempotency_key
        if key is None:
            refuse("Idempotency-Key", f"is required, and {_KEY_RULE}")
        return key

    @property
    def if_match(self) -> int | None:
        """The version in the If-Match header; None where there is none, or any will do.

        Raises:
            InvalidRequest: it is not the ETag of a payment.
        """
        value = self.header("If-Match")
        if value in (None, "*"):
            return None
        return int(valid("If-Match", value, _ETAG.fullmatch, _ETAG_RULE).strip('"'))

    @property
    def payment_id(self) -> str:
        """The payment in the path.

        Raises:
            InvalidRequest: it is no id of a payment.
        """
        name = "paymentId"
        return valid(name, self.path_parameter(name), is_payment_id, PAYMENT_ID_RULE)


_ETAG_RULE = 'must be the ETag of the payment, such as "3", or *'
_KEY_RULE = "must be 1 to 255 printable ASCII characters"


def required(name: str, value: str | None, is_valid: Callable[[str], object], rule: str) -> str:
    """Return a parameter that must be there and valid.

    Raises:
        InvalidRequest: it is missing or not valid; `rule` says what would be right.
    """
    if value is None:
        refuse(name, f"is required, and {rule}")
    return valid(name, value, is_valid, rule)


def valid(name: str, value: str, is_valid: Callable[[str], object], rule: str) -> str:
    """Return the value of a parameter if it is valid.

    Raises:
        InvalidRequest: it is not; `rule` says what would be right.
    """
    if not is_valid(value):
        refuse(name, rule)
    return value


def refuse(field: str, message: str) -> NoReturn:
    """Raise an InvalidRequest about one field."""
    raise InvalidRequest(FieldError(field, message)) from None


def _one(name: str, values: list[str], rule: str) -> str | None:
    if len(values) > 1:
        refuse(name, rule)
    return values[0] if values else None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of its members; one that names a key twice is ambiguous, and refused."""
    members = dict(pairs)
    if len(members) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        refuse(name, "is given twice")
    return members


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what Decimal counts
        return Decimal("Infinity")


_JSON = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Decimal, parse_float=_number, parse_constant=Decimal
)
