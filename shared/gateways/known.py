"""The gateways of this stack, by name."""

from collections.abc import Mapping

from shared.gateways.manual import Manual
from shared.gateways.port import Gateway
from shared.payments.payment import MANUAL
from shared.settings import settings


def gateways() -> Mapping[str, Gateway]:
    """Return the gateways that this stack has; the client of no other is imported."""
    found: dict[str, Gateway] = {MANUAL: Manual()}
    if "stripe" in settings().gateways:
        from shared.gateways.stripe import Stripe  # noqa: PLC0415

        found["stripe"] = Stripe()
    if "paypal" in settings().gateways:
        from shared.gateways.paypal import PayPal  # noqa: PLC0415

        found["paypal"] = PayPal()
    return found
