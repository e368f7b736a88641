"""Errors as RFC 9457 problem documents: the one table of what a client is told about each."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from shared.api.response import Response
from shared.errors import (
    FieldError,
    IdempotencyKeyReused,
    InvalidRequest,
    OperationUnderWay,
    PaymentNotFound,
    RequestTooLarge,
    StatusConflict,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    VersionMismatch,
)
from shared.payments.cards import has_card_number

MAX_BODY_BYTES = 256 * 1024
"""More than the longest valid request has, even with every character escaped."""


class Problem(NamedTuple):
    """How an error is shown: status, the last part of its type URN, title, detail, headers."""

    status: HTTPStatus
    name: str
    title: str
    detail: str = ""
    headers: Mapping[str, str] = {}

    @property
    def type(self) -> str:
        """The problem's URN."""
        return f"urn:problem:payment-api:{self.name}"


PROBLEMS: dict[type[Exception], Problem] = {
    InvalidRequest: Problem(HTTPStatus.BAD_REQUEST, "validation", "The request is not valid"),
    Unauthenticated: Problem(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "The access token is missing or not valid",
        "Send Authorization: Bearer <access token> with a token of this API's user pool that has"
        " not expired",
        {"WWW-Authenticate": "Bearer"},
    ),
    PaymentNotFound: Problem(
        HTTPStatus.NOT_FOUND,
        "not-found",
        "There is no such payment",
        "You have no payment with this id",
    ),
    StatusConflict: Problem(
        HTTPStatus.CONFLICT, "status-conflict", "The status of the payment does not allow this"
    ),
    OperationUnderWay: Problem(
        HTTPStatus.CONFLICT,
        "operation-under-way",
        "Something else is under way for this payment",
        "Wait as Retry-After says, then read the payment and repeat the call",
        {"Retry-After": "5"},
    ),
    VersionMismatch: Problem(
        HTTPStatus.PRECONDITION_FAILED,
        "version-mismatch",
        "The payment has another version",
        "Read the payment again, and repeat the call with its ETag if it is still right",
    ),
    RequestTooLarge: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-large",
        "The request is too large",
        f"The body of a request fits in {MAX_BODY_BYTES // 1024} KiB",
    ),
    UnsupportedMediaType: Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body must be JSON",
        "Send Content-Type: application/json, and UTF-8",
    ),
    IdempotencyKeyReused: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The key was used for something else",
        "Use a new Idempotency-Key for each payment and each refund",
    ),
    Unavailable: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "The service is busy for a moment",
        "Wait as Retry-After says, then repeat the call with the same Idempotency-Key",
        {"Retry-After": "1"},
    ),
    Exception: Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The call failed"),
}
DEFECT = PROBLEMS[Exception]


def problem_of(error: Exception) -> Problem:
    """Return the problem of the error's class, else that of the nearest base class."""
    return next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)


def to_response(error: Exception, trace_id: str) -> Response:
    """Return the error as a client sees it; of a defect, nothing but the trace id."""
    problem = problem_of(error)
    errors = [_shown(each) for each in error.errors] if isinstance(error, InvalidRequest) else []
    detail = "; ".join(f"{field}: {message}" for field, message in errors)
    if problem is not DEFECT:
        detail = detail or str(error) or problem.detail
    document: dict[str, object] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status.value,
    }
    if detail:
        document["detail"] = detail
    document["traceId"] = trace_id
    if isinstance(error, StatusConflict):
        document |= {"currentStatus": error.status, "allowed": list(error.allowed)}
    if errors:
        document["errors"] = [each._asdict() for each in errors]
    headers = {"Content-Type": "application/problem+json", **problem.headers}
    return Response(problem.status, json.dumps(document), headers, {"reason": problem.name})


def _shown(error: FieldError) -> FieldError:
    """Return the error with its field name shortened or masked: a client may have chosen it."""
    if has_card_number(error.field[:100]):
        return error._replace(field="(a card number)")
    return error if len(error.field) <= 60 else error._replace(field=f"{error.field[:60]}…")
