"""Payments in DynamoDB: one item per payment, one conditional write per change.

A create is one write, which is also the whole of idempotency: an id derived from an idempotency key
can be made once, and the second call is handed the item that stands there. A change is one write on
condition that the version is the one that was read.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import sample
from secrets import token_hex
from typing import Any

from shared.errors import IdempotencyKeyReused, PaymentNotFound, StoreUnavailable
from shared.payments.payment import Payment
from shared.settings import settings
from shared.store.dynamodb import STORE
from shared.store.items import (
    DUE_SHARDS,
    LIST_SHARDS,
    Item,
    due_key,
    from_item,
    list_key,
    to_item,
)
from shared.store.port import Answer, ConditionFailed, Store

# An item of the first schema has no version, and is the first one.
_IS_VERSION = (
    "attribute_exists(paymentId) AND (attribute_not_exists(#version) OR #version = :version)"
)


_END = {"listedAt": {"S": ""}}

MOST_READ = 250
"""How many payments of a shard are looked at for a page with one status."""


class PaymentChanged(Exception):
    """The payment is not the version that was read; `payment` is as it stands now."""

    def __init__(self, payment: Payment) -> None:
        self.payment = payment


class PaymentRepository:
    """The payments of one table."""

    def __init__(self, store: Store, table_name: str) -> None:
        self._store = store
        self._table_name = table_name

    def create(self, payment: Payment) -> tuple[Payment, bool]:
        """Store the payment, or find the one that the same request made before.

        Returns:
            The payment as it stands, and whether this call made it.

        Raises:
            IdempotencyKeyReused: its id is taken by another payment.
            StoreUnavailable: it may or may not have been stored.
        """
        # Tells this call's own write from another's: a write is tried again when its answer was
        # lost, and then meets the item that it made itself.
        write_id = {"S": token_hex(8)}
        try:
            self._store.call(
                "put_item",
                TableName=self._table_name,
                Item={**to_item(payment), "writeId": write_id},
                ConditionExpression="attribute_not_exists(paymentId)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as refusal:
            existing = _as_it_stands(refusal)
            if refusal.item.get("writeId") == write_id:
                return existing, True
            if not existing.is_same_request(payment):
                raise IdempotencyKeyReused from None
            return existing, False
        return payment, True

    def get(self, payment_id: str, owner: str | None) -> Payment:
        """Return the payment with this id, if it is the owner's; None stands for everybody.

        Raises:
            PaymentNotFound: there is none, or it is somebody else's.
            StoreUnavailable: the store did not answer.
        """
        answer = self._store.call(
            "get_item",
            TableName=self._table_name,
            Key=_key(payment_id),
            ConsistentRead=True,
        )
        item = answer.get("Item", {})
        # One test for both, so that no clock tells a foreign payment from a missing one.
        its_owner = item.get("owner", {}).get("S")
        if its_owner is None or owner not in (None, its_owner):
            raise PaymentNotFound
        return from_item(item)

    def save(self, payment: Payment, before: Payment) -> Payment:
        """Store the next version of a payment that was read as `before`; return it.

        Raises:
            PaymentChanged: it is not that version any more.
            StoreUnavailable: it may or may not have been stored.
        """
        if payment is before:
            return payment
        write_id = {"S": token_hex(8)}
        try:
            self._update(before, {**to_item(payment), "writeId": write_id})
        except ConditionFailed as refusal:
            if refusal.item.get("writeId") == write_id:
                return payment
            raise PaymentChanged(_as_it_stands(refusal)) from None
        return payment

    def page(
        self, owner: str, status: str | None, limit: int, after: str | None
    ) -> tuple[list[Payment], str | None]:
        """Return a page of the owner's payments, the newest first, without their details.

        A page of one status may have fewer than `limit` before the list ends. The index is behind
        the table by its delay, most often less than a second.

        Returns:
            The payments after a place in the list, and the place that the next page follows; None
            stands for the list's beginning and its end.
        """
        pages = [self._shard(list_key(owner, n), status, limit, after) for n in range(LIST_SHARDS)]
        # Past this place, one of the shards has not been read yet.
        read_to = max(page.get("LastEvaluatedKey", _END)["listedAt"]["S"] for page in pages)
        found = [item for page in pages for item in page["Items"]]
        found = [item for item in found if item["listedAt"]["S"] >= read_to]
        found.sort(key=lambda item: item["listedAt"]["S"], reverse=True)
        place = found[limit - 1]["listedAt"]["S"] if len(found) > limit else read_to
        return [from_item(item) for item in found[:limit]], place or None

    def _shard(self, key: str, status: str | None, limit: int, after: str | None) -> Answer:
        parameters: dict[str, Any] = {"ScanIndexForward": False, "Limit": limit}
        names, values = {"#list": "listKey"}, {":list": {"S": key}}
        condition = "#list = :list"
        if after:
            names["#place"], values[":place"] = "listedAt", {"S": after}
            condition += " AND #place < :place"
        if status:
            names["#status"], values[":status"] = "status", {"S": status}
            parameters |= {"Limit": MOST_READ, "FilterExpression": "#status = :status"}
        return self._store.call(
            "query",
            TableName=self._table_name,
            IndexName="list",
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            **parameters,
        )

    def due(self, now: str, limit: int) -> Iterator[str]:
        """Yield the ids of payments that are due, the longest overdue of each shard first."""
        for shard in sample(range(DUE_SHARDS), DUE_SHARDS):  # so that none is always the last
            answer = self._store.call(
                "query",
                TableName=self._table_name,
                IndexName="due",
                KeyConditionExpression="dueKey = :key AND dueAt <= :now",
                ExpressionAttributeValues={":key": {"S": due_key(shard)}, ":now": {"S": now}},
                Limit=limit,
            )
            yield from (item["paymentId"]["S"] for item in answer["Items"])

    def postpone(self, payment: Payment, due_at: str) -> Payment:
        """Put off when a payment is due; of two that do it at once, one may. No new version.

        Raises:
            PaymentChanged: it changed, or is due at another time by now.
        """
        later = replace(payment, due_at=due_at, attempts=payment.attempts + 1)
        try:
            self._update(payment, to_item(later), " AND #due = :due")
        except ConditionFailed as refusal:
            raise PaymentChanged(_as_it_stands(refusal)) from None
        return later

    def _update(self, before: Payment, item: Item, further_condition: str = "") -> None:
        """Write the attributes that differ, if the stored version is the one that was read."""
        old = to_item(before)
        # The first change writes all of it: an item of the first schema lacks most.
        written = [n for n in item if before.version == 1 or item[n] != old.get(n)]
        written = [name for name in written if name != "paymentId"]
        removed = [name for name in old if name not in item]
        names = {f"#{index}": name for index, name in enumerate([*written, *removed])}
        values = {f":{index}": item[name] for index, name in enumerate(written)}
        expression = "SET " + ", ".join(f"#{index} = :{index}" for index in range(len(written)))
        if removed:
            expression += " REMOVE " + ", ".join(list(names)[len(written) :])
        names["#version"], values[":version"] = "version", old["version"]
        if further_condition:
            names["#due"], values[":due"] = "dueAt", old["dueAt"]
        self._store.call(
            "update_item",
            TableName=self._table_name,
            Key=_key(before.payment_id),
            UpdateExpression=expression,
            ConditionExpression=_IS_VERSION + further_condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    def try_create(self) -> None:
        """Make the call that `create` makes, for an item that can never be: nothing is stored."""
        self._store.call(
            "put_item",
            TableName=self._table_name,
            Item=_key("none"),
            ConditionExpression="attribute_exists(paymentId)",
        )

    def try_page(self) -> None:
        """Make a call that `page` makes, for an owner that can never be."""
        self._shard("none", None, 1, None)

    def try_get(self) -> None:
        """Make the call that `get` makes, for a payment that can never be."""
        self._store.call("get_item", TableName=self._table_name, Key=_key("none"))


def payments() -> PaymentRepository:
    """Return the repository that this execution environment's functions work on."""
    return PaymentRepository(STORE, settings().table_name)


def _as_it_stands(refusal: ConditionFailed) -> Payment:
    """Return the payment that a write's condition met.

    Raises:
        StoreUnavailable: the store hands back none, though there must be one.
    """
    if not refusal.item:
        raise StoreUnavailable from refusal
    return from_item(refusal.item)


def _key(payment_id: str) -> dict[str, Any]:
    return {"paymentId": {"S": payment_id}}
