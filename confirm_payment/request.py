"""The body of POST /payment/{paymentId}/confirm."""

from shared.api.fields import Body


class ConfirmRequest(Body):
    """Nothing: a payment says all that its gateway needs."""
