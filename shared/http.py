"""API Gateway's event in, its response out: everything of HTTP that a handler does not say.

The events are those of a REST API's Lambda proxy integration (API Gateway Developer Guide, "Lambda
proxy integrations"). Errors become RFC 9457 problems in one table.
"""

import base64
import hashlib
import json
import re
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache, wraps
from http import HTTPStatus
from time import perf_counter, time
from typing import Any, NamedTuple, NoReturn

from aws_lambda_powertools import Logger

from shared.errors import (
    FieldError,
    IdempotencyKeyReused,
    InvalidRequest,
    PaymentApiError,
    PaymentNotFound,
    RequestTooLarge,
    StoreRefused,
    StoreUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
)
from shared.settings import settings

Event = Mapping[str, Any]
LambdaHandler = Callable[[Event, Any], dict[str, Any]]

# More than the longest valid request has, with every character escaped, or every one a comma.
MAX_BODY_BYTES = 256 * 1024
MAX_DELIMITERS = 12_000  # commas and brackets: there are no more values in it, which cost the most

_JSON_MEDIA_TYPE = re.compile(
    r"\s*application/(?:[\w.-]+\+)?json\s*"
    r'(?:;(?!.*charset\s*=(?!\s*"?(?:utf-?8|us-ascii)\b)).*)?',
    re.I | re.S | re.A,
)
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class Problem(NamedTuple):
    """How an error is shown: status, the last part of its type URN, title, further headers."""

    status: HTTPStatus
    name: str
    title: str
    headers: Mapping[str, str] = {}


PROBLEMS: dict[type[Exception], Problem] = {
    InvalidRequest: Problem(HTTPStatus.BAD_REQUEST, "validation", "The request is not valid"),
    Unauthenticated: Problem(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "The access token is missing or not valid",
        {"WWW-Authenticate": "Bearer"},
    ),
    PaymentNotFound: Problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such payment"),
    RequestTooLarge: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "The request is too large"
    ),
    UnsupportedMediaType: Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body must be JSON"
    ),
    IdempotencyKeyReused: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The key was used for another payment",
    ),
    StoreUnavailable: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "The service is busy for a moment",
        {"Retry-After": "1"},
    ),
}
DEFECT = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The call failed")


class Metric(NamedTuple):
    """What to count one more of in CloudWatch, and the one dimension that tells its kinds apart."""

    name: str
    dimension: str
    value: str


class Reply(NamedTuple):
    """What a handler answers: status, JSON document, further headers; ids for the log, a metric."""

    status: HTTPStatus
    body: str
    headers: Mapping[str, str] = {}
    log: Mapping[str, object] = {}
    metric: Metric | None = None


