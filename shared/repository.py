"""Payments in DynamoDB: the only module that knows it.

One item per payment, `paymentId` its only key. A create is one conditional write, which is also
the whole of idempotency: an id derived from an idempotency key can be made once, and whoever comes
second is handed the item that stands there.
"""

from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from secrets import token_hex
from typing import Any, TypeVar
from zlib import crc32

from botocore.config import Config
from botocore.credentials import CredentialResolver, EnvProvider
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError
from botocore.session import Session

from shared.errors import IdempotencyKeyReused, PaymentNotFound, StoreUnavailable
from shared.payment import Payment
from shared.settings import settings

# Two tries of at most three seconds end well within the function's timeout.
CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
    parameter_validation=False,  # the parameters are this module's own, and DynamoDB checks them
    user_agent="payment-api",  # else put together anew for every call
    endpoint_discovery_enabled=False,  # DynamoDB has none to discover
)

# DynamoDB's error codes that mean "later" (Amazon DynamoDB Developer Guide, Error handling).
BUSY = {
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
}

NOT_FOUND = "you have no payment with this id"
TRY_AGAIN = "wait as Retry-After says, then repeat the call with the same Idempotency-Key"

Result = TypeVar("Result")
Item = Mapping[str, Any]


class PaymentRepository:
    """The payments of one table."""

    def __init__(self, client: Any, table_name: str) -> None:
        self._client = client
        self._table_name = table_name

    def create(self, payment: Payment) -> tuple[Payment, bool]:
        """Store the payment, or find the one that the same request made before.

        Returns:
            The payment as it stands, and whether this call made it.

        Raises:
            IdempotencyKeyReused: its id is taken by another payment.
            StoreUnavailable: it may or may not have been stored.
        """
        # Tells this call's own write from another's: botocore tries a write again when its answer
        # was lost, and then meets the item that it made itself.
        write_id = {"S": token_hex(8)}
        try:
            _reach(
                self._client.put_item,
                TableName=self._table_name,
                Item={**_to_item(payment), "writeId": write_id},
                ConditionExpression="attribute_not_exists(paymentId)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refusal:
            item = refusal.response["Item"]
            existing = _from_item(item)
            if item["writeId"] == write_id:
                return existing, True
            if not existing.is_same_request(payment):
                raise IdempotencyKeyReused("take a new Idempotency-Key for each payment") from None
            return existing, False
        return payment, True

    def get(self, payment_id: str, owner: str) -> Payment:
        """Return the owner's payment with this id.

        Raises:
            PaymentNotFound: there is none, or it is somebody else's.
            StoreUnavailable: the store did not answer.
        """
        answer = _reach(
            self._client.get_item,
            TableName=self._table_name,
            Key={"paymentId": {"S": payment_id}},
            ConsistentRead=True,
        )
        if "Item" not in answer:
            raise PaymentNotFound(NOT_FOUND)
        payment = _from_item(answer["Item"])
        if payment.owner != owner:
            raise PaymentNotFound(NOT_FOUND)
        return payment

    def try_create(self) -> None:
        """Make the call that `create` makes, for an item that can never be: nothing is stored."""
        _reach(
            self._client.put_item,
            TableName=self._table_name,
            Item={"paymentId": {"S": "none"}},
            ConditionExpression="attribute_exists(paymentId)",
        )

    def try_get(self) -> None:
        """Make the call that `get` makes, for a payment that can never be."""
        _reach(
            self._client.get_item,
            TableName=self._table_name,
            Key={"paymentId": {"S": "none"}},
        )


@cache
def payments() -> PaymentRepository:
    """Return the repository that this execution environment's functions work on."""
    session = Session()
    # Lambda hands credentials over in the environment: nothing else is set up to look for them.
    session.register_component("credential_provider", CredentialResolver([EnvProvider()]))
    client = session.create_client("dynamodb", config=CLIENT_CONFIG)
    client.meta.events.register("before-parse.dynamodb", _check_answer)
    return PaymentRepository(client, settings().table_name)


def _check_answer(response_dict: dict[str, Any], **_: object) -> None:
    """Raise unless the answer is what DynamoDB sent, by its CRC-32.

    botocore takes an answer that was cut off, or is no JSON, for an empty one, which says that a
    payment was stored or that there is none. DynamoDB sends the checksum with every answer,
    DynamoDB Local sends none with an error.
    """
    status, body = response_dict["status_code"], response_dict["body"]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        response_dict["body"] = b""  # the status says it all; the page may be a load balancer's
        return
    checksum = response_dict["headers"].get("x-amz-crc32")
    if checksum is None and status != HTTPStatus.OK and b'"__type"' in body:
        return
    if checksum != str(crc32(body)):
        raise ResponseParserError(f"an answer with status {status} is damaged or not DynamoDB's")


def _reach(call: Callable[..., Result], **parameters: object) -> Result:
    """Call DynamoDB; tell apart what it refuses from its being away."""
    try:
        return call(**parameters)
    except ClientError as error:
        if _code(error) in BUSY or _status(error) >= 500:
            raise StoreUnavailable(TRY_AGAIN) from error
        raise
    except (HTTPClientError, NoConnectionError, ResponseParserError) as error:
        raise StoreUnavailable(TRY_AGAIN) from error


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _to_item(payment: Payment) -> dict[str, Any]:
    item = {
        "paymentId": {"S": payment.payment_id},
        "owner": {"S": payment.owner},
        "amountMinor": {"N": str(payment.amount_minor)},
        "currency": {"S": payment.currency},
        "metadata": {"M": {key: {"S": value} for key, value in payment.metadata.items()}},
        "status": {"S": payment.status},
        "createdAt": {"S": payment.created_at},
        "updatedAt": {"S": payment.updated_at},
    }
    if payment.description is not None:
        item["description"] = {"S": payment.description}
    return item


def _from_item(item: Item) -> Payment:
    return Payment(
        payment_id=item["paymentId"]["S"],
        owner=item["owner"]["S"],
        amount_minor=int(item["amountMinor"]["N"]),
        currency=item["currency"]["S"],
        description=item["description"]["S"] if "description" in item else None,
        metadata={key: value["S"] for key, value in item["metadata"]["M"].items()},
        status=item["status"]["S"],
        created_at=item["createdAt"]["S"],
        updated_at=item["updatedAt"]["S"],
    )
