"""POST /payment/{paymentId}/refund: give money back, once for every Idempotency-Key."""

from http import HTTPStatus

from refund_payment.request import RefundRequest
from shared.api.body import parse
from shared.api.handlers import api_call
from shared.api.request import Request
from shared.api.response import Response, ids_of, respond
from shared.payments import commands, ids
from shared.payments.shown import refund_json
from shared.prime import prime
from shared.store.payments import payments
from shared.wiring import operations


@api_call
def handler(request: Request) -> Response:
    """Take a `RefundRequest`; answer 201 with the refund, 202 while the outcome is not known."""
    key = request.required_idempotency_key
    asked_for = parse(RefundRequest, request.json(default={}))
    payment = payments().get(request.payment_id, request.caller.reach)
    command = commands.refund(key, asked_for.amount, asked_for.reason)
    done = operations().run(payment, command, request.if_match, request.trace_id)
    refund_id = ids.refund_id(payment.payment_id, key)
    return respond(
        refund_json(done.payment, refund_id),
        HTTPStatus.CREATED,
        {"ETag": f'"{done.payment.version}"'},
        {**ids_of(done.payment), "refundId": refund_id},
        is_replay=done.is_replay,
        is_known=done.is_known,
    )


prime(lambda: payments().try_get())
