"""PATCH /payment/{paymentId}: record what happened to a manual payment."""

from shared.api.body import parse
from shared.api.handlers import api_call
from shared.api.request import Request
from shared.api.response import Response, show
from shared.operations import manual_operations
from shared.payments import commands
from shared.prime import prime
from shared.store.payments import payments
from update_payment.request import UpdateRequest


@api_call
def handler(request: Request) -> Response:
    """Take an `UpdateRequest`; answer 200 with the payment."""
    asked_for = parse(UpdateRequest, request.json())
    payment = payments().get(request.payment_id, request.caller.reach)
    command = commands.update(asked_for.status)
    done = manual_operations().run(payment, command, request.if_match, request.trace_id)
    return show(done.payment, request.caller, is_replay=done.is_replay, is_known=done.is_known)


prime(lambda: payments().try_get())
