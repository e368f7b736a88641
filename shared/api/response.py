"""What a handler answers."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from shared.payments.payment import Payment


class Response(NamedTuple):
    """An HTTP response: status, JSON document, further headers; and ids for the log line."""

    status: HTTPStatus
    body: str = ""
    headers: Mapping[str, str] = {}
    log: Mapping[str, object] = {}


def show(
    payment: Payment,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    is_replay: bool = False,
    headers: Mapping[str, str] = {},
) -> Response:
    """Return the response that shows a payment; `is_replay` says that nothing changed now."""
    replayed = {"Idempotent-Replayed": "true"} if is_replay else {}
    return Response(
        status, payment.to_json(), {**headers, **replayed}, {"paymentId": payment.payment_id}
    )
