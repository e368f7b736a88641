"""What comes late, twice, out of order, or from somebody else at the gateway is kept as it is."""

import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from shared import wiring
from shared.gateways.manual import Manual
from shared.payments import clock
from shared.payments.facts import Facts
from shared.payments.payment import AGREED, Operation, Payment
from shared.store.items import from_item, to_item
from tests.conftest import forget
from tests.gateways.standins import NETWORK, STAND_INS, those_with
from tests.reliability.conftest import lives
from tests.reliability.gateway import Outcome, Scripted
from tests.reliability.life import Life, StandInLife, calls_of
from tests.reliability.proxy import Fault

DAY = 86_400
HOUR = 3600


def test_a_repeat_after_the_gateway_forgot_the_first_refunds_no_second_time(life: Life) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.gateway.plan(Fault.DROPPED_ANSWER)
    assert life.refund(payment_id, "r-1", amount=40).status == 202

    life.seconds_ahead += DAY + HOUR
    life.gateway.forget()
    again = life.refund(payment_id, "r-1", amount=40)

    assert (again.status, again.json["status"]) == (201, "SUCCEEDED")
    assert life.settled(payment_id).refunded_minor == 4000


AGES = [HOUR, 7 * HOUR, 25 * HOUR, 8 * DAY, 46 * DAY]
"""Within and beyond how long Stripe (24 hours) and PayPal (6 hours, 45 days) know a request."""


@pytest.mark.parametrize(
    ("life", "name", "fault"),
    [
        pytest.param(
            *(gateway, name, fault),
            id=f"{gateway}-{name}-{fault.name}",
            marks=[pytest.mark.slow] * ((name, fault) != ("refund in part", Fault.DROPPED_ANSWER)),
        )
        for gateway in those_with(NETWORK)
        for name in calls_of(STAND_INS[gateway])
        for fault in (Fault.DROPPED_ANSWER, Fault.DROPPED_REQUEST)
    ],
    indirect=["life"],
)
def test_nothing_moves_twice_whenever_a_lost_call_is_made_again(
    life: StandInLife, name: str, fault: Fault, record_property: Callable[[str, object], None]
) -> None:
    """The gateway has forgotten the request by then, if it is old enough."""
    call = life.calls[name]
    for age in AGES:
        payment_id = life.made(call.capture, call.before)
        life.gateway.plan(*[fault] * 99)
        assert life.do(call, payment_id).status == 202
        life.gateway.plan()

        life.seconds_ahead += age
        if age > DAY:
            life.gateway.forget()
        life.do(call, payment_id)
        life.sweep()
        life.do(call, payment_id)

        payment = life.settled(payment_id)
        was_done = fault is Fault.DROPPED_ANSWER and call.action in ("capture", "refund")
        if was_done or age == HOUR:
            call.has_led_to(payment)
        life.seconds_ahead += 2 * DAY
        life.gateway.forget()
        life.do(call, payment_id)
        life.agree(life.settled(payment_id))
        life.delete()
    record_property("cases", len(AGES))


def test_an_operation_that_may_not_be_repeated_any_more_is_given_up(life: Life) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.gateway.plan(Fault.DROPPED_REQUEST)
    assert life.refund(payment_id, "r-1").status == 202

    life.seconds_ahead += DAY + HOUR
    assert life.refund(payment_id, "r-1").status == 202
    life.sweep()
    given_up = life.refund(payment_id, "r-1")

    assert (given_up.json["status"], given_up.json["error"]) == ("FAILED", "It did not happen")
    assert given_up.headers["Idempotent-Replayed"] == "true"
    assert life.refund(payment_id, "r-2").json["status"] == "SUCCEEDED"
    assert life.settled(payment_id).status == "REFUNDED"


def test_how_long_an_answer_is_unknown_is_measured(life: Life, logs: io.StringIO) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.gateway.plan(Fault.DROPPED_ANSWER)
    life.refund(payment_id, "r-1")

    life.sweep()

    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    [age] = [line["OperationAge"] for line in lines if "OperationAge" in line]
    assert age == [pytest.approx(HOUR, abs=60)]


