"""A payment, its refunds, and the operation that a gateway was asked for.

Plain Python, without Pydantic: the read path validates nothing but an id, and need not pay for
more on a cold start. Amounts are minor units of the payment's currency (ISO 4217); times are
`shared.payments.clock`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.payments import ids
from shared.payments.clock import now
from shared.payments.currencies import DECIMALS
from shared.payments.lifecycle import CONFIRM, PENDING

MANUAL = "manual"
"""The gateway for money that moves elsewhere: bank transfer, cash."""

AGREED = "confirm"
"""The type of a next action where the payer has agreed, and a confirm moves the money."""

MAX_REFUNDS = 50
MAX_HISTORY = 100


@dataclass(frozen=True)
class Refund:
    """Money that is given back, or is to be.

    Attributes:
        refund_id: `ref_` and 32 characters, derived from payment and idempotency key.
        status: PENDING, SUCCEEDED or FAILED.
        fingerprint: of the request that made it; empty where the gateway made it.
        error: why it failed, in the gateway's words.
    """

    refund_id: str
    amount_minor: int
    status: str
    created_at: str
    updated_at: str
    reason: str | None = None
    fingerprint: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Operation:
    """What a gateway was asked for, kept from before it is asked until its answer is known.

    Attributes:
        operation_id: the gateway's idempotency key is made of it.
        kind: start, complete, capture, cancel or refund.
        amount_minor: of a capture or refund.
        since: when it was written.
        refund_id: of a refund.
    """

    operation_id: str
    kind: str
    since: str
    amount_minor: int | None = None
    refund_id: str | None = None

    @property
    def cause(self) -> str:
        """The call of the API that asked for it."""
        return CONFIRM if self.kind in ("start", "complete") else self.kind


@dataclass(frozen=True)
class Change:
    """An entry of the history: the status since then, and what caused it."""

    status: str
    at: str
    cause: str


@dataclass(frozen=True)
class Payment:
    """A payment as it is kept.

    Attributes:
        payment_id: `pay_` and 32 characters.
        owner: the `sub` of the token that created it.
        decimals: of the currency. Kept, since a later list of currencies may say otherwise.
        status: where it stands, derived from what is known (`shared.payments.lifecycle`).
        state: what the gateway said last, refunds apart: a status.
        fingerprint: of the request that created it.
        version: grows by one with each change.
        gateway: who moves the money.
        capture: `automatic`, or `manual`: authorized first, captured by a call.
        next_action: what is to be done: type (`redirect` the payer to `url`, or AGREED), expiresAt.
        last_error: why the gateway refused something last: code, message.
        cancellation_reason: what the last call to cancel it gave as the reason.
        references: the gateway's own ids, by a name that the gateway chooses.
        due_at: when to ask the gateway again unless it speaks first; None: never.
        attempts: how often it was asked again since the last change.
        correlation_id: of the API call that started what happens to it now.
    """

    payment_id: str
    owner: str
    amount_minor: int
    currency: str
    decimals: int
    status: str
    created_at: str
    updated_at: str
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    gateway: str = MANUAL
    capture: str = "automatic"
    return_url: str | None = None
    version: int = 1
    state: str = PENDING
    captured_minor: int = 0
    refunded_minor: int = 0
    authorized_until: str | None = None
    next_action: Mapping[str, str] | None = None
    last_error: Mapping[str, str] | None = None
    cancellation_reason: str | None = None
    references: Mapping[str, str] | None = None
    operation: Operation | None = None
    refunds: tuple[Refund, ...] = ()
    history: tuple[Change, ...] = ()
    due_at: str | None = None
    attempts: int = 0
    correlation_id: str | None = None

    def is_same_request(self, other: "Payment") -> bool:
        """Whether both were asked for alike: by one caller, for the same money and purpose."""
        return self.owner == other.owner and self.fingerprint == other.fingerprint

    @property
    def refundable_minor(self) -> int:
        """What may still be given back: captured, and in no refund that succeeded or may."""
        taken = sum(refund.amount_minor for refund in self.refunds if refund.status != "FAILED")
        return max(0, self.captured_minor - taken)  # less than zero where a capture was reversed

    def refund(self, refund_id: str) -> Refund | None:
        """Return the refund with this id, if there is one."""
        return next((each for each in self.refunds if each.refund_id == refund_id), None)

    def with_refund(self, refund: Refund) -> "Payment":
        """Return the payment with this refund, in the place of the one that has its id."""
        by_id = {each.refund_id: each for each in (*self.refunds, refund)}
        refunds = tuple(by_id.values())
        refunded = sum(each.amount_minor for each in refunds if each.status == "SUCCEEDED")
        return replace(self, refunds=refunds, refunded_minor=refunded)


def new_payment(
    owner: str,
    idempotency_key: str | None,
    *,
    amount_minor: int,
    currency: str,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    gateway: str = MANUAL,
    capture: str = "automatic",
    return_url: str | None = None,
    correlation_id: str | None = None,
) -> Payment:
    """Return a payment to create: the owner's, pending, from now."""
    created_at, metadata = now(), metadata or {}
    later = (gateway, capture, return_url)
    return Payment(
        payment_id=ids.new_payment_id(owner, idempotency_key),
        owner=owner,
        amount_minor=amount_minor,
        currency=currency,
        decimals=DECIMALS[currency],
        description=description,
        metadata=metadata,
        fingerprint=_fingerprint(amount_minor, currency, description, metadata, later),
        status=PENDING,
        created_at=created_at,
        updated_at=created_at,
        gateway=gateway,
        capture=capture,
        return_url=return_url,
        history=(Change(PENDING, created_at, "create"),),
        correlation_id=correlation_id,
    )


def requested(payment: Payment) -> str:
    """Return the fingerprint of the request that created the payment."""
    later = (payment.gateway, payment.capture, payment.return_url)
    of_first_schema = (payment.amount_minor, payment.currency, payment.description)
    return _fingerprint(*of_first_schema, payment.metadata, later)


def _fingerprint(
    amount_minor: int,
    currency: str,
    description: str | None,
    metadata: Mapping[str, str],
    later: tuple[str, str, str | None],
) -> str:
    """Return what two requests for the same payment have in common.

    The fields that came later are left out where all have their defaults, so that older
    fingerprints stay.
    """
    return ids.fingerprint(
        amount_minor,
        currency,
        description,
        sorted(metadata.items()),
        *(later if later != (MANUAL, "automatic", None) else ()),
    )
