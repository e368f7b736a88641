"""The one way in for what a gateway says: `apply(payment, facts)`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.payments import lifecycle
from shared.payments.clock import later, now
from shared.payments.payment import MANUAL, MAX_HISTORY, Change, Operation, Payment, Refund

FIRST_LOOK_SECONDS = 30
"""How long an operation may be under way before it is taken up again: longer than any function."""

LOOK_AGAIN_SECONDS = 60
"""How soon a gateway is asked for the outcome of what it said is still going on."""

PAYER_SECONDS = 300
"""How long a payer has the gateway's page before the first look. A webhook comes sooner."""

LONGEST_WAIT_SECONDS = 600
"""The longest pause between two looks at an operation under way."""

LONGEST_IDLE_SECONDS = 6 * 3600
"""The same for a payment that waits for its payer or its gateway. A webhook comes sooner."""

_WAITING = (lifecycle.PROCESSING, lifecycle.REQUIRES_ACTION, lifecycle.AUTHORIZED)


@dataclass(frozen=True)
class RefundFacts:
    """What a gateway says of one refund: status is PENDING, SUCCEEDED or FAILED."""

    refund_id: str
    amount_minor: int
    status: str
    error: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a gateway says of a payment: everything that it knows, as of now.

    Attributes:
        state: a status of the life cycle, refunds apart.
        captured_minor: what was captured, minor units.
        refunds: every refund that it knows.
        next_action, authorized_until, last_error, references: as a payment has them.
        answers: the id of the operation that this is the definite answer to, if it is one.
    """

    state: str
    captured_minor: int = 0
    refunds: tuple[RefundFacts, ...] = ()
    next_action: Mapping[str, str] | None = None
    authorized_until: str | None = None
    last_error: Mapping[str, str] | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    answers: str | None = None


def apply(payment: Payment, facts: Facts) -> Payment:
    """Return the payment with what its gateway says; the gateway's word about money overrules ours.

    An ended payment comes back only with money. A gateway that knows nothing of a payment which it
    knew (PENDING) reads from a copy that is behind: nothing is learnt from it. `revise` makes a
    change of what is returned that can be kept.
    """
    if facts.state == lifecycle.PENDING != payment.state:
        return payment
    is_money = facts.captured_minor > 0 or facts.state == lifecycle.AUTHORIZED
    if payment.state in lifecycle.ENDS and not is_money:
        facts = replace(facts, state=payment.state, next_action=None)
    for refund in facts.refunds:
        payment = _with_refund(payment, refund)
    operation = payment.operation
    if operation and is_over(operation, facts):
        if any(each.refund_id == operation.refund_id for each in facts.refunds):
            payment = replace(payment, operation=None)
        else:
            payment = abandon(payment, (facts.last_error or {}).get("message"))
    return replace(
        payment,
        state=facts.state,
        captured_minor=facts.captured_minor,
        next_action=_texts(facts.next_action),
        authorized_until=facts.authorized_until or None,
        last_error=_texts(facts.last_error),
        references=_texts({**(payment.references or {}), **facts.references}),
    )


def abandon(payment: Payment, error: str | None = None) -> Payment:
    """Return the payment without its operation, which is not asked for again.

    A refund that it was about did not happen: it has failed, with the error as the reason.
    """
    operation = payment.operation
    if operation and operation.refund_id and (refund := payment.refund(operation.refund_id)):
        error = error or "It did not happen"
        failed = replace(refund, status="FAILED", error=error, updated_at=now())
        payment = payment.with_refund(failed)
    return replace(payment, operation=None)


def revise(before: Payment, after: Payment, cause: str) -> Payment:
    """Return `after` as the next version of `before`, or `before` where nothing changed.

    Status, history and due time follow from what is known.
    """
    if after == before:
        return before
    at = now()
    status = lifecycle.status_of(
        after.state,
        after.captured_minor,
        after.refunded_minor,
        is_under_way=after.operation is not None and after.operation.kind != lifecycle.REFUND,
    )
    history = after.history
    if status != before.status:
        history = (*history[:1], *history[1:][-(MAX_HISTORY - 2) :], Change(status, at, cause))
    after = replace(
        after,
        status=status,
        history=history,
        version=before.version + 1,
        updated_at=at,
        attempts=0,
    )
    return replace(after, due_at=_due_at(after))


def _due_at(payment: Payment) -> str | None:
    """Return when to ask the gateway again, unless it speaks first."""
    if payment.gateway == MANUAL:
        return None
    if payment.operation:
        return later(payment.operation.since, _first_pause(payment))
    is_refunding = any(refund.status == "PENDING" for refund in payment.refunds)
    if payment.status == lifecycle.AUTHORIZED and payment.authorized_until and not is_refunding:
        return later(payment.authorized_until, LOOK_AGAIN_SECONDS)
    # A hold whose end is not known may end at any time.
    if is_refunding or payment.status in _WAITING:
        return later(payment.updated_at, _first_pause(payment))
    return None


def next_look(payment: Payment) -> str:
    """Return when to ask the gateway of a payment that is due now once more: later each time.

    The end of its page is one of these times.
    """
    longest = LONGEST_WAIT_SECONDS if payment.operation else LONGEST_IDLE_SECONDS
    look = later(now(), min(_first_pause(payment) * 2**payment.attempts, longest))
    if not payment.operation and payment.next_action and "expiresAt" in payment.next_action:
        end = later(payment.next_action["expiresAt"], LOOK_AGAIN_SECONDS)
        return min(look, end) if end > now() else look
    return look


def _first_pause(payment: Payment) -> int:
    if payment.operation:
        return FIRST_LOOK_SECONDS
    return PAYER_SECONDS if payment.status == lifecycle.REQUIRES_ACTION else LOOK_AGAIN_SECONDS


def is_over(operation: Operation, facts: Facts) -> bool:
    """Tell whether the facts decide the operation, though they may not be the answer to it."""
    if facts.answers == operation.operation_id:
        return True
    is_ended = facts.captured_minor > 0 or facts.state in lifecycle.ENDS
    match operation.kind:
        case "start":
            return facts.state != lifecycle.PENDING
        case "complete":
            return is_ended or facts.state == lifecycle.AUTHORIZED
        case "refund":
            return any(each.refund_id == operation.refund_id for each in facts.refunds)
    return is_ended


def _texts(said: Mapping[str, str | None] | None) -> Mapping[str, str] | None:
    """Return what a gateway said as the store keeps it: nothing that is None, nor an empty object.

    A gateway's JSON has a null where mypy expects a text.
    """
    return {name: text for name, text in (said or {}).items() if text is not None} or None


def _with_refund(payment: Payment, facts: RefundFacts) -> Payment:
    facts = replace(facts, error=facts.error or None)
    known = payment.refund(facts.refund_id)
    at = now()
    if known is None:  # made at the gateway, not here
        new = Refund(facts.refund_id, facts.amount_minor, facts.status, at, at, error=facts.error)
        return payment.with_refund(new)
    said = (facts.amount_minor, facts.status, facts.error)
    if (known.amount_minor, known.status, known.error) == said:
        return payment
    return payment.with_refund(
        replace(
            known,
            amount_minor=facts.amount_minor,
            status=facts.status,
            error=facts.error,
            updated_at=at,
        )
    )