@pytest.mark.parametrize(
    ("name", "capture", "before", "after"),
    [
        ("confirm", "manual", "PENDING", "PENDING"),
        ("capture", "manual", "AUTHORIZED", "AUTHORIZED"),
        ("cancel", "manual", "AUTHORIZED", "AUTHORIZED"),
    ],
)
def test_what_was_given_up_can_be_asked_for_anew(
    life: Life, name: str, capture: str, before: str, after: str
) -> None:
    payment_id = life.made(capture, before)
    life.gateway.plan(Fault.DROPPED_REQUEST)
    assert life.office.do(name, payment_id).status == 202

    life.seconds_ahead += DAY + HOUR
    life.sweep()

    assert life.kept(payment_id).status == after
    assert life.office.do(name, payment_id).status == 200
    assert len({operation for _, _, operation in life.gateway.asked}) == 1
    life.settled(payment_id)


def test_a_request_that_is_late_when_it_is_the_last_is_waited_for(life: Life) -> None:
    """The client repeats its call just before the repeats end; that request is slow to arrive."""
    payment_id = life.made("automatic", "CAPTURED")
    life.gateway.plan(Fault.DROPPED_REQUEST)
    assert life.refund(payment_id, "r-1").status == 202
    life.seconds_ahead += DAY - 60
    life.gateway.plan(Fault.NONE, Fault.LATER_REQUEST)  # just after the next look
    assert life.refund(payment_id, "r-1").status == 202

    life.seconds_ahead += 120 - HOUR
    life.sweep()

    assert life.kept(payment_id).status == "CAPTURED"
    assert life.settled(payment_id).status == "REFUNDED"


def test_what_was_given_up_and_happens_after_all_is_kept(life: Life) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.gateway.plan(Fault.DROPPED_REQUEST)
    assert life.refund(payment_id, "r-1", amount=40).status == 202
    before = life.kept(payment_id)
    life.seconds_ahead += DAY + HOUR
    life.sweep()
    assert life.kept(payment_id).refunds[0].status == "FAILED"

    assert before.operation
    life.adapter.refund(before, before.operation)
    life.webhook(payment_id)

    payment = life.settled(payment_id)
    assert (payment.status, payment.refunded_minor) == ("PARTIALLY_REFUNDED", 4000)


def test_a_first_answer_that_is_sent_again_replaces_nothing_newer(life: Life) -> None:
    """The refund succeeded, of which the answer was lost, and has failed since."""
    payment_id = life.made("automatic", "CAPTURED")
    life.gateway.plan(Fault.DROPPED_ANSWER)
    assert life.refund(payment_id, "r-1").status == 202
    life.gateway.accounts[payment_id].fail_refunds()

    again = life.refund(payment_id, "r-1")

    assert (again.status, again.json["status"]) == (201, "FAILED")
    assert life.settled(payment_id).status == "CAPTURED"


def test_work_that_is_done_by_now_is_found_though_the_first_answer_is_sent_again(
    life: Life,
) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.plan(Outcome.WORKING)
    assert life.office.do("capture", payment_id).status == 202
    life.gateway.finish()

    assert life.office.do("capture", payment_id).json["status"] == "CAPTURED"
    life.settled(payment_id)


def test_a_capture_that_is_pending_is_a_202_and_then_waited_for(life: Life) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.plan(Outcome.PENDING)

    first = life.office.do("capture", payment_id)
    again = life.office.do("capture", payment_id)
    life.gateway.finish()
    life.sweep()
    done = life.office.do("capture", payment_id)

    assert (first.status, first.json["status"]) == (202, "PROCESSING")
    assert (again.status, again.json["type"]) == (
        409,
        "urn:problem:payment-api:operation-under-way",
    )
    assert (done.status, done.json["status"]) == (200, "CAPTURED")
    life.settled(payment_id)


def test_a_capture_of_another_amount_than_was_asked_for_is_a_409(life: Life) -> None:
    """Somebody captured a part by hand, at the gateway."""
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.accounts[payment_id].take("by hand", 6000)

    refused = life.office.do("capture", payment_id)

    assert (refused.status, refused.json["currentStatus"]) == (409, "CAPTURED")
    assert life.settled(payment_id).captured_minor == 6000


