"""A payment's whole life by the client that openapi-python-client makes of docs/openapi.json."""

import os
from decimal import Decimal
from uuid import uuid4

import httpx
from payment_api_client import AuthenticatedClient
from payment_api_client.api.payments import (
    cancel_payment,
    capture_payment,
    confirm_payment,
    create_payment,
    get_payment,
    list_payments,
    refund_payment,
)
from payment_api_client.models import (
    CancelRequest,
    CaptureRequest,
    Currency,
    NextActionType,
    PaymentRequest,
    PaymentRequestCapture,
    Problem,
    RefundRequest,
    RefundStatus,
    Status,
)

people, office = (
    AuthenticatedClient(os.environ["URL"], os.environ[token]) for token in ("TOKEN", "MANAGE")
)

# Created once, with more digits than most money has.
order = PaymentRequest(
    amount="9999999999.99",
    currency=Currency.EUR,
    gateway="stripe",
    capture=PaymentRequestCapture.MANUAL,
    return_url="https://shop.example/orders/1002",
)
key = str(uuid4())
first, again = (
    create_payment.sync_detailed(client=people, body=order, idempotency_key=key) for _ in range(2)
)
payment = first.parsed
assert payment == again.parsed
assert again.headers["Idempotent-Replayed"] == "true"
assert (Decimal(repr(payment.amount)), payment.amount_minor) == (
    Decimal("9999999999.99"),
    999999999999,
)
longest = PaymentRequest(amount="9999999999999.99", currency=Currency.EUR)
other = create_payment.sync(client=people, body=longest)
assert repr(other.amount) == longest.amount
one = payment.payment_id

# Read, and listed page by page.
assert get_payment.sync(client=people, payment_id=one) == payment
page = list_payments.sync(client=people, limit=1)
more = list_payments.sync(client=people, limit=1, cursor=page.next_cursor)
assert [each.payment_id for each in (*page.payments, *more.payments)] == [other.payment_id, one]

# Paid on the gateway's page.
started = confirm_payment.sync(one, client=people)
assert started.next_action.type_ == NextActionType.REDIRECT
assert httpx.post(started.next_action.url, data={"outcome": "pay"}).status_code == 303
assert confirm_payment.sync(one, client=people).status == Status.AUTHORIZED

# Captured in part, and refunded, by the back office.
captured = capture_payment.sync(one, client=office, body=CaptureRequest("9999999999.98"))
assert repr(captured.amount_captured) == "9999999999.98"
cent, key = RefundRequest("0.01", "A cent too much"), str(uuid4())
refund, again = (
    refund_payment.sync(one, client=office, body=cent, idempotency_key=key) for _ in range(2)
)
assert refund == again
assert (refund.status, refund.amount_minor) == (RefundStatus.SUCCEEDED, 1)
read = get_payment.sync(client=people, payment_id=one)
assert (read.status, read.refunds) == (Status.PARTIALLY_REFUNDED, [refund])
assert [each.cause for each in read.history][:2] == ["create", "confirm"]

# Canceled; and refused, with a problem that says why.
canceled = cancel_payment.sync(other.payment_id, client=people, body=CancelRequest("Sold out"))
assert (canceled.status, canceled.cancellation_reason) == (Status.CANCELED, "Sold out")
refused = cancel_payment.sync(one, client=people)
assert isinstance(refused, Problem)
assert (refused.status, refused.current_status) == (409, "PARTIALLY_REFUNDED")
wrong = create_payment.sync(client=people, body=PaymentRequest(Currency.EUR, "0.001"))
assert isinstance(wrong, Problem)
assert [(each.field, each.message) for each in wrong.errors] == [
    ("amount", "EUR has 2 decimals, 0.001 has 3")
]
