"""A payment and a refund as a client sees them: JSON text with exact decimal amounts."""

import json
from collections.abc import Callable
from functools import partial

from shared.payments.lifecycle import CANCELED
from shared.payments.money import to_major
from shared.payments.payment import Payment, Refund


def payment_json(
    payment: Payment, *, with_owner: bool = False, in_list: bool = False, in_ascii: bool = True
) -> str:
    """Return a payment as JSON; the owner is for the back office, the details are not in lists.

    json.dumps knows no exact decimal, so the amounts are written here.
    """
    dumps = partial(json.dumps, ensure_ascii=in_ascii)
    first = {
        "amountMinor": payment.amount_minor,
        "currency": payment.currency,
        "status": payment.status,
        "createdAt": payment.created_at,
        "updatedAt": payment.updated_at,
        "description": payment.description,
        # Sorted, since DynamoDB does not keep a map's order: every answer is the same text.
        "metadata": dict(sorted(payment.metadata.items())),
        "gateway": payment.gateway,
        "capture": payment.capture,
        "version": payment.version,
    }
    last: dict[str, object] = {
        "amountCapturedMinor": payment.captured_minor,
        "amountRefundedMinor": payment.refunded_minor,
        "nextAction": payment.next_action,
        "authorizedUntil": payment.authorized_until,
        "lastError": payment.last_error,
    }
    if payment.return_url:
        last["returnUrl"] = payment.return_url
    if payment.cancellation_reason and payment.status == CANCELED:
        last["cancellationReason"] = payment.cancellation_reason
    if with_owner:
        last["owner"] = payment.owner
    parts = [
        f'"paymentId": "{payment.payment_id}"',
        f'"amount": {to_major(payment.amount_minor, payment.decimals)}',
        dumps(first)[1:-1],
        f'"amountCaptured": {to_major(payment.captured_minor, payment.decimals)}',
        f'"amountRefunded": {to_major(payment.refunded_minor, payment.decimals)}',
        dumps(last)[1:-1],
    ]
    if not in_list:
        refunds = ", ".join(_refund_json(payment, refund, dumps) for refund in payment.refunds)
        history = dumps([vars(change) for change in payment.history])
        parts += [f'"refunds": [{refunds}]', f'"history": {history}']
    return f"{{{', '.join(parts)}}}"


def page_json(payments: list[Payment], next_cursor: str | None, *, with_owner: bool) -> str:
    """Return a page of a list as JSON."""
    shown = [payment_json(each, with_owner=with_owner, in_list=True) for each in payments]
    return f'{{"payments": [{", ".join(shown)}], "nextCursor": {json.dumps(next_cursor)}}}'


def refund_json(payment: Payment, refund_id: str) -> str:
    """Return a refund of the payment as JSON."""
    [refund] = [each for each in payment.refunds if each.refund_id == refund_id]
    return _refund_json(payment, refund, json.dumps)


def _refund_json(payment: Payment, refund: Refund, dumps: Callable[[object], str]) -> str:
    rest = {
        "amountMinor": refund.amount_minor,
        "currency": payment.currency,
        "status": refund.status,
        "reason": refund.reason,
        "createdAt": refund.created_at,
        "updatedAt": refund.updated_at,
        "error": refund.error,
    }
    amount = to_major(refund.amount_minor, payment.decimals)
    return (
        f'{{"refundId": "{refund.refund_id}", "paymentId": "{payment.payment_id}",'
        f' "amount": {amount}, {dumps(rest)[1:-1]}}}'
    )
