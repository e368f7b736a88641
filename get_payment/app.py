"""GET /payment?paymentId=: read a payment."""

from shared.api.handlers import api_call
from shared.api.request import Request, required
from shared.api.response import Response, show
from shared.payments.ids import PAYMENT_ID_RULE, is_payment_id
from shared.prime import prime
from shared.store.payments import payments


@api_call
def handler(request: Request) -> Response:
    """Take a payment id; answer 200 with the payment, or 404 where the caller has none such."""
    asked_for = request.query("paymentId")
    payment_id = required("paymentId", asked_for, is_payment_id, PAYMENT_ID_RULE)
    return show(payments().get(payment_id, request.caller.reach), request.caller)


prime(lambda: payments().try_get())
