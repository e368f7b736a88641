"""What a gateway must hold to be one: the same tests for each of `standins.STAND_INS`.

They go through the API and through the port. What a gateway does not have (`standins`: a page, a
network, a webhook) is not asked of it. A gateway that passes is one; whatever it does in a way of
its own has a file of its own.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import product
from threading import Event as Signal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared import time_left, wiring
from shared.api import deadline
from shared.errors import GatewayUnavailable, InvalidRequest
from shared.gateways.port import Gateway
from shared.payments import commands
from shared.payments.clock import seconds_between
from shared.payments.currencies import DECIMALS
from shared.payments.facts import Facts, apply, revise
from shared.payments.limits import LIMITS
from shared.payments.money import to_major
from shared.payments.payment import Payment
from shared.store.payments import payments
from shared.wiring import operations
from tests.conftest import forget
from tests.gateways.standins import (
    HAND,
    HOLD,
    NETWORK,
    PAGE,
    STAND_INS,
    WEBHOOK,
    Event,
    Money,
    those_with,
)
from tests.reliability.conftest import lives
from tests.reliability.life import KEY, Call, StandInLife, calls_of
from tests.reliability.proxy import SILENT, Fault

HOUR = 3600

every_gateway = lives(*STAND_INS)


def at_each(*needed: str, turn: int | None = None, number: int = 2) -> pytest.MarkDecorator:
    """Let a test run at each gateway that has all of this, with each of its calls.

    With a turn, `make test` runs one of each `number` pairs.
    """
    pairs = [(name, step) for name in those_with(*needed) for step in calls_of(STAND_INS[name])]
    return pytest.mark.parametrize(
        ("life", "step"), by_turns(pairs, turn, number), indirect=["life"]
    )


def by_turns(cases: list[Any], turn: int | None, number: int) -> list[Any]:
    """Return the cases; those whose turn it is not are slow."""
    is_slow = [turn is not None and i % number != turn for i in range(len(cases))]
    return [
        pytest.param(*case, id="-".join(map(str, case)), marks=[pytest.mark.slow] * slow)
        for case, slow in zip(cases, is_slow, strict=True)
    ]


def gateway_of(life: StandInLife) -> Gateway:
    return wiring.gateways()[life.name]


def ready(life: StandInLife, step: str) -> tuple[Call, str]:
    """Return a call, and a payment that is ready for it."""
    found = life.calls[step]
    return found, life.made(found.capture, found.before)


def retold(life: StandInLife, payment_id: str) -> Payment:
    """Return the payment after its gateway was asked for all that it knows."""
    return operations().learn(life.kept(payment_id))


# --- Each call, once and again ---


@at_each()
def test_a_call_leads_where_it_should_and_the_same_again_changes_nothing(
    life: StandInLife,
    step: str,
) -> None:
    found, payment_id = ready(life, step)

    response = life.do(found, payment_id)
    first = life.kept(payment_id)
    again = life.do(found, payment_id)

    assert response.status == (201 if found.action == "refund" else 200), response.text
    found.has_led_to(first)
    assert again.status == response.status
    is_done = first.status not in ("REQUIRES_ACTION", "PROCESSING")
    assert not is_done or again.headers["Idempotent-Replayed"] == "true"
    found.has_led_to(life.kept(payment_id))
    assert retold(life, payment_id).version == life.kept(payment_id).version
    life.agree(life.kept(payment_id))


def asked_for(step: str, payment: Payment) -> Payment:
    """Return the payment with the operation of a call, as it is written down."""
    found = calls_of(STAND_INS[payment.gateway])[step]
    amount = found.body.get("amount")
    exact = Decimal(str(amount)) if amount else None
    command = {
        "confirm": commands.confirm,
        "capture": commands.capture(exact),
        "cancel": commands.cancel(None),
        "refund": commands.refund(KEY["Idempotency-Key"], exact, None),
    }[found.action]
    begun = command(payment).payment
    assert begun.operation
    return begun


def ask(gateway: Gateway, payment: Payment) -> Facts:
    assert payment.operation
    facts: Facts = getattr(gateway, payment.operation.kind)(payment, payment.operation)
    return facts


def money_of(payment: Payment, facts: Facts) -> tuple[str, int, int]:
    after = revise(payment, apply(payment, facts), "confirm")
    return after.status, after.captured_minor, after.refunded_minor


@at_each(turn=0)
def test_an_operation_that_is_asked_for_twice_happens_once(
    life: StandInLife,
    step: str,
) -> None:
    found, payment_id = ready(life, step)
    payment = asked_for(step, life.kept(payment_id))
    gateway = gateway_of(life)

    facts = [ask(gateway, payment) for _ in range(3)]

    wanted = (found.status, found.captured, found.refunded)
    assert [money_of(payment, each) for each in facts] == [wanted] * 3
    after = payments().save(revise(payment, apply(payment, facts[0]), "confirm"), payment)
    assert money_of(after, gateway.fetch(after)) == wanted
    life.agree(after)


@every_gateway
def test_a_start_moves_no_money(life: StandInLife) -> None:
    payment_id = life.made("automatic", "REQUIRES_ACTION")

    assert life.alice.do("confirm", payment_id).status == 200

    assert not any(life.stand_in.books(life.kept(payment_id)).sums.values())


@every_gateway
def test_what_was_never_started_is_canceled_without_the_gateway(
    life: StandInLife,
) -> None:
    payment_id = life.made()

    canceled = life.alice.do("cancel", payment_id, {"reason": "Changed my mind"})

    assert (canceled.status, canceled.json["status"]) == (200, "CANCELED")
    assert life.alice.do("cancel", payment_id).headers["Idempotent-Replayed"] == "true"
    life.agree(life.kept(payment_id))


# --- Amounts ---


@pytest.mark.parametrize(
    ("life", "action", "before", "body", "status"),
    [
        pytest.param(
            *(name, *case),
            id=f"{name}-{case[0]} of {case[1]}-{case[3]}",
            marks=[pytest.mark.slow] * (name != list(STAND_INS)[i % len(STAND_INS)]),
        )
        for name in STAND_INS
        for i, case in enumerate(
            (
                ("capture", "AUTHORIZED", {"amount": "100.01"}, 400),
                ("capture", "AUTHORIZED", {"amount": "0.001"}, 400),
                ("capture", "CAPTURED", {"amount": 60}, 409),
                ("capture", "PENDING", {}, 200 if name == "manual" else 409),
                ("cancel", "CAPTURED", {}, 409),
                ("refund", "CAPTURED", {"amount": "100.01"}, 400),
                ("refund", "AUTHORIZED", {}, 409),
                ("refund", "PENDING", {}, 409),
            )
        )
    ],
    indirect=["life"],
)
def test_what_is_too_much_or_too_soon_is_refused_and_moves_nothing(
    life: StandInLife,
    action: str,
    before: str,
    body: dict[str, object],
    status: int,
) -> None:
    capture = "automatic" if before == "CAPTURED" else "manual"
    payment_id = life.made(capture, before)

    refused = life.office.do(action, payment_id, body, KEY)

    assert refused.status == status, refused.text
    if status != 200:
        assert life.kept(payment_id).status == before
    life.agree(life.kept(payment_id))


@every_gateway
def test_refunds_in_parts_end_where_the_money_ends(life: StandInLife) -> None:
    payment_id = life.made("automatic", "CAPTURED")

    first = life.refund(payment_id, "r-1", amount=40, reason="A scratch")
    again = life.refund(payment_id, "r-1", amount=40, reason="A scratch")
    another = life.refund(payment_id, "r-1", amount=41, reason="A scratch")
    too_much = life.refund(payment_id, "r-2", amount="60.01")
    rest = life.refund(payment_id, "r-3")
    nothing_left = life.refund(payment_id, "r-4", amount="0.01")

    assert [first.status, again.status, another.status] == [201, 201, 422]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [too_much.status, rest.status, nothing_left.status] == [400, 201, 409]
    assert (first.json["amountMinor"], rest.json["amountMinor"]) == (4000, 6000)
    kept = life.settled(payment_id)
    assert (kept.status, kept.refunded_minor, len(kept.refunds)) == ("REFUNDED", 10000, 2)
    assert retold(life, payment_id).refunds == kept.refunds


@every_gateway
def test_only_what_was_captured_is_refunded(life: StandInLife) -> None:
    """What a capture in part released is no refund, and cannot be refunded either."""
    payment_id = life.made("manual", "AUTHORIZED")
    assert life.office.do("capture", payment_id, {"amount": "60.50"}).status == 200

    assert life.refund(payment_id, "r-1", amount="60.51").status == 400
    assert retold(life, payment_id).refunds == ()
    assert life.refund(payment_id, "r-2", amount="39.50").status == 201  # as much as is released
    assert life.refund(payment_id, "r-3").json["amountMinor"] == 2100

    kept = life.settled(payment_id)
    assert (kept.status, kept.captured_minor, kept.refunded_minor) == ("REFUNDED", 6050, 6050)


@pytest.mark.parametrize(
    ("life", "money"),
    [
        pytest.param(name, money, id=f"{name}-{money.currency}")
        for name in STAND_INS
        for money in STAND_INS[name].takes
    ],
    indirect=["life"],
)
def test_amounts_are_minor_units_of_iso_4217_whatever_they_are_there(
    life: StandInLife,
    money: Money,
) -> None:
    """Taken in full, given back in part; and the other way about, held and taken in part."""
    taken = life.made("automatic", "CAPTURED", money.amount, money.currency)
    held = life.made("manual", "AUTHORIZED", money.amount, money.currency)

    assert life.kept(taken).captured_minor == money.minor
    refund = life.refund(taken, "r-1", amount=money.part)
    part = life.office.do("capture", held, {"amount": money.part})

    assert refund.json["amountMinor"] == part.json["amountCapturedMinor"] == money.part_minor
    assert life.stand_in.books(life.kept(taken)).sums["refund"] == money.part_minor
    assert life.stand_in.books(life.kept(held)).sums["capture"] == money.part_minor
    for payment_id in (taken, held):
        before = life.kept(payment_id)
        assert retold(life, payment_id) == before
        life.agree(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("life", "currency"),
    [(name, code) for name in LIMITS for code in sorted(LIMITS[name].currencies)],
    indirect=["life"],
)
def test_the_least_and_the_greatest_amount_of_every_currency_are_taken(
    life: StandInLife,
    currency: str,
) -> None:
    limits = LIMITS[life.name]
    decimals = DECIMALS[currency]
    step = 10 ** (decimals - limits.decimals.get(currency, decimals))
    least = max(limits.least.get(currency, 1), step)
    most = limits.greatest.get(currency, limits.most) // step * step
    for minor in (least, most):
        payment_id = life.made("automatic", "CAPTURED", to_major(minor, decimals), currency)

        assert life.kept(payment_id).captured_minor == minor
        life.agree(life.kept(payment_id))


# --- The payer ---


@lives(*those_with(PAGE))
def test_the_payer_is_sent_to_a_page_and_comes_back(life: StandInLife) -> None:
    payment_id = life.made("automatic", "REQUIRES_ACTION")

    action = life.alice.get(payment_id).json["nextAction"]
    back = urlsplit(str(life.pay(payment_id)))

    assert action["type"] == "redirect"
    assert urlsplit(action["url"]).scheme in ("http", "https")
    query = parse_qs(back.query)
    assert (back.netloc, back.path) == ("shop.example", "/back")
    assert (query["cart"], query["paymentId"]) == (["7"], [payment_id])


LEARN: dict[str, Callable[[StandInLife, str], object]] = {
    "client": lambda one, payment_id: one.alice.do("confirm", payment_id),
    "webhook": lambda one, _: one.hear(one.stand_in.new_events()),
    "schedule": lambda one, _: one.sweep(),
}


@pytest.mark.parametrize(
    ("life", "learnt_by", "capture"),
    by_turns(list(product(those_with(PAGE, WEBHOOK), LEARN, ["automatic", "manual"])), 0, 3),
    indirect=["life"],
)
def test_whoever_is_first_learns_that_the_payer_paid_and_nobody_does_it_twice(
    life: StandInLife,
    learnt_by: str,
    capture: str,
) -> None:
    status = "AUTHORIZED" if capture == "manual" else "CAPTURED"
    payment_id = life.made(capture, "APPROVED")

    LEARN[learnt_by](life, payment_id)

    assert life.kept(payment_id).status == status
    for others in LEARN.values():
        others(life, payment_id)
    assert life.kept(payment_id).status == status
    life.agree(life.kept(payment_id))


@pytest.mark.parametrize(
    ("life", "outcome", "learnt_by"),
    by_turns(list(product(those_with(PAGE), ["abandon", "decline"], LEARN)), 0, 4),
    indirect=["life"],
)
def test_a_payer_who_leaves_or_is_declined_may_come_back(
    life: StandInLife,
    outcome: str,
    learnt_by: str,
) -> None:
    payment_id = life.made("automatic", "REQUIRES_ACTION")
    life.pay(payment_id, outcome)

    LEARN[learnt_by](life, payment_id)

    waiting = life.alice.get(payment_id).json
    assert (waiting["status"], waiting["amountCapturedMinor"]) == ("REQUIRES_ACTION", 0)
    assert waiting["nextAction"]["type"] == "redirect"
    assert bool(waiting["lastError"]) == (outcome == "decline")
    life.pay(payment_id)
    assert life.alice.do("confirm", payment_id).json["status"] == "CAPTURED"
    assert life.kept(payment_id).last_error is None
    life.agree(life.kept(payment_id))


@lives(*those_with(PAGE))
@pytest.mark.parametrize("learnt_by", ["client", "schedule"])
def test_a_page_that_nobody_pays_on_expires(life: StandInLife, learnt_by: str) -> None:
    payment_id = life.made("automatic", "REQUIRES_ACTION")

    life.seconds_ahead = life.stand_in.page_seconds + 60
    LEARN[learnt_by](life, payment_id)

    assert life.kept(payment_id).status == "EXPIRED"
    life.seconds_ahead += 30 * 24 * HOUR
    life.sweep()
    assert life.kept(payment_id).status == "EXPIRED"
    assert life.alice.do("confirm", payment_id).status == 409
    life.agree(life.kept(payment_id))


@lives(*those_with(PAGE, HOLD))
@pytest.mark.parametrize("learnt_by", ["capture", "schedule"])
def test_money_that_is_never_captured_goes_back(life: StandInLife, learnt_by: str) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    until = life.alice.get(payment_id).json["authorizedUntil"]
    assert seconds_between(life.kept(payment_id).updated_at, until) == pytest.approx(
        life.stand_in.hold_seconds, abs=60
    )

    life.seconds_ahead = life.stand_in.hold_seconds + 120
    if learnt_by == "capture":
        assert life.office.do("capture", payment_id).status == 409
    else:
        life.sweep()

    assert life.kept(payment_id).status == "EXPIRED"
    life.agree(life.kept(payment_id))


@lives(*those_with(PAGE))
@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_a_payer_who_pays_after_a_cancel_loses_no_money(life: StandInLife, capture: str) -> None:
    payment_id = life.made(capture, "REQUIRES_ACTION")
    assert life.alice.do("cancel", payment_id).json["status"] == "CANCELED"

    life.pay(payment_id)
    life.hear(life.stand_in.new_events())
    life.sweep()

    kept = life.kept(payment_id)
    assert (kept.status, kept.next_action) == ("CANCELED", None)
    assert not any(life.stand_in.books(kept).sums.values())
    life.agree(kept)


# --- What is not known ---

ALL_LOST = [Fault.DROPPED_ANSWER] * 99
ANSWERS = {*SILENT, Fault.NONE, Fault.TWICE, Fault.CHANGED_ANSWER}
NO_ANSWER = [fault for fault in Fault if fault not in ANSWERS]


@at_each(NETWORK, turn=0, number=6)
def test_an_unknown_outcome_is_a_202_and_never_a_failure(
    life: StandInLife,
    step: str,
) -> None:
    found, payment_id = ready(life, step)
    life.stand_in.plan(*ALL_LOST)

    response = life.do(found, payment_id)
    kept = life.kept(payment_id)

    assert response.status == 202
    assert response.headers["Retry-After"] == "5"
    assert kept.operation
    if found.action == "refund":
        assert [each.status for each in kept.refunds] == ["PENDING"]
        assert kept.refundable_minor == kept.captured_minor - kept.refunds[0].amount_minor
    else:
        assert kept.status == "PROCESSING"
    life.stand_in.plan()
    assert life.until_answered(lambda: life.do(found, payment_id)).status in (200, 201)
    found.has_led_to(life.settled(payment_id))


@at_each(NETWORK, turn=1, number=6)
def test_the_schedule_finds_an_unknown_outcome_that_nobody_asks_for(
    life: StandInLife,
    step: str,
) -> None:
    found, payment_id = ready(life, step)
    life.stand_in.plan(*ALL_LOST)
    assert life.do(found, payment_id).status == 202

    found.has_led_to(life.settled(payment_id))


@pytest.mark.slow
@lives(*those_with(NETWORK))
@pytest.mark.parametrize("fault", NO_ANSWER, ids=lambda fault: fault.name)
def test_what_is_no_answer_of_the_gateways_is_said_to_be_unknown(
    life: StandInLife,
    fault: Fault,
) -> None:
    """Each method of the port raises GatewayUnavailable; none returns facts, and none a defect."""
    gateway = gateway_of(life)
    for step in life.calls:
        _, payment_id = ready(life, step)
        payment = asked_for(step, life.kept(payment_id))
        life.stand_in.plan(*[fault] * 99)
        with pytest.raises(GatewayUnavailable):
            ask(gateway, payment)
        if step != "start":  # before that, there is nothing to be read
            with pytest.raises(GatewayUnavailable):
                gateway.fetch(payment)
        life.stand_in.plan()


@at_each(NETWORK, turn=2, number=8)
def test_what_the_gateway_may_have_forgotten_is_only_asked_about(
    life: StandInLife, step: str
) -> None:
    """A first request may still be on its way: the same one again could move the money twice."""
    repeats = gateway_of(life).repeat_seconds
    assert HOUR < repeats < life.stand_in.remembers_seconds
    found, payment_id = ready(life, step)
    life.stand_in.plan(*[Fault.DROPPED_REQUEST] * 99)
    assert life.do(found, payment_id).status == 202
    life.stand_in.plan()
    life.seconds_ahead += repeats + 1
    life.stand_in.network.passed.clear()

    life.do(found, payment_id)
    life.run_schedule()

    changes = [path for method, path in life.stand_in.network.passed if method == "POST"]
    assert [path for path in changes if "oauth2" not in path] == []


@lives(*those_with(NETWORK))
def test_a_gateway_that_takes_longer_than_the_call_has_is_a_202(life: StandInLife) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    life.stand_in.network.plan(Fault.SILENCE_AFTER)
    life.office.seconds = deadline.SPARE_SECONDS + time_left.SPARE_SECONDS + 0.5

    assert life.office.do("capture", payment_id).status == 202

    life.office.seconds = 60
    assert life.settled(payment_id).status == "CAPTURED"


@pytest.mark.slow
@lives(*those_with(NETWORK))
def test_an_answer_is_waited_for_as_long_as_a_busy_gateway_takes(life: StandInLife) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    pauses = [4.0]  # seconds, at the first request alone
    nobody = Signal()
    life.stand_in.plan(before=lambda: pauses and nobody.wait(pauses.pop()))
    life.office.seconds = 10  # as the template says

    assert life.office.do("capture", payment_id).status == 200


@lives(*those_with(NETWORK))
def test_keys_that_are_refused_lose_nothing(life: StandInLife) -> None:
    payment_id = life.made("automatic", "APPROVED")
    kept_keys = dict(life.stand_in.keys)
    wrong = {"secretKey": "sk_test_wrong", "clientSecret": "wrong"}
    life.stand_in.keys |= {name: text for name, text in wrong.items() if name in kept_keys}
    forget()

    assert life.alice.do("confirm", payment_id).status == 202
    life.sweep()
    assert life.kept(payment_id).status == "PROCESSING"

    life.stand_in.keys |= kept_keys
    assert life.settled(payment_id).status == "CAPTURED"


# --- Webhooks ---


@every_gateway
def test_a_webhook_without_a_signature_is_refused(life: StandInLife) -> None:
    with pytest.raises(InvalidRequest):
        gateway_of(life).payment_id_in({}, b"{}")


@lives(*those_with(WEBHOOK))
def test_a_webhook_is_signed_over_its_bytes(life: StandInLife) -> None:
    payment_id = life.made("automatic", "APPROVED")
    before = life.kept(payment_id)
    for event in life.stand_in.new_events():
        assert life.hear([Event(event.headers, event.body.replace(b":", b": ", 1))]) == [400]
        assert life.hear([Event({}, event.body)]) == [400]

    assert life.kept(payment_id) == before


@lives(*those_with(WEBHOOK))
def test_events_of_others_are_taken_and_left_alone(life: StandInLife) -> None:
    foreign = life.stand_in.foreign_events()
    manual = life.alice.create({"amount": 100, "currency": "USD"}).json
    foreign.append(life.stand_in.signed({"paymentId": manual["paymentId"]}))
    life.payment_ids.append(manual["paymentId"])

    assert life.hear(foreign) == [204] * len(foreign)

    assert life.alice.get(manual["paymentId"]).json == manual


@lives(*those_with(WEBHOOK))
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the last one first"])
def test_events_twice_and_in_any_order_change_nothing_more(life: StandInLife, order: int) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    life.office.do("capture", payment_id, {"amount": 80})
    life.refund(payment_id, "r-1", amount=30)
    before = life.kept(payment_id)
    events = life.stand_in.new_events()

    assert set(life.hear([*events, *events][::order])) == {204}

    after = life.kept(payment_id)
    assert replace(after, version=0, updated_at="", references=None) == replace(
        before, version=0, updated_at="", references=None
    )
    life.agree(after)


@lives(*those_with(WEBHOOK))
def test_a_webhook_that_cannot_be_applied_is_answered_so_that_it_comes_again(
    life: StandInLife,
) -> None:
    payment_id = life.made("automatic", "APPROVED")
    events = life.stand_in.new_events()
    life.stand_in.plan(*ALL_LOST)
    assert set(life.hear(events)) == {503}

    life.stand_in.plan()
    life.sweep()
    assert set(life.hear(events)) == {204}
    assert life.settled(payment_id).status == "CAPTURED"


# --- What somebody does there ---


@lives(*those_with(HAND, WEBHOOK))
def test_a_refund_that_is_made_there_counts(life: StandInLife) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.stand_in.refund_by_hand(life.kept(payment_id), 3000)

    assert set(life.hear(life.stand_in.new_events())) == {204}

    assert life.kept(payment_id).refunded_minor == 3000
    assert life.refund(payment_id, "r-1", amount="70.01").status == 400
    assert life.refund(payment_id, "r-2").json["amountMinor"] == 7000
    assert life.settled(payment_id).status == "REFUNDED"


@lives(*those_with(HAND, WEBHOOK))
@pytest.mark.parametrize("minor", [10000, 7000])
def test_a_refund_that_was_made_there_first_leaves_no_room_for_another(
    life: StandInLife,
    minor: int,
) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.stand_in.refund_by_hand(life.kept(payment_id), minor)

    refused = life.refund(payment_id, "r-1", amount=40)

    assert (refused.json["status"], bool(refused.json["error"])) == ("FAILED", True)
    kept = life.settled(payment_id)
    assert kept.refunded_minor == minor


@lives(*those_with(WEBHOOK))
def test_a_refund_that_comes_back_may_be_made_again(life: StandInLife) -> None:
    payment_id = life.made("automatic", "CAPTURED")
    life.refund(payment_id, "r-1")

    life.stand_in.fail_refunds(life.kept(payment_id))
    life.hear(life.stand_in.new_events())

    kept = life.kept(payment_id)
    assert (kept.status, [each.status for each in kept.refunds]) == ("CAPTURED", ["FAILED"])
    assert life.refund(payment_id, "r-2").json["status"] == "SUCCEEDED"
    assert life.settled(payment_id).status == "REFUNDED"


def test_every_gateway_of_the_stack_is_in_the_list() -> None:
    assert set(STAND_INS) == {"manual", *LIMITS}
