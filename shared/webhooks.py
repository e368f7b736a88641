"""What a gateway tells of its own accord."""

from http import HTTPStatus

from shared.api.request import PublicRequest, refuse
from shared.api.response import Response
from shared.errors import GatewayUnavailable, PaymentNotFound
from shared.gateways.known import gateways
from shared.operations import note
from shared.wiring import operations


def hear(gateway: str, request: PublicRequest) -> Response:
    """Take a signed webhook for the signal that something happened to a payment: answer 204.

    Raises:
        InvalidRequest: its signature is missing, wrong or old; or the stack has no such gateway.
        GatewayUnavailable, StoreUnavailable: it cannot be known now; the gateway sends it again.
    """
    known = gateways().get(gateway)
    if known is None:
        refuse("path", f"this stack has no gateway {gateway}")
    try:
        payment_id = known.payment_id_in(request.all_headers, request.raw_body)
        if payment_id:
            operations().hear(payment_id, gateway)
    except PaymentNotFound:  # another stack's, which has the same account
        pass
    except GatewayUnavailable as error:
        note(error)
        raise
    return Response(HTTPStatus.NO_CONTENT, log={"paymentId": payment_id})
