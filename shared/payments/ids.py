"""How payments, refunds and operations are named."""

import base64
import hashlib
import json
import re
import secrets

PAYMENT_ID_RULE = "must be pay_ and 32 characters from a-z and 2-7"
_ID = re.compile(r"pay_[a-z2-7]{32}")


def new_payment_id(owner: str, idempotency_key: str | None) -> str:
    """Return an id: always the same one for an owner's key, a random one without a key.

    The id is the key's record. Two creates with one key meet at one item of the table, which one
    conditional write lets only the first of them make.
    """
    if idempotency_key is None:
        return _id("pay_", secrets.token_bytes(20))
    return _id("pay_", _digest("payment", owner, idempotency_key))


def refund_id(payment_id: str, idempotency_key: str) -> str:
    """Return the id of the refund that a payment's key names."""
    return _id("ref_", _digest("refund", payment_id, idempotency_key))


def new_operation_id() -> str:
    """Return an id that no other operation has; the gateway's idempotency key is made of it."""
    return _id("op_", secrets.token_bytes(20))


def is_payment_id(text: str) -> bool:
    """Whether this could be the id of a payment."""
    return _ID.fullmatch(text) is not None


def fingerprint(*values: object) -> str:
    """Return what tells one request from another: equal for equal values alone."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:40]


def _digest(*names: str) -> bytes:
    # JSON keeps them apart: no two names run together into another pair's bytes.
    return hashlib.sha256(json.dumps(names).encode()).digest()[:20]


def _id(prefix: str, unique: bytes) -> str:
    return prefix + base64.b32encode(unique).decode().lower()
