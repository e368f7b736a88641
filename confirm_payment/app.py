"""POST /payment/{paymentId}/confirm: start a payment at its gateway, or take it further."""

from confirm_payment.request import ConfirmRequest
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
    """Take no body; answer 200 with the payment, 202 while the outcome is not known."""
    parse(ConfirmRequest, request.json(default={}))
    payment = payments().get(request.payment_id, request.caller.reach)
    done = operations().run(payment, commands.confirm, request.if_match, request.trace_id)
    return show(done.payment, request.caller, is_replay=done.is_replay, is_known=done.is_known)


prime(lambda: payments().try_get())
