"""What an attacker would try with payments that move; docs/threat-model.md lists these tests."""

from typing import Any

import pytest

from list_payments.page import PageRequest
from shared.payments.ids import refund_id
from tests.conftest import Client, Response

REQUEST = {"amount": 100, "currency": "USD"}


def refund(office: Client, payment_id: str, key: str, **body: Any) -> Response:
    return office.do("refund", payment_id, body, {"Idempotency-Key": key})


def test_a_forged_cursor_reaches_nothing(alice: Client, bob: Client, edge: Any) -> None:
    """The seal holds no secret: anybody can seal a place in their own list."""
    bobs = PageRequest(bob.user, None, 20, None)
    mine = PageRequest(alice.user, None, 20, None)
    real = f"2026-11-24T10:00:00.000Z#pay_{'a' * 32}"
    sent: list[object] = []
    edge(lambda send, *request: sent.append(request) or send(*request))

    forged = [
        *(bobs.cursor(real), PageRequest(alice.user, "PENDING", 20, None).cursor(real)),
        *(mine.cursor(place) for place in ("x" * 2000, f"{real}#", f"\n{real}", real[1:], "\0")),
    ]
    for cursor in forged:
        assert cursor
        assert list(alice.list(cursor=cursor).errors) == ["cursor"]
    assert sent == []
    own = mine.cursor(real)
    assert own
    assert alice.list(cursor=own).json["payments"] == []


def test_an_owner_longer_than_any_is_refused(office: Client) -> None:
    assert office.list(owner="x" * 128).status == 200
    assert list(office.list(owner="x" * 129).errors) == ["owner"]


def test_a_key_of_another_call_or_payment_replays_nothing(alice: Client, office: Client) -> None:
    first, second = (alice.create(REQUEST, key=key).json["paymentId"] for key in ("k-1", "k-2"))
    for payment_id in (first, second):
        assert office.do("capture", payment_id, {}, {"Idempotency-Key": "k-1"}).status == 200

    refunds = [refund(office, payment_id, "k-1", amount=40) for payment_id in (first, second)]
    again = alice.create(REQUEST, key="k-1")

    assert [each.status for each in refunds] == [201, 201]
    assert not any("Idempotent-Replayed" in each.headers for each in refunds)
    assert len({each.json["refundId"] for each in refunds}) == 2
    assert again.json["paymentId"] == first


def test_two_payments_and_keys_never_run_together_into_one_refund() -> None:
    assert refund_id("pay_a", "b") != refund_id("pay_ab", "")
    assert refund_id("pay_a", 'b","c') != refund_id('pay_a","b', "c")


@pytest.mark.parametrize("version", ["0", "2", "01", "999999999", "9" * 30, "-1", "1e0", "٣"])
def test_a_forged_version_changes_nothing(alice: Client, office: Client, version: str) -> None:
    payment_id = alice.create(REQUEST).json["paymentId"]
    before = alice.get(payment_id).text

    for action, body in (("capture", {}), ("update", {"status": "FAILED"}), ("cancel", {})):
        refused = office.do(action, payment_id, body, {"If-Match": f'"{version}"'})
        assert refused.status in (400, 412), refused.text
    assert alice.get(payment_id).text == before


def test_refunds_in_any_number_stay_within_the_capture(alice: Client, office: Client) -> None:
    payment_id = alice.create(REQUEST).json["paymentId"]
    office.do("capture", payment_id, {"amount": "99.99"})

    answers = [
        refund(office, payment_id, f"r-{number}", amount=amount)
        for number, amount in enumerate([100, "99.99", "0.01", None, "1e2", "-1", 10**15, "0.001"])
    ]

    assert [answer.status for answer in answers] == [400, 201, 409, 409, 400, 400, 400, 400]
    assert alice.get(payment_id).json["amountRefundedMinor"] == 9999
