"""What a repository asks of a store, and what can come of it."""

from collections.abc import Mapping
from typing import Any, Protocol

Answer = Mapping[str, Any]


class Store(Protocol):
    """A store of items that takes DynamoDB's operations."""

    def call(self, operation: str, **parameters: object) -> Answer:
        """Make a call, such as `put_item`, with boto3's parameters; return its answer.

        A failed call is tried again, which may repeat a write that happened.

        Raises:
            ConditionFailed: the write's condition does not hold.
            StoreUnavailable: there is no answer, or the store asks to come later.
            StoreRefused: the store refuses the call for good.
        """


class ConditionFailed(Exception):
    """A write's condition does not hold, and nothing was written.

    Attributes:
        item: the item that stands there; empty if there is none, or the call did not ask for it.
    """

    def __init__(self, item: Answer) -> None:
        self.item = item
