"""POST /payment: create a payment, once for every Idempotency-Key."""

from http import HTTPStatus

from shared.http import Call, Metric, Reply, endpoint
from shared.models import PaymentRequest
from shared.prime import prime
from shared.repository import payments


@endpoint
def handler(call: Call) -> Reply:
    """Take a `PaymentRequest`; answer 201 with the payment, new or made by the same call before."""
    request = PaymentRequest.parse(call.json())
    payment, is_new = payments().create(request.to_payment(call.caller, call.idempotency_key))
    headers = {"Location": f"{call.path}?paymentId={payment.payment_id}"}
    metric = Metric("PaymentsCreated", "currency", payment.currency)
    if not is_new:
        headers["Idempotent-Replayed"] = "true"
        metric = metric._replace(name="PaymentsReplayed")
    log = {"paymentId": payment.payment_id}
    return Reply(HTTPStatus.CREATED, payment.to_json(), headers, log, metric)


prime(lambda: payments().try_create())
