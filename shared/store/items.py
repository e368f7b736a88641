"""A payment as an item of the table, and back.

An attribute is a field of the payment by its camel-case name; what is empty is left out. The index
keys are made of the payment. An attribute that is missing reads as the field's default, so that an
item of an older schema is what it was; one that is not known is left alone.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from hashlib import sha256
from typing import Any

from shared.payments.payment import Change, Operation, Payment, Refund, requested

SCHEMA = 2
"""1: create and read. 2: the life of a payment, the indexes."""

# An index key takes 1,000 writes a second, so what would have one key is spread over several. There
# may be more of them later: older items are still found. But every function must read the new keys
# before any function writes them.

LIST_SHARDS = 4
"""The keys of one owner's list: as many queries for a page."""

DUE_SHARDS = 16
"""The keys of what is due in the whole stack: as many queries for a run of the schedule."""

Item = Mapping[str, Any]
_EMPTY: tuple[object, ...] = (None, (), {})


def to_item(payment: Payment) -> dict[str, Any]:
    """Return the payment as an item."""
    item: dict[str, Any] = _map(payment)["M"]
    item["metadata"] = {"M": {key: {"S": value} for key, value in payment.metadata.items()}}
    item["schema"] = {"N": str(SCHEMA)}
    item["listKey"] = {"S": list_key(payment.owner, shard_of(payment.payment_id, LIST_SHARDS))}
    item["listedAt"] = {"S": listed_at(payment)}
    if payment.due_at:
        item["dueKey"] = {"S": due_key(shard_of(payment.payment_id, DUE_SHARDS))}
    return item


def from_item(item: Item) -> Payment:
    """Return the payment in an item, or as much of it as an index holds."""
    known = _fields(Payment)
    values = {known[name]: _value(value) for name, value in item.items() if name in known}
    if "operation" in values:
        values["operation"] = _object(Operation, values["operation"])
    values["refunds"] = tuple(_object(Refund, each) for each in values.get("refunds", ()))
    values["history"] = tuple(_object(Change, each) for each in values.get("history", ()))
    payment = Payment(**values)
    if not payment.fingerprint:
        values["fingerprint"] = requested(payment)
        payment = Payment(**values)
    return payment


def change(record: Mapping[str, Any]) -> tuple[Payment | None, Payment | None]:
    """Return the payment before and after a record of the table's stream; None: there was none.

    DynamoDB Local's streams show an empty map without its type, `{}`: it is left out.
    """
    images = [record["dynamodb"].get(name, {}) for name in ("OldImage", "NewImage")]
    known = [{name: value for name, value in image.items() if value} for image in images]
    before, after = (from_item(item) if item else None for item in known)
    return before, after


def listed_at(payment: Payment) -> str:
    """Return the payment's place in its owner's list: unique, and in the order of creation."""
    return f"{payment.created_at}#{payment.payment_id}"


def list_key(owner: str, shard: int) -> str:
    """Return the key of one part of an owner's list."""
    return f"{owner}#{shard}"


def due_key(shard: int) -> str:
    """Return the key of one part of what is due."""
    return f"due#{shard}"


def shard_of(payment_id: str, shards: int) -> int:
    """Return which of an index's keys a payment is under."""
    return sha256(payment_id.encode()).digest()[0] % shards


@cache
def _fields(kind: Any) -> dict[str, str]:
    return {_camel(field.name): field.name for field in fields(kind)}


@cache
def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _object(kind: Any, values: Mapping[str, Any]) -> Any:
    known = _fields(kind)
    return kind(**{known[name]: value for name, value in values.items() if name in known})


def _map(value: Any) -> dict[str, Any]:
    members = vars(value).items()
    return {"M": {_camel(n): _attribute(each) for n, each in members if each not in _EMPTY}}


def _attribute(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case tuple():
            return {"L": [_map(each) for each in value]}
        case Mapping():
            return {"M": {key: {"S": each} for key, each in value.items()}}
    return _map(value)


def _value(attribute: Mapping[str, Any]) -> Any:
    [(kind, value)] = attribute.items()
    match kind:
        case "N":
            return int(value)
        case "M":
            return {name: _value(each) for name, each in value.items()}
        case "L":
            return [_value(each) for each in value]
    return value
