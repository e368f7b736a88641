"""The body of POST /payment/{paymentId}/capture."""

from shared.api.fields import Amount, Body


class CaptureRequest(Body):
    """What to capture: all that is held, or a part of it."""

    amount: Amount | None = None
