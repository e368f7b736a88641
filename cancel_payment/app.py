"""POST /payment/{paymentId}/cancel: give up a payment that is not captured."""

from cancel_payment.request import CancelRequest
from shared.api.body import parse
from shared.api.handlers import api_call
from shared.api.request import Request
from shared.api.response import Response, show
from shared.payments import commands
from shared.prime import prime
from shared.store.payments import payments
from shared.wiring import operations


@api_call
def handler(request: Request) -> Response:
    """Take a `CancelRequest`; answer 200 with the payment, 202 while the outcome is not known."""
    asked_for = parse(CancelRequest, request.json(default={}))
    payment = payments().get(request.payment_id, request.caller.reach)
    command = commands.cancel(asked_for.reason)
    done = operations().run(payment, command, request.if_match, request.trace_id)
    return show(done.payment, request.caller, is_replay=done.is_replay, is_known=done.is_known)


prime(lambda: payments().try_get())
