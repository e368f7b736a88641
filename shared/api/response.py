"""What a handler answers."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from shared.api.caller import Caller
from shared.payments.payment import Payment
from shared.payments.shown import payment_json


class Response(NamedTuple):
    """An HTTP response: status, JSON document, further headers; and ids for the log line."""

    status: HTTPStatus
    body: str = ""
    headers: Mapping[str, str] = {}
    log: Mapping[str, object] = {}


def show(
    payment: Payment,
    caller: Caller,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    is_replay: bool = False,
    is_known: bool = True,
    headers: Mapping[str, str] = {},
) -> Response:
    """Return the response that shows a payment to a caller: see `respond`."""
    document = payment_json(payment, with_owner=caller.is_back_office)
    headers = {"ETag": f'"{payment.version}"', **headers}
    log = ids_of(payment)
    return respond(document, status, headers, log, is_replay=is_replay, is_known=is_known)


def ids_of(payment: Payment) -> dict[str, object]:
    """Return what a log line says of a payment: by these it is found."""
    return {"paymentId": payment.payment_id, "correlationId": payment.correlation_id}


def respond(
    document: str,
    status: HTTPStatus,
    headers: Mapping[str, str],
    log: Mapping[str, object],
    *,
    is_replay: bool = False,
    is_known: bool = True,
) -> Response:
    """Return the response of a call that changes something.

    A replay, the same call as one that happened before, says so in a header. While the outcome is
    not known, the status is 202.
    """
    replayed = {"Idempotent-Replayed": "true"} if is_replay else {}
    if not is_known:
        return Response(HTTPStatus.ACCEPTED, document, {**headers, "Retry-After": "5"}, log)
    return Response(status, document, {**headers, **replayed}, log)
