"""The body of POST /payment/{paymentId}/refund."""

from shared.api.fields import Amount, Body, FreeText


class RefundRequest(Body):
    """What to give back: all that is left, or a part of it; and why."""

    amount: Amount | None = None
    reason: FreeText | None = None
