"""The life of a payment as data: what may become what, by whom, and what follows from amounts."""

import pytest

from shared.payments import lifecycle
from shared.payments.lifecycle import MOVES, allows, may_become, status_of

BEFORE_MONEY = ("PENDING", "REQUIRES_ACTION", "PROCESSING", "AUTHORIZED")
CALLS = ("confirm", "capture", "cancel", "refund", "update")

# The table of the contract, written a second time: from, to, by which calls; "gateway" apart.
TABLE = """
PENDING            REQUIRES_ACTION     confirm update
PENDING            PROCESSING          confirm update
PENDING            AUTHORIZED          confirm update
PENDING            CAPTURED            confirm capture update
PENDING            FAILED              confirm update
PENDING            CANCELED            cancel update
PENDING            EXPIRED             update
REQUIRES_ACTION    PROCESSING          confirm cancel update
REQUIRES_ACTION    AUTHORIZED          confirm update gateway
REQUIRES_ACTION    CAPTURED            confirm capture update gateway
REQUIRES_ACTION    FAILED              confirm update gateway
REQUIRES_ACTION    CANCELED            cancel update gateway
REQUIRES_ACTION    EXPIRED             update gateway
PROCESSING         PENDING             confirm
PROCESSING         REQUIRES_ACTION     confirm cancel update gateway
PROCESSING         AUTHORIZED          confirm capture cancel update gateway
PROCESSING         CAPTURED            confirm capture cancel update gateway
PROCESSING         FAILED              confirm update gateway
PROCESSING         CANCELED            cancel update gateway
PROCESSING         EXPIRED             update gateway
AUTHORIZED         PROCESSING          capture cancel
AUTHORIZED         CAPTURED            capture update gateway
AUTHORIZED         CANCELED            cancel update gateway
AUTHORIZED         EXPIRED             update gateway
CAPTURED           PARTIALLY_REFUNDED  refund gateway
CAPTURED           REFUNDED            refund gateway
CAPTURED           FAILED              gateway
PARTIALLY_REFUNDED CAPTURED            gateway
PARTIALLY_REFUNDED REFUNDED            refund gateway
PARTIALLY_REFUNDED FAILED              gateway
REFUNDED           CAPTURED            gateway
REFUNDED           PARTIALLY_REFUNDED  gateway
REFUNDED           FAILED              gateway
FAILED             AUTHORIZED          gateway
FAILED             CAPTURED            gateway
CANCELED           AUTHORIZED          gateway
CANCELED           CAPTURED            gateway
EXPIRED            AUTHORIZED          gateway
EXPIRED            CAPTURED            gateway
"""
EXPECTED = {
    (before, after): set(causes)
    for before, after, *causes in map(str.split, TABLE.strip().splitlines())
}


def test_the_table_is_the_contract_s() -> None:
    moves = {(a, b): set(causes) for a, to in MOVES.items() for b, causes in to.items()}

    assert moves == EXPECTED


@pytest.mark.parametrize("status", lifecycle.STATUSES)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_allowed_where_a_move_by_it_is(status: str, call: str) -> None:
    leads_to = [b for (a, b), causes in EXPECTED.items() if a == status and call in causes]

    assert may_become(status, call) == leads_to
    assert allows(status, call) == bool(leads_to)


@pytest.mark.parametrize("status", lifecycle.STATUSES)
def test_a_client_is_told_of_moves_by_calls_alone(status: str) -> None:
    by_calls = [b for (a, b), causes in EXPECTED.items() if a == status and causes & set(CALLS)]

    assert may_become(status) == by_calls


def test_no_call_brings_an_ended_payment_back() -> None:
    assert {"FAILED", "CANCELED", "EXPIRED"} == lifecycle.ENDS
    for status in lifecycle.ENDS:
        assert may_become(status) == []


def test_every_status_is_kept_under_its_own_name() -> None:
    assert len(set(lifecycle.STATUSES)) == 10
    assert {"CAPTURED", "PARTIALLY_REFUNDED", "REFUNDED"} == lifecycle.PAID
    for status in lifecycle.STATUSES:
        assert getattr(lifecycle, status) == status


@pytest.mark.parametrize("state", lifecycle.STATUSES)
@pytest.mark.parametrize("is_under_way", [False, True])
@pytest.mark.parametrize(
    ("captured", "refunded", "status"),
    [
        (1, 0, "CAPTURED"),
        (2, 1, "PARTIALLY_REFUNDED"),
        (10000, 9999, "PARTIALLY_REFUNDED"),
        (1, 1, "REFUNDED"),
        (10000, 10000, "REFUNDED"),
        (10000, 10001, "REFUNDED"),
    ],
)
def test_the_amounts_tell_what_a_paid_payment_is(
    state: str, is_under_way: bool, captured: int, refunded: int, status: str
) -> None:
    assert status_of(state, captured, refunded, is_under_way=is_under_way) == status


@pytest.mark.parametrize("state", lifecycle.STATUSES)
@pytest.mark.parametrize("refunded", [0, 1])
def test_without_money_it_is_what_its_gateway_said_or_is_asked(state: str, refunded: int) -> None:
    assert status_of(state, 0, refunded, is_under_way=False) == state
    assert status_of(state, 0, refunded, is_under_way=True) == "PROCESSING"
