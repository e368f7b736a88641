"""POST /payment: create a payment, once for every Idempotency-Key."""

from http import HTTPStatus

from create_payment.request import PaymentRequest
from shared.api.body import parse
from shared.api.handlers import api_call
from shared.api.log import count
from shared.api.request import Request
from shared.api.response import Response, show
from shared.payments import limits
from shared.payments.payment import new_payment
from shared.prime import prime
from shared.store.payments import payments


@api_call
def handler(request: Request) -> Response:
    """Take a `PaymentRequest`; answer 201 with the payment, new or made by the same call before."""
    asked_for = parse(PaymentRequest, request.json())
    new = new_payment(
        request.caller.sub,
        request.idempotency_key,
        **vars(asked_for),
        correlation_id=request.trace_id,
    )
    limits.check(new)
    payment, is_new = payments().create(new)
    count("PaymentsCreated" if is_new else "PaymentsReplayed", currency=payment.currency)
    location = {"Location": f"{request.path}?paymentId={payment.payment_id}"}
    return show(payment, request.caller, HTTPStatus.CREATED, is_replay=not is_new, headers=location)


prime(lambda: payments().try_create())
