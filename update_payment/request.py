"""The body of PATCH /payment/{paymentId}."""

from typing import Annotated

from pydantic import AfterValidator

from shared.api.fields import Body
from shared.payments.lifecycle import known_status


class UpdateRequest(Body):
    """What happened to a payment whose money moves elsewhere."""

    status: Annotated[str, AfterValidator(known_status)]
