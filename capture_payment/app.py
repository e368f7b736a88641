"""POST /payment/{paymentId}/capture: take the money that is held."""

from capture_payment.request import CaptureRequest
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
    """Take a `CaptureRequest`; answer 200 with the payment, 202 while the outcome is not known."""
    asked_for = parse(CaptureRequest, request.json(default={}))
    payment = payments().get(request.payment_id, request.caller.reach)
    command = commands.capture(asked_for.amount)
    done = operations().run(payment, command, request.if_match, request.trace_id)
    return show(done.payment, request.caller, is_replay=done.is_replay, is_known=done.is_known)


prime(lambda: payments().try_get())