def test_an_answer_that_is_older_than_what_is_kept_replaces_nothing(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capture's answer is slow; meanwhile the schedule finds it done, and a part is refunded."""
    payment_id = life.made("manual", "AUTHORIZED")
    is_done, goes_on = threading.Event(), threading.Event()

    def capture(payment: Payment, operation: Operation) -> Facts:
        facts = Scripted.capture(life.adapter, payment, operation)
        is_done.set()
        assert goes_on.wait(30)
        return facts

    monkeypatch.setattr(life.adapter, "capture", capture)
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(life.office.do, "capture", payment_id)
        assert is_done.wait(30)
        life.sweep()
        assert life.refund(payment_id, "r-1", amount=40).status == 201
        goes_on.set()
        response = slow.result()

    assert (response.status, response.json["status"]) == (200, "PARTIALLY_REFUNDED")
    assert life.settled(payment_id).refunded_minor == 4000


def test_of_many_reconcilers_at_once_one_goes_on(life: Life) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.plan(Fault.DROPPED_REQUEST)
    assert life.office.do("capture", payment_id).status == 202
    life.gateway.plan()

    life.seconds_ahead += HOUR
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(wiring.operations().settle, [payment_id] * 8))

    assert len(life.gateway.asked) == 1
    assert life.settled(payment_id).status == "CAPTURED"


def test_a_saved_failure_is_asked_for_until_the_window_ends_and_then_given_up(life: Life) -> None:
    """A gateway may keep a 500 under the operation's id, and send it again for a day."""
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.plan(Fault.ERROR, *[Fault.NONE, Fault.ERROR] * 23)  # each ask, and no fetch
    assert life.office.do("capture", payment_id).status == 202
    looks = 0
    while life.kept(payment_id).operation:
        life.sweep()
        looks += 1
    life.gateway.plan()

    assert looks == 25
    assert life.kept(payment_id).status == "AUTHORIZED"
    assert life.office.do("capture", payment_id).json["status"] == "CAPTURED"
    life.settled(payment_id)


def test_a_look_at_what_is_under_way_comes_later_each_time(life: Life) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.plan(*[Fault.ERROR] * 100)
    life.office.do("capture", payment_id)
    asked = life.gateway.calls
    looks = []
    for _ in range(30):  # half an hour, a run every minute
        life.seconds_ahead += 60
        life.run_schedule()
        looks.append(life.gateway.calls - asked)

    assert looks[-1] <= 8
    life.settled(payment_id)


def test_refunds_made_at_the_gateway_count(life: Life) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    account = life.gateway.accounts[payment_id]
    account.give_back(3000)
    too_much = life.refund(payment_id, "r-1", amount=80)
    account.give_back(2000)
    life.webhook(payment_id)
    still_too_much = life.refund(payment_id, "r-2", amount="50.01")
    rest = life.refund(payment_id, "r-3", amount=50)

    assert (too_much.status, too_much.json["status"]) == (201, "FAILED")
    assert too_much.json["error"] == "The gateway says: too_much"
    assert still_too_much.status == 400
    assert (rest.status, rest.json["status"]) == (201, "SUCCEEDED")
    assert life.settled(payment_id).status == "REFUNDED"


def test_a_gateway_s_refunds_are_kept_beyond_the_most_that_a_client_may_make(life: Life) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    for _ in range(60):
        life.gateway.accounts[payment_id].give_back(1)
    life.webhook(payment_id)

    assert life.refund(payment_id, "r-1", amount=1).status == 409
    assert life.settled(payment_id).refunded_minor == 60


@pytest.mark.parametrize("outcome", [Outcome.WORKING, Outcome.FAILING])
def test_a_pending_refund_is_reserved_until_its_end_is_found(life: Life, outcome: Outcome) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.gateway.plan(outcome)
    pending = life.refund(payment_id, "r-1", amount=60)
    too_much = life.refund(payment_id, "r-2", amount="40.01")
    life.gateway.finish()
    life.sweep()
    again = life.refund(payment_id, "r-1", amount=60)

    assert (pending.status, pending.json["status"]) == (201, "PENDING")
    assert too_much.status == 400
    is_done = outcome is Outcome.WORKING
    assert again.json["status"] == ("SUCCEEDED" if is_done else "FAILED")
    assert life.settled(payment_id).refunded_minor == (6000 if is_done else 0)


def test_a_refund_that_fails_after_all_can_be_made_again(life: Life) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    assert life.refund(payment_id, "r-1").json["status"] == "SUCCEEDED"
    life.gateway.accounts[payment_id].fail_refunds()
    life.webhook(payment_id)

    assert life.kept(payment_id).status == "CAPTURED"
    assert life.refund(payment_id, "r-2").json["status"] == "SUCCEEDED"
    assert life.settled(payment_id).status == "REFUNDED"


