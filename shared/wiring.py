"""What the functions that call a gateway are made of."""

from functools import cache

from shared.gateways.known import gateways
from shared.operations import Operations
from shared.prime import prime
from shared.store.payments import payments


@cache
def operations() -> Operations:
    """Return the operations on this execution environment's payments."""
    return Operations(payments(), gateways())


prime(operations)
