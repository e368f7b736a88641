"""Payments at a gateway, in any state, for the tests of what is pure."""

from typing import Any

from shared.payments.lifecycle import status_of
from shared.payments.payment import Change, Operation, Payment, Refund

AT = "2026-11-24T10:00:00.000Z"
PAYMENT_ID = "pay_" + "a" * 32


def payment(state: str = "PENDING", **fields: Any) -> Payment:
    """Return a payment of 100 USD, authorized first; the status follows from the other fields."""
    values: dict[str, Any] = {
        "payment_id": PAYMENT_ID,
        "owner": "alice",
        "amount_minor": 10000,
        "currency": "USD",
        "decimals": 2,
        "created_at": AT,
        "updated_at": AT,
        "gateway": "scripted",
        "capture": "manual",
        "state": state,
        "history": (Change("PENDING", AT, "create"),),
        **fields,
    }
    refunds = values.get("refunds", ())
    done = sum(each.amount_minor for each in refunds if each.status == "SUCCEEDED")
    values.setdefault("refunded_minor", done)
    under_way = values.get("operation")
    status = status_of(
        state,
        values.get("captured_minor", 0),
        done,
        is_under_way=under_way is not None and under_way.kind != "refund",
    )
    return Payment(**{"status": status, **values})


def refund(number: int = 1, amount: int = 4000, status: str = "SUCCEEDED") -> Refund:
    return Refund(f"ref_{number}", amount, status, AT, AT)


def operation(kind: str, amount: int | None = None, refund_id: str | None = None) -> Operation:
    return Operation(f"op_{kind}", kind, AT, amount, refund_id)
