"""The gateways of this stack, by name."""

from collections.abc import Mapping

from shared.gateways.manual import Manual
from shared.gateways.port import Gateway


def gateways() -> Mapping[str, Gateway]:
    """Return the gateways that this stack may use."""
    return {"manual": Manual()}
