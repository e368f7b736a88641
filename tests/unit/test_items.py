"""A payment as the table keeps it: what is written is what is read, and where it is listed."""

from dataclasses import replace
from typing import Any

from shared.payments.payment import Change
from shared.store.items import DUE_SHARDS, LIST_SHARDS, from_item, shard_of, to_item
from tests.unit.samples import AT, PAYMENT_ID, operation, payment, refund

WHOLE = payment(
    "CAPTURED",
    captured_minor=10000,
    description="Two books",
    metadata={"order": "7"},
    return_url="https://shop.example/",
    authorized_until=AT,
    next_action={"type": "redirect", "url": "https://pay.example/"},
    last_error={"code": "late", "message": "Too late"},
    cancellation_reason="Sold out",
    references={"intent": "pi_1"},
    operation=operation("refund", 4000, "ref_2"),
    refunds=(refund(1, 1000), refund(2, 4000, "PENDING")),
    history=(Change("PENDING", AT, "create"), Change("CAPTURED", AT, "capture")),
    fingerprint="f" * 40,
    due_at=AT,
    attempts=3,
    correlation_id="UkD1kF9kFiAEv2w=",
    version=7,
)
ITEM: dict[str, Any] = {
    "paymentId": {"S": PAYMENT_ID},
    "owner": {"S": "alice"},
    "amountMinor": {"N": "10000"},
    "currency": {"S": "USD"},
    "decimals": {"N": "2"},
    "status": {"S": "PENDING"},
    "state": {"S": "PENDING"},
    "createdAt": {"S": AT},
    "updatedAt": {"S": AT},
    "metadata": {"M": {}},
    "fingerprint": {"S": ""},
    "gateway": {"S": "scripted"},
    "capture": {"S": "manual"},
    "version": {"N": "1"},
    "capturedMinor": {"N": "0"},
    "refundedMinor": {"N": "0"},
    "attempts": {"N": "0"},
    "nextAction": {"M": {"url": {"S": "https://pay.example/"}}},
    "history": {
        "L": [{"M": {"status": {"S": "PENDING"}, "at": {"S": AT}, "cause": {"S": "create"}}}]
    },
    "schema": {"N": "2"},
    "listKey": {"S": "alice#0"},
    "listedAt": {"S": f"{AT}#{PAYMENT_ID}"},
    "dueAt": {"S": AT},
    "dueKey": {"S": "due#12"},
}


def test_what_is_written_is_what_is_read() -> None:
    assert from_item(to_item(WHOLE)) == WHOLE
    assert from_item(to_item(payment())) == replace(
        payment(), fingerprint=from_item(ITEM).fingerprint
    )


def test_an_item_has_a_field_for_each_thing_that_is_known() -> None:
    waiting = payment(next_action={"url": "https://pay.example/"}, due_at=AT)

    assert to_item(waiting) == ITEM
    assert to_item(replace(waiting, due_at=None)).keys() == ITEM.keys() - {"dueAt", "dueKey"}


def test_a_payment_stays_in_its_part_of_an_index() -> None:
    """Another part would hide the payments that are listed, or due, in the old one."""
    ids = [f"pay_{letter * 32}" for letter in "abcdefgh"]

    assert [shard_of(each, 4) for each in ids] == [0, 2, 2, 2, 3, 1, 3, 0]
    assert (LIST_SHARDS, DUE_SHARDS) == (4, 16)
