"""GET /payment?paymentId=: read one of the caller's payments."""

from http import HTTPStatus

from shared.http import Call, Reply, endpoint
from shared.payment import PAYMENT_ID_RULE, is_payment_id
from shared.prime import prime
from shared.repository import payments


@endpoint
def handler(call: Call) -> Reply:
    """Take a payment id; answer 200 with the payment, or 404 where the caller has none such."""
    payment_id = call.query("paymentId", is_payment_id, PAYMENT_ID_RULE)
    payment = payments().get(payment_id, owner=call.caller)
    return Reply(HTTPStatus.OK, payment.to_json(), log={"paymentId": payment_id})


prime(lambda: payments().try_get())