class Call:
    """One HTTP call by an authenticated caller.

    Attributes:
        caller: the `sub` of the access token: a user, or the client of a service.
        path: what was called, with the stage or the base path before the template's path.
    """

    def __init__(self, event: Event) -> None:
        self._event = event
        self.caller = _caller(event)
        self.path: str = event["requestContext"]["path"]

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key header without its quotes; None where there is none.

        Raises:
            InvalidRequest: it is sent twice, or is not 1 to 255 printable ASCII characters.
        """
        values = _headers(self._event, "idempotency-key")
        if not values:
            return None
        if len(values) > 1:
            _refuse("Idempotency-Key", "must be sent once")
        [value] = values
        key = value.strip(" \t")
        if len(key) >= 2 and key[0] == key[-1] == '"':
            key = key[1:-1]
        if not _IDEMPOTENCY_KEY.fullmatch(key):
            _refuse("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
        return key

    def query(self, name: str, is_valid: Callable[[str], bool], rule: str) -> str:
        """Return the query parameter.

        Raises:
            InvalidRequest: it is missing, given twice, or not valid; then `rule` tells what is.
        """
        parameters: Mapping[str, list[str]] = (
            self._event.get("multiValueQueryStringParameters") or {}
        )
        values = parameters.get(name) or []
        if len(values) != 1:
            _refuse(name, "must be given once" if values else f"is required, and {rule}")
        [value] = values
        if not is_valid(value):
            _refuse(name, rule)
        return value

    def json(self) -> object:
        """Return the JSON document in the body, its numbers as `Decimal`.

        Raises:
            UnsupportedMediaType: the Content-Type is something else.
            RequestTooLarge: it is larger than MAX_BODY_BYTES.
            InvalidRequest: there is none, it is not JSON, an object names a key twice, or it has
                more than MAX_DELIMITERS commas and opening brackets.
        """
        for media_type in _headers(self._event, "content-type"):
            if not _JSON_MEDIA_TYPE.fullmatch(media_type):
                raise UnsupportedMediaType("send Content-Type: application/json, and UTF-8")
        text = _body(self._event).removeprefix("\ufeff")
        if not text.strip():
            _refuse("body", 'is required: a JSON object such as {"amount": 100, "currency": "USD"}')
        if sum(map(text.count, ",[{")) > MAX_DELIMITERS:
            _refuse("body", f"must have at most {MAX_DELIMITERS} commas and opening brackets")
        try:
            return json.loads(
                text,
                object_pairs_hook=_object,
                parse_int=Decimal,
                parse_float=_number,
                parse_constant=Decimal,
            )
        except json.JSONDecodeError as error:
            _refuse("body", f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}")
        except RecursionError:
            _refuse("body", "is nested too deeply")


def endpoint(handler: Callable[[Call], Reply]) -> LambdaHandler:
    """Make a Lambda handler of a function from a call to its reply.

    Every error that `shared.errors` knows is answered as its problem; any other one is a defect,
    whose stack goes to the log and not to the client. A call is one line of the log.
    """

    @wraps(handler)
    def lambda_handler(event: Event, context: object) -> dict[str, Any]:  # noqa: ARG001
        start = perf_counter()
        entry: dict[str, object] = {
            "traceId": _trace_id(event),
            "route": f"{event.get('httpMethod')} {event.get('resource')}",
        }
        try:
            call = Call(event)
            entry["user"] = _pseudonym(call.caller)
            reply = handler(call)
        except PaymentApiError as error:
            reply = _problem(PROBLEMS[type(error)], event, error)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, the client gets a 500
            _logger().error("defect", extra={**entry, "stack": _stack(error)})
            reply = _problem(DEFECT, event)
        entry["status"] = reply.status.value
        entry["durationMs"] = round((perf_counter() - start) * 1000, 3)
        _logger().info("call", extra={**entry, **reply.log, **_embedded(reply.metric)})
        return {
            "statusCode": reply.status.value,
            "headers": {
                "Content-Type": "application/json",
                "Cache-Control": "no-store",
                "Access-Control-Allow-Origin": settings().allowed_origin,
                "Access-Control-Expose-Headers": "Idempotent-Replayed,Location,Retry-After",
                **reply.headers,
            },
            "body": reply.body,
            "isBase64Encoded": False,
        }

    return lambda_handler


def _problem(problem: Problem, event: Event, error: PaymentApiError | None = None) -> Reply:
    document: dict[str, object] = {
        "type": f"urn:problem:payment-api:{problem.name}",
        "title": problem.title,
        "status": problem.status.value,
    }
    if error:
        document["detail"] = str(error)
    document["traceId"] = _trace_id(event)
    if isinstance(error, InvalidRequest):
        document["errors"] = [field_error._asdict() for field_error in error.errors]
    headers = {"Content-Type": "application/problem+json", **problem.headers}
    log = {"cause": repr(error.__cause__)} if error and error.__cause__ else {}
    metric = Metric("CallsRefused", "reason", problem.name)
    return Reply(problem.status, json.dumps(document), headers, log, metric)


@cache
def _logger() -> Logger:
    return Logger(use_rfc3339=True, location=None)  # Lambda reads a line's time as RFC 3339 alone


def _embedded(metric: Metric | None) -> dict[str, object]:
    """Return what makes a log line a metric too (CloudWatch Embedded Metric Format).

    `service` is in the line already. The format is a few keys of JSON; a library that writes them
    would cost every cold start its import.
    """
    if not metric:
        return {}
    directive = {
        "Namespace": "PaymentApi",
        "Dimensions": [["service", metric.dimension]],
        "Metrics": [{"Name": metric.name, "Unit": "Count"}],
    }
    return {
        "_aws": {"Timestamp": int(time() * 1000), "CloudWatchMetrics": [directive]},
        metric.name: 1,
        metric.dimension: metric.value,
    }


def _pseudonym(caller: str) -> str:
    """Return a name that follows a caller through the log without saying who it is.

    Nobody finds the `sub` from it, which is random; who knows a `sub` finds its lines.
    """
    return hashlib.sha256(caller.encode()).hexdigest()[:16]


def _stack(error: BaseException | None) -> str:
    """Return where it happened, without the errors' words: they may quote what a client sent."""
    stacks = []
    while error:
        name = repr(error) if isinstance(error, StoreRefused) else type(error).__qualname__
        stacks.append("".join(traceback.format_tb(error.__traceback__)) + name)
        error = error.__cause__ or error.__context__
    return "\ncaused by\n".join(stacks)


def _refuse(field: str, message: str) -> NoReturn:
    raise InvalidRequest(FieldError(field, message)) from None


def _trace_id(event: Event) -> str:
    """Return API Gateway's own id of the call; `requestId` is one that a client can choose."""
    context: Mapping[str, str] = event["requestContext"]
    return context.get("extendedRequestId") or context["requestId"]  # SAM CLI has the latter


def _headers(event: Event, name: str) -> list[str]:
    """Return every value of a header; its name comes in the case that the client chose."""
    headers: Mapping[str, list[str]] = event.get("multiValueHeaders") or {}
    return [value for key, values in headers.items() if key.lower() == name for value in values]


def _caller(event: Event) -> str:
    """Return who is calling, by the word of the API's authorizer alone."""
    claims = (event["requestContext"].get("authorizer") or {}).get("claims")
    if claims is None:
        claims = _unverified_claims(event) if settings().is_sam_local else {}
    caller = claims.get("sub")
    if not isinstance(caller, str) or not caller:
        raise Unauthenticated("send Authorization: Bearer <access token>")
    return caller


def _unverified_claims(event: Event) -> Mapping[str, Any]:
    """Return what the bearer token says. `sam local` has no authorizer that would verify it."""
    try:
        [header] = _headers(event, "authorization")
        payload = header.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))  # too much is ignored
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _body(event: Event) -> str:
    body: str = event.get("body") or ""
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge(f"a payment's JSON fits in {MAX_BODY_BYTES // 1024} KiB")
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(body, validate=True).decode()
    except ValueError:  # no Base64, or no UTF-8
        _refuse("body", "must be JSON in UTF-8")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its members; one that names a key twice means nothing certain."""
    members = dict(pairs)
    if len(members) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        _refuse(name, "is given twice")
    return members


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what Decimal counts
        return Decimal("Infinity")
