"""A payment, and how it is named.

Plain Python, without Pydantic: the read path validates nothing but an id, and need not pay for
more on a cold start.
"""

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone

from shared.payments.currencies import DECIMALS
from shared.payments.money import to_major

PAYMENT_ID_RULE = "must be pay_ and 32 characters from a-z and 2-7"
_ID = re.compile(r"pay_[a-z2-7]{32}")


@dataclass(frozen=True)
class Payment:
    """A payment as it is kept and shown.

    Attributes:
        payment_id: `pay_` and 32 characters.
        owner: the `sub` of the token that created it; never shown.
        amount_minor: minor units of the currency (ISO 4217).
        decimals: what makes major units of them. Kept, since a later list may say otherwise.
        status: PENDING, until there is more to say.
        created_at: UTC, RFC 3339 with milliseconds.
        fingerprint: of the request that created it; never shown.
    """

    payment_id: str
    owner: str
    amount_minor: int
    currency: str
    decimals: int
    description: str | None
    metadata: dict[str, str]
    status: str
    created_at: str
    updated_at: str
    fingerprint: str

    def to_json(self) -> str:
        """Return the payment as a client sees it, the amount as an exact JSON number."""
        fields = {
            "amountMinor": self.amount_minor,
            "currency": self.currency,
            "status": self.status,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "description": self.description,
            # Sorted, since DynamoDB does not keep a map's order: every answer is the same text.
            "metadata": dict(sorted(self.metadata.items())),
        }
        amount = to_major(self.amount_minor, self.decimals)
        # json.dumps knows no exact decimal, so the number is written here.
        return f'{{"paymentId": "{self.payment_id}", "amount": {amount}, {json.dumps(fields)[1:]}'

    def is_same_request(self, other: "Payment") -> bool:
        """Whether both were asked for alike: by one caller, for the same money and purpose."""
        return self.owner == other.owner and self.fingerprint == other.fingerprint


def new_payment(
    owner: str,
    idempotency_key: str | None,
    *,
    amount_minor: int,
    currency: str,
    description: str | None,
    metadata: dict[str, str] | None,
) -> Payment:
    """Return a payment to create: the owner's, pending, from now."""
    created_at = now()
    metadata = metadata or {}
    asked_for = [amount_minor, currency, description, sorted(metadata.items())]
    return Payment(
        payment_id=new_payment_id(owner, idempotency_key),
        owner=owner,
        amount_minor=amount_minor,
        currency=currency,
        decimals=DECIMALS[currency],
        description=description,
        metadata=metadata,
        status="PENDING",
        created_at=created_at,
        updated_at=created_at,
        fingerprint=hashlib.sha256(json.dumps(asked_for).encode()).hexdigest(),
    )


def new_payment_id(owner: str, idempotency_key: str | None) -> str:
    """Return an id: always the same one for an owner's key, a random one without a key.

    The id is the key's record. Two creates with one key meet at one item of the table, which one
    conditional write lets only the first of them make.
    """
    if idempotency_key is None:
        return _payment_id(secrets.token_bytes(20))
    # JSON keeps the two apart: no owner and key run together into another pair's bytes.
    name = json.dumps(["payment", owner, idempotency_key]).encode()
    return _payment_id(hashlib.sha256(name).digest()[:20])


def now() -> str:
    """Return the time: UTC, RFC 3339 with milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_payment_id(text: str) -> bool:
    """Whether this could be the id of a payment."""
    return _ID.fullmatch(text) is not None


def _payment_id(unique: bytes) -> str:
    return f"pay_{base64.b32encode(unique).decode().lower()}"
