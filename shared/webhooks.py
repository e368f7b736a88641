"""What a gateway tells of its own accord."""

from contextlib import suppress
from http import HTTPStatus

from shared.api.log import count
from shared.api.request import PublicRequest, refuse
from shared.api.response import Response, ids_of
from shared.errors import InvalidRequest, PaymentNotFound, RequestTooLarge
from shared.gateway_calls import gateway_call
from shared.gateways.known import gateways
from shared.wiring import operations


def hear(gateway: str, request: PublicRequest) -> Response:
    """Take a signed webhook for the signal that something happened to a payment: answer 204.

    It is counted: `taken`; `ignored`, it is about no payment of this stack; `refused`, it is not
    the gateway's; `failed`, the gateway sends it again.

    Raises:
        InvalidRequest: its signature is missing, wrong or old; or the stack has no such gateway.
        GatewayUnavailable, StoreUnavailable: it cannot be known now; the gateway sends it again.
    """
    known = gateways().get(gateway)
    if known is None:
        refuse("path", f"this stack has no gateway {gateway}")
    payment, outcome = None, "failed"
    try:
        body = request.raw_body
        with gateway_call(gateway, "webhook"):
            payment_id = known.payment_id_in(request.all_headers, body)
        if payment_id:
            with suppress(PaymentNotFound):  # another stack's, which has the same account
                payment = operations().hear(payment_id, gateway)
        outcome = "taken" if payment else "ignored"
    except (InvalidRequest, RequestTooLarge):
        outcome = "refused"
        raise
    finally:
        count("Webhooks", gateway=gateway, outcome=outcome)
    about = ids_of(payment) if payment else {"paymentId": payment_id}
    return Response(HTTPStatus.NO_CONTENT, log=about)