def test_a_capture_that_is_reversed_leaves_nothing_to_refund(life: Life) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.refund(payment_id, "r-1", amount=40)
    life.gateway.accounts[payment_id].reverse()
    life.webhook(payment_id)

    payment = life.settled(payment_id)
    assert (payment.status, payment.captured_minor) == ("FAILED", 0)
    assert life.refund(payment_id, "r-2").status == 409


def test_the_payer_s_way_through_a_redirect(life: Life) -> None:
    payment_id = life.made("automatic")
    life.gateway.plan(Outcome.REDIRECTED)
    first = life.alice.do("confirm", payment_id)
    early = life.alice.do("confirm", payment_id)
    life.gateway.accounts[payment_id].is_approved = True
    done = life.alice.do("confirm", payment_id)

    statuses = [response.json["status"] for response in (first, early, done)]
    assert statuses == ["REQUIRES_ACTION", "REQUIRES_ACTION", "CAPTURED"]
    life.settled(payment_id)


def test_a_payer_who_pays_while_the_payment_is_canceled_has_paid(life: Life) -> None:
    payment_id = life.made("automatic")
    life.gateway.plan(Outcome.REDIRECTED)
    life.alice.do("confirm", payment_id)
    life.gateway.accounts[payment_id].pay()

    refused = life.alice.do("cancel", payment_id, {"reason": "Changed my mind"})

    assert (refused.status, refused.json["currentStatus"]) == (409, "CAPTURED")
    payment = life.settled(payment_id)
    assert payment.status == "CAPTURED"
    assert "cancellationReason" not in life.alice.get(payment_id).json


@lives("paypal")
@pytest.mark.parametrize("by", ["webhook", "schedule"])
@pytest.mark.parametrize("kind", ["cancel", "canceled"])
def test_who_takes_a_payment_further_gives_way_to_a_cancel(
    life: StandInLife, by: str, kind: str, table: tuple[Any, str]
) -> None:
    """The cancel comes between the look at the approval and the capture of its order."""
    payment_id = life.made("automatic", "APPROVED")
    events = life.stand_in.new_events()
    client, name = table

    def cancel() -> None:
        kept = from_item(
            client.get_item(TableName=name, Key={"paymentId": {"S": payment_id}})["Item"]
        )
        if (kept.next_action or {}).get("type") != AGREED or kept.operation:
            return
        if kind == "cancel":
            kept = replace(kept, operation=Operation("op_cancel", "cancel", clock.now()))
        else:
            ended = {"state": "CANCELED", "status": "CANCELED"}
            kept = replace(kept, **ended, next_action=None, due_at=None)
        client.put_item(TableName=name, Item=to_item(replace(kept, version=kept.version + 1)))

    life.network.plan(before=cancel)
    if by == "webhook":
        assert life.hear(events) == [204]
    else:
        life.sweep()
    life.network.plan()

    assert not any(life.stand_in.books(life.kept(payment_id)).sums.values())
    assert life.settled(payment_id).status == "CANCELED"


def test_money_that_comes_after_the_end_is_kept(life: Life) -> None:
    payment_id = life.made("automatic")
    life.gateway.plan(Outcome.REDIRECTED)
    life.alice.do("confirm", payment_id)
    account = life.gateway.accounts[payment_id]
    account.expire()
    life.webhook(payment_id)
    assert life.kept(payment_id).status == "EXPIRED"

    account.state = "REQUIRES_ACTION"
    life.webhook(payment_id)
    assert life.kept(payment_id).status == "EXPIRED"
    account.pay()
    life.webhook(payment_id)

    assert life.settled(payment_id).status == "CAPTURED"


def test_a_gateway_that_this_stack_has_no_more_is_a_503(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    life.gateway.plan(Fault.DROPPED_REQUEST)
    assert life.office.do("capture", payment_id).status == 202
    monkeypatch.setattr(wiring, "gateways", lambda: {"manual": Manual()})
    forget()

    assert life.office.do("capture", payment_id).status == 503
    life.sweep()  # and this fails no run of the schedule
    assert life.kept(payment_id).status == "PROCESSING"
