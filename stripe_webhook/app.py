"""POST /webhook/stripe: Stripe says that something happened to a payment."""

from shared.api.handlers import public_call
from shared.api.request import PublicRequest
from shared.api.response import Response
from shared.webhooks import hear


@public_call
def handler(request: PublicRequest) -> Response:
    """Take an event that Stripe signed; answer 204."""
    return hear("stripe", request)
