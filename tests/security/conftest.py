"""The attacks are made on handlers with a real store."""

from tests.integration.conftest import store, store_url, table

__all__ = ["store", "store_url", "table"]
