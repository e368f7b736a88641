"""The body of POST /payment/{paymentId}/cancel."""

from shared.api.fields import Body, FreeText


class CancelRequest(Body):
    """Why a payment is given up, in words of the client's own."""

    reason: FreeText | None = None
