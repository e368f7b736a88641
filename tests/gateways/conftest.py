"""A real store for the handlers, as in the integration tests."""

from tests.integration.conftest import store, store_url, table  # noqa: F401
