"""The laptop's stack, for the clients."""

from tests.local.conftest import no_proxy, payments  # noqa: F401
