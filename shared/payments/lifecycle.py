"""The life of a payment as data: its statuses, what each may become, and what causes it."""

from collections.abc import Mapping

PENDING = "PENDING"  # made here, nothing asked of a gateway yet
REQUIRES_ACTION = "REQUIRES_ACTION"  # the payer has to do something
PROCESSING = "PROCESSING"  # the gateway was asked, and the outcome is not known yet
AUTHORIZED = "AUTHORIZED"  # the money is held
CAPTURED = "CAPTURED"  # the money is here
PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
REFUNDED = "REFUNDED"
FAILED = "FAILED"
CANCELED = "CANCELED"
EXPIRED = "EXPIRED"

# Causes: the calls of the API by name (`update` for manual payments alone), and `gateway`, what a
# gateway says without being asked. A gateway's word about money is taken from any status.
CONFIRM, CAPTURE, CANCEL, REFUND, UPDATE = "confirm", "capture", "cancel", "refund", "update"
GATEWAY = "gateway"

MOVES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    PENDING: {
        REQUIRES_ACTION: (CONFIRM, UPDATE),
        PROCESSING: (CONFIRM, UPDATE),
        AUTHORIZED: (CONFIRM, UPDATE),
        CAPTURED: (CONFIRM, CAPTURE, UPDATE),
        FAILED: (CONFIRM, UPDATE),
        CANCELED: (CANCEL, UPDATE),
        EXPIRED: (UPDATE,),
    },
    REQUIRES_ACTION: {
        PROCESSING: (CONFIRM, CANCEL, UPDATE),
        AUTHORIZED: (CONFIRM, UPDATE, GATEWAY),
        CAPTURED: (CONFIRM, CAPTURE, UPDATE, GATEWAY),
        FAILED: (CONFIRM, UPDATE, GATEWAY),
        CANCELED: (CANCEL, UPDATE, GATEWAY),
        EXPIRED: (UPDATE, GATEWAY),
    },
    PROCESSING: {
        PENDING: (CONFIRM,),  # it did not happen
        REQUIRES_ACTION: (CONFIRM, CANCEL, UPDATE, GATEWAY),
        AUTHORIZED: (CONFIRM, CAPTURE, CANCEL, UPDATE, GATEWAY),
        CAPTURED: (CONFIRM, CAPTURE, CANCEL, UPDATE, GATEWAY),
        FAILED: (CONFIRM, UPDATE, GATEWAY),
        CANCELED: (CANCEL, UPDATE, GATEWAY),
        EXPIRED: (UPDATE, GATEWAY),
    },
    AUTHORIZED: {
        PROCESSING: (CAPTURE, CANCEL),
        CAPTURED: (CAPTURE, UPDATE, GATEWAY),
        CANCELED: (CANCEL, UPDATE, GATEWAY),
        EXPIRED: (UPDATE, GATEWAY),
    },
    CAPTURED: {
        PARTIALLY_REFUNDED: (REFUND, GATEWAY),
        REFUNDED: (REFUND, GATEWAY),
        FAILED: (GATEWAY,),  # the capture was reversed
    },
    PARTIALLY_REFUNDED: {CAPTURED: (GATEWAY,), REFUNDED: (REFUND, GATEWAY), FAILED: (GATEWAY,)},
    REFUNDED: {CAPTURED: (GATEWAY,), PARTIALLY_REFUNDED: (GATEWAY,), FAILED: (GATEWAY,)},
    FAILED: {AUTHORIZED: (GATEWAY,), CAPTURED: (GATEWAY,)},
    CANCELED: {AUTHORIZED: (GATEWAY,), CAPTURED: (GATEWAY,)},
    EXPIRED: {AUTHORIZED: (GATEWAY,), CAPTURED: (GATEWAY,)},
}

STATUSES = tuple(MOVES)
ENDS = frozenset({FAILED, CANCELED, EXPIRED})
PAID = frozenset({CAPTURED, PARTIALLY_REFUNDED, REFUNDED})


def known_status(text: str) -> str:
    """Return a status.

    Raises:
        ValueError: it is none.
    """
    if text not in STATUSES:
        raise ValueError(f"must be one of {', '.join(STATUSES)}")
    return text


def may_become(status: str, cause: str | None = None) -> list[str]:
    """Return what a payment may become by one call of the API, or by any of them."""
    return [
        to
        for to, causes in MOVES[status].items()
        if (cause in causes if cause else set(causes) - {GATEWAY})
    ]


def allows(status: str, call: str) -> bool:
    """Whether a payment with this status may be asked for by a call."""
    return any(call in causes for causes in MOVES[status].values())


def status_of(state: str, captured_minor: int, refunded_minor: int, *, is_under_way: bool) -> str:
    """Return the status that follows from what is known.

    Args:
        state: what the gateway said last, refunds apart.
        captured_minor: what was captured, minor units.
        refunded_minor: what was given back of it, minor units.
        is_under_way: whether a gateway was asked for something other than a refund, and the
            outcome is not known.
    """
    if captured_minor:
        if not refunded_minor:
            return CAPTURED
        return REFUNDED if refunded_minor >= captured_minor else PARTIALLY_REFUNDED
    return PROCESSING if is_under_way else state
