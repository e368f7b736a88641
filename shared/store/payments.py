"""Payments in DynamoDB: the only module that knows how they are kept there.

One item per payment, `paymentId` its only key. A create is one conditional write, which is also
the whole of idempotency: an id derived from an idempotency key can be made once, and whoever comes
second is handed the item that stands there.
"""

from secrets import token_hex
from typing import Any

from shared.errors import IdempotencyKeyReused, PaymentNotFound, StoreUnavailable
from shared.payments.payment import Payment
from shared.settings import settings
from shared.store.dynamodb import STORE
from shared.store.port import Answer, ConditionFailed, Store


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
                Item={**_to_item(payment), "writeId": write_id},
                ConditionExpression="attribute_not_exists(paymentId)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as refusal:
            if not refusal.item:  # an item is why the condition failed, and was asked for
                raise StoreUnavailable from refusal
            existing = _from_item(refusal.item)
            if refusal.item.get("writeId") == write_id:
                return existing, True
            if not existing.is_same_request(payment):
                raise IdempotencyKeyReused from None
            return existing, False
        return payment, True

    def get(self, payment_id: str, owner: str) -> Payment:
        """Return the owner's payment with this id.

        Raises:
            PaymentNotFound: there is none, or it is somebody else's.
            StoreUnavailable: the store did not answer.
        """
        answer = self._store.call(
            "get_item",
            TableName=self._table_name,
            Key={"paymentId": {"S": payment_id}},
            ConsistentRead=True,
        )
        item = answer.get("Item", {})
        # One test for both, so that no clock tells a foreign payment from a missing one.
        if item.get("owner") != {"S": owner}:
            raise PaymentNotFound
        return _from_item(item)

    def try_create(self) -> None:
        """Make the call that `create` makes, for an item that can never be: nothing is stored."""
        self._store.call(
            "put_item",
            TableName=self._table_name,
            Item={"paymentId": {"S": "none"}},
            ConditionExpression="attribute_exists(paymentId)",
        )

    def try_get(self) -> None:
        """Make the call that `get` makes, for a payment that can never be."""
        self._store.call(
            "get_item",
            TableName=self._table_name,
            Key={"paymentId": {"S": "none"}},
        )


def payments() -> PaymentRepository:
    """Return the repository that this execution environment's functions work on."""
    return PaymentRepository(STORE, settings().table_name)


def _to_item(payment: Payment) -> dict[str, Any]:
    item = {
        "paymentId": {"S": payment.payment_id},
        "owner": {"S": payment.owner},
        "amountMinor": {"N": str(payment.amount_minor)},
        "currency": {"S": payment.currency},
        "decimals": {"N": str(payment.decimals)},
        "metadata": {"M": {key: {"S": value} for key, value in payment.metadata.items()}},
        "status": {"S": payment.status},
        "createdAt": {"S": payment.created_at},
        "updatedAt": {"S": payment.updated_at},
        "fingerprint": {"S": payment.fingerprint},
    }
    if payment.description is not None:
        item["description"] = {"S": payment.description}
    return item


def _from_item(item: Answer) -> Payment:
    return Payment(
        payment_id=item["paymentId"]["S"],
        owner=item["owner"]["S"],
        amount_minor=int(item["amountMinor"]["N"]),
        currency=item["currency"]["S"],
        decimals=int(item["decimals"]["N"]),
        description=item["description"]["S"] if "description" in item else None,
        metadata={key: value["S"] for key, value in item["metadata"]["M"].items()},
        status=item["status"]["S"],
        created_at=item["createdAt"]["S"],
        updated_at=item["updatedAt"]["S"],
        fingerprint=item["fingerprint"]["S"],
    )
