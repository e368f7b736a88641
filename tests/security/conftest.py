"""The attacks are made on handlers with a real store."""

from tests.integration.conftest import emulator, store, store_url, table

__all__ = ["emulator", "store", "store_url", "table"]
