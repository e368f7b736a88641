"""The body of PATCH /payment/{paymentId}."""

from typing import Annotated

from pydantic import AfterValidator

from shared.api.body import Body
from shared.payments.lifecycle import STATUSES


def _status(text: str) -> str:
    if text not in STATUSES:
        raise ValueError(f"must be one of {', '.join(STATUSES)}")
    return text


class UpdateRequest(Body):
    """What happened to a payment whose money moves elsewhere."""

    status: Annotated[str, AfterValidator(_status)]
