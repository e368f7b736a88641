"""PayPal's payments from the front door, against a stand-in of PayPal with a ledger.

Whatever happens on the way, the payment and the ledger agree to the last minor unit, and nothing
happened twice.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from math import inf
from threading import Event as Signal
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from werkzeug import Request
from werkzeug import Response as Page

from local.loopback import listen, serving
from local.paypal import PayPal
from local.standin import Event
from paypal_webhook.app import handler as paypal_webhook
from settle_payments.app import handler as settle_payments
from shared.errors import GatewayKeysRefused, GatewayUnavailable
from shared.gateways import paypal as adapter
from shared.payments import clock
from shared.payments.payment import Payment
from shared.store import items as store_items
from shared.store import payments as store_payments
from shared.store.payments import payments
from shared.time_left import give
from shared.wiring import operations
from tests.conftest import Client, Context, Response, call, forget, proxy_event
from tests.gateways import paypal_judge
from tests.gateways.recorded import Recorded
from tests.reliability.proxy import SILENT, Fault, FaultProxy
from tests.reliability.worker import shifted

RETURN_URL = "https://shop.example/thanks?basket=7"
REQUEST = {"amount": 100, "currency": "USD", "gateway": "paypal", "returnUrl": RETURN_URL}
HOUR = 3600.0
DAY = 24 * HOUR


class Shop:
    """A user, the back office, the schedule and PayPal.

    Attributes:
        keys: PayPal's keys, as they are cached; `fresh_keys` as they are by now.
        seconds_ahead: how far all clocks are ahead.
    """

    def __init__(self, paypal: PayPal, recorded: Recorded, alice: Client, office: Client) -> None:
        self.paypal = paypal
        self.exchanges = recorded.exchanges
        self.alice = alice
        self.office = office
        self.keys = paypal.keys
        self.fresh_keys: dict[str, Any] | None = None
        self.made_ids: list[str] = []

    @property
    def seconds_ahead(self) -> float:
        return self.paypal.seconds_ahead

    def read_keys(self, gateway: str, *, fresh: bool = False) -> dict[str, Any]:
        assert gateway == "paypal"
        if fresh and self.fresh_keys:
            self.keys = self.fresh_keys
        return self.keys

    def made(self, **fields: Any) -> str:
        created = self.alice.create({**REQUEST, **fields})
        assert created.status == 201, created.text
        payment_id: str = created.json["paymentId"]
        self.made_ids.append(payment_id)
        return payment_id

    def confirm(self, payment_id: str) -> Response:
        return self.alice.do("confirm", payment_id)

    def started(self, **fields: Any) -> str:
        payment_id = self.made(**fields)
        assert self.confirm(payment_id).json["status"] == "REQUIRES_ACTION"
        return payment_id

    def act(self, payment_id: str, outcome: str = "pay") -> str:
        """Let the payer act on PayPal's page; return where their browser goes."""
        return self.paypal.pay(self.paypal.order_of(payment_id).id, outcome)

    def approved(self, **fields: Any) -> str:
        payment_id = self.started(**fields)
        self.act(payment_id)
        return payment_id

    def paid(self, **fields: Any) -> str:
        """Return a payment that is CAPTURED, or AUTHORIZED with `capture="manual"`."""
        payment_id = self.approved(**fields)
        assert self.confirm(payment_id).json["status"] in ("CAPTURED", "AUTHORIZED")
        return payment_id

    def refund(self, payment_id: str, key: str = "r-1", **body: Any) -> Response:
        return self.office.do("refund", payment_id, body, {"Idempotency-Key": key})

    def get(self, payment_id: str) -> Any:
        return self.alice.get(payment_id).json

    def hear(self, event: Event) -> Response:
        """Send an event to the webhook's function, as API Gateway does."""
        proxy = proxy_event("paypal_webhook")
        proxy["multiValueHeaders"] |= {name: [value] for name, value in event.headers.items()}
        proxy["body"] = event.body.decode()
        return call(paypal_webhook, proxy)

    def hear_all(self) -> None:
        """Let PayPal's events arrive."""
        while self.paypal.events:
            assert self.hear(self.paypal.events.pop(0)).status == 204

    def sweep(self, seconds: float = HOUR) -> None:
        """Let time pass, and the schedule run."""
        self.paypal.seconds_ahead += seconds
        settle_payments({}, Context())

    def kept(self, payment_id: str) -> Payment:
        return payments().get(payment_id, owner=None)

    def asked(self, ending: str) -> int:
        """Return how many requests of a kind PayPal got."""
        posts = [each for each in self.exchanges if each.method == "POST"]
        return sum(each.path.endswith(ending) for each in posts)

    def moved(self, payment_id: str) -> Counter[str]:
        """Return what the ledger says of a payment, in minor units, by kind."""
        decimals = self.kept(payment_id).decimals
        sums: Counter[str] = Counter()
        for each in self.paypal.ledger:
            if each.payment_id == payment_id:
                sums[each.kind] += int(each.amount.scaleb(decimals))
        return sums

    def agree(self, payment_id: str) -> None:
        """Check that the payment is what the ledger says, and that nothing happened twice."""
        payment, sums = self.kept(payment_id), self.moved(payment_id)
        assert payment.operation is None
        assert payment.captured_minor == sums["capture"] - sums["reversal"]
        given_back = [each for each in payment.refunds if each.status != "FAILED"]
        refunded = sum(each.amount_minor for each in given_back)
        assert refunded == sums["refund"] - sums["returned refund"]
        held = sums["hold"] - sums["release"] - (sums["capture"] if sums["hold"] else 0)
        assert held == (payment.amount_minor if payment.status == "AUTHORIZED" else 0)
        moves = [each for each in self.paypal.ledger if each.payment_id == payment_id]
        for kind in ("hold", "capture", "release"):
            assert sum(each.kind == kind for each in moves) <= 1
        refunds = Counter(each.by for each in moves if each.kind == "refund")
        assert not refunds or max(refunds.values()) == 1
        known = [each for each in self.paypal.orders.values() if each.payment_id == payment_id]
        assert sum(bool(each.captures or each.authorizations) for each in known) <= 1


@pytest.fixture
def paypal_shop(
    store: Any,
    alice: Client,
    office: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    """Return a shop whose functions reach a stand-in of PayPal; judge all that they said."""
    paypal = PayPal()
    recorded = Recorded(paypal)
    with serving(recorded, listen(0)) as url:
        paypal.url = url
        shop = Shop(paypal, recorded, alice, office)
        monkeypatch.setenv("GATEWAYS", "manual,paypal")
        monkeypatch.setattr(adapter, "keys", shop.read_keys)
        monkeypatch.setattr(clock, "datetime", shifted(lambda: shop.seconds_ahead))
        for module in (store_items, store_payments):
            monkeypatch.setattr(module, "DUE_SHARDS", 1)  # so that the schedule looks in one place
        forget()
        adapter._client.cache_clear()
        yield shop
        client, name = store
        for payment_id in shop.made_ids:
            client.delete_item(TableName=name, Key={"paymentId": {"S": payment_id}})
        adapter._client.cache_clear()
    if paypal_judge.is_possible():
        wrong = [each for one in recorded.exchanges for each in paypal_judge.judge(one)]
        assert not wrong, "\n".join(wrong)


# --- Paying ---


def test_paypals_documents_are_there_to_judge_by(paypal_shop: Shop) -> None:
    if not paypal_judge.is_possible():
        pytest.skip("PayPal's OpenAPI does not stand beside the checkout: nothing is judged")
    wrong = dict(paypal_shop.exchanges[0]._asdict()) if paypal_shop.exchanges else {}
    assert wrong == {}

    paypal_shop.started()
    [*_, order] = paypal_shop.exchanges
    assert paypal_judge.judge(order) == []
    for damage in ({"intents": "CAPTURE"}, {"intent": "capture!"}):
        asked = {**json.loads(order.asked), **damage}
        assert paypal_judge.judge(order._replace(asked=json.dumps(asked).encode()))


def test_a_confirm_sends_the_payer_to_paypal(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.made(description="Two tickets")

    payment = paypal_shop.confirm(payment_id)

    assert payment.status == 200
    assert payment.json["status"] == "REQUIRES_ACTION"
    order = paypal_shop.paypal.order_of(payment_id)
    assert payment.json["nextAction"] == {
        "type": "redirect",
        "url": f"{paypal_shop.paypal.url}/checkoutnow?token={order.id}",
    }
    assert order.unit["amount"] == {"currency_code": "USD", "value": "100.00"}
    assert order.unit["description"] == "Two tickets"
    assert order.unit["invoice_id"].startswith("op_")
    assert paypal_shop.moved(payment_id) == {}


def test_the_payers_browser_comes_back_with_the_payments_id(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.started()

    back = urlsplit(paypal_shop.act(payment_id))

    assert back.geturl().startswith("https://shop.example/thanks?")
    query = parse_qs(back.query)
    assert query["basket"] == ["7"]
    assert query["paymentId"] == [payment_id]


def test_a_payer_who_abandons_may_come_back(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.started()

    back = paypal_shop.act(payment_id, "abandon")
    paypal_shop.sweep(120)

    assert payment_id in back
    assert paypal_shop.get(payment_id)["status"] == "REQUIRES_ACTION"
    paypal_shop.act(payment_id)
    paypal_shop.hear_all()
    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


def test_an_order_that_nobody_approves_expires(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.started()

    for _ in range(5):
        paypal_shop.sweep()

    assert paypal_shop.get(payment_id)["status"] == "EXPIRED"
    assert paypal_shop.kept(payment_id).due_at is None
    paypal_shop.agree(payment_id)


@pytest.mark.parametrize("is_known", [True, False])
def test_an_approval_that_is_not_taken_in_time_expires(paypal_shop: Shop, is_known: bool) -> None:
    payment_id = paypal_shop.approved()
    if is_known:
        operations().learn(paypal_shop.kept(payment_id))
    paypal_shop.paypal.seconds_ahead += 4 * HOUR

    assert paypal_shop.confirm(payment_id).json["status"] == "EXPIRED"
    paypal_shop.agree(payment_id)


def test_an_order_that_is_not_everywhere_yet_is_not_expired(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.started()
    hidden = paypal_shop.paypal.orders.copy()
    paypal_shop.paypal.orders.clear()

    paypal_shop.sweep(120)

    assert paypal_shop.get(payment_id)["status"] == "REQUIRES_ACTION"
    paypal_shop.paypal.orders |= hidden


@pytest.mark.parametrize("by", ["client", "webhook"])
def test_a_declined_payer_pays_another_way(paypal_shop: Shop, by: str) -> None:
    payment_id = paypal_shop.started()
    paypal_shop.act(payment_id, "decline")
    if by == "client":
        declined = paypal_shop.confirm(payment_id)
        assert declined.status == 200
    paypal_shop.hear_all()

    payment = paypal_shop.get(payment_id)
    assert payment["status"] == "REQUIRES_ACTION"
    assert payment["lastError"]["code"] == "INSTRUMENT_DECLINED"
    assert payment["nextAction"]["type"] == "redirect"
    assert payment["nextAction"]["url"].startswith(paypal_shop.paypal.url)
    paypal_shop.act(payment_id)
    if by == "client":
        paypal_shop.confirm(payment_id)
    paypal_shop.hear_all()

    payment = paypal_shop.get(payment_id)
    assert payment["status"] == "CAPTURED"
    assert payment["lastError"] is None
    paypal_shop.agree(payment_id)


def test_a_declined_approval_is_not_tried_again_by_the_schedule(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.started()
    paypal_shop.act(payment_id, "decline")
    paypal_shop.hear_all()
    order = paypal_shop.paypal.order_of(payment_id)
    order.declines = 9

    for _ in range(5):
        paypal_shop.sweep(600)

    assert paypal_shop.asked("/capture") == 1
    assert paypal_shop.get(payment_id)["lastError"]["code"] == "INSTRUMENT_DECLINED"
    order.declines = 0
    assert paypal_shop.confirm(payment_id).json["status"] == "CAPTURED"  # the client may
    paypal_shop.agree(payment_id)


def test_a_capture_under_review_is_processing_until_it_is_done(paypal_shop: Shop) -> None:
    paypal_shop.paypal.capture_outcome = "PENDING"
    payment_id = paypal_shop.approved()

    assert paypal_shop.confirm(payment_id).json["status"] == "PROCESSING"
    paypal_shop.hear_all()
    refused = paypal_shop.alice.do("cancel", payment_id)
    assert (refused.status, refused.json["currentStatus"]) == (409, "PROCESSING")
    assert refused.json["detail"] == "PayPal works on the payment, and cannot cancel it"
    paypal_shop.paypal.finish()
    paypal_shop.hear_all()

    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


def test_a_declined_capture_is_the_end(paypal_shop: Shop) -> None:
    paypal_shop.paypal.capture_outcome = "DECLINED"
    payment_id = paypal_shop.approved()

    paypal_shop.hear_all()

    payment = paypal_shop.get(payment_id)
    assert payment["status"] == "FAILED"
    assert payment["lastError"]["code"] == "OTHER"
    paypal_shop.agree(payment_id)


def test_a_reversed_capture_takes_the_money_back(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.paid()

    paypal_shop.paypal.reverse(payment_id)
    paypal_shop.hear_all()

    payment = paypal_shop.get(payment_id)
    assert payment["status"] == "FAILED"
    assert payment["amountCapturedMinor"] == 0
    paypal_shop.agree(payment_id)


@pytest.mark.parametrize(
    ("currency", "amount", "value"),
    [("JPY", 1500, "1500"), ("HUF", "1500.00", "1500"), ("EUR", "0.01", "0.01")],
)
def test_an_amount_has_paypals_decimals(
    paypal_shop: Shop, currency: str, amount: object, value: str
) -> None:
    payment_id = paypal_shop.paid(currency=currency, amount=amount)

    assert paypal_shop.paypal.order_of(payment_id).unit["amount"]["value"] == value
    paypal_shop.agree(payment_id)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"currency": "HUF", "amount": "10.45"}, "paypal takes HUF with 0 decimals"),
        ({"currency": "KWD"}, "must be one that paypal takes"),
        ({"returnUrl": None}, "is required with paypal"),
    ],
)
def test_what_paypal_does_not_take_is_refused_at_once(
    paypal_shop: Shop, fields: dict[str, Any], message: str
) -> None:
    refusal = paypal_shop.alice.create({**REQUEST, **fields})

    assert refusal.status == 400
    assert message in refusal.text


def test_a_refund_with_more_decimals_than_paypal_has_is_refused_not_rounded(
    paypal_shop: Shop,
) -> None:
    payment_id = paypal_shop.paid(currency="HUF", amount=100)

    refund = paypal_shop.refund(payment_id, amount="10.45")

    assert refund.errors == {"amount": "paypal takes HUF with 0 decimals"}
    assert paypal_shop.get(payment_id)["refunds"] == []


def test_a_call_that_is_late_asks_for_nothing_any_more(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved()
    before = len(paypal_shop.exchanges)

    give(-1)
    with pytest.raises(GatewayUnavailable):
        adapter.PayPal().fetch(payments().get(payment_id, owner=None))
    give(inf)

    assert len(paypal_shop.exchanges) == before


def test_an_authorization_that_says_that_it_ran_out_is_taken_at_its_word() -> None:
    assert adapter._state_of({"status": "EXPIRED"}, None) == ("EXPIRED", None)


def test_webhook_ids_that_are_a_text_are_no_keys(paypal_shop: Shop) -> None:
    paypal_shop.approved()
    [event] = paypal_shop.paypal.events
    paypal_shop.keys["webhookIds"] = "WH-1"

    assert paypal_shop.hear(event).status == 503


def test_an_order_that_paypal_refuses_moves_nothing_and_may_be_tried_again(
    paypal_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id = paypal_shop.made(currency="HUF", amount=100)
    monkeypatch.setattr(adapter, "_money", lambda *_: {"currency_code": "HUF", "value": "100.50"})

    refused = paypal_shop.confirm(payment_id)

    assert refused.json["status"] == "PENDING"
    assert refused.json["lastError"]["code"] == "DECIMAL_PRECISION"
    monkeypatch.undo()


# --- Holding money ---


def test_a_declined_capture_of_held_money_is_a_conflict(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.paid(capture="manual")
    paypal_shop.paypal.capture_outcome = "DECLINED"

    refused = paypal_shop.office.do("capture", payment_id)

    assert refused.status == 409
    assert "PayPal says: OTHER" in refused.text
    assert paypal_shop.get(payment_id)["status"] == "AUTHORIZED"
    paypal_shop.paypal.capture_outcome = "COMPLETED"
    assert paypal_shop.office.do("capture", payment_id).json["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


def test_a_capture_of_held_money_that_is_pending_is_answered_later(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.paid(capture="manual")
    paypal_shop.paypal.capture_outcome = "PENDING"

    assert paypal_shop.office.do("capture", payment_id).status == 202
    paypal_shop.sweep()
    paypal_shop.paypal.finish()
    paypal_shop.sweep()

    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


def test_an_authorization_that_is_voided_at_paypal_is_canceled(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.paid(capture="manual")

    paypal_shop.paypal.void_by_hand(payment_id)
    assert paypal_shop.office.do("capture", payment_id).status == 409

    assert paypal_shop.get(payment_id)["status"] == "CANCELED"
    paypal_shop.agree(payment_id)


# --- Canceling ---


@pytest.mark.parametrize("capture", ["automatic", "manual"])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_canceled_payment_is_never_captured_though_the_payer_approved(
    paypal_shop: Shop, capture: str, is_late: bool
) -> None:
    payment_id = paypal_shop.started(capture=capture)
    if not is_late:
        paypal_shop.act(payment_id)
    assert paypal_shop.alice.do("cancel", payment_id).json["status"] == "CANCELED"
    if is_late:
        paypal_shop.act(payment_id)

    paypal_shop.hear_all()
    paypal_shop.sweep()

    assert paypal_shop.confirm(payment_id).status == 409
    payment = paypal_shop.get(payment_id)
    assert payment["status"] == "CANCELED"
    assert payment["nextAction"] is None
    assert paypal_shop.moved(payment_id) == {}
    paypal_shop.agree(payment_id)


def test_a_cancel_that_the_money_overtook_is_a_conflict(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved()
    order = paypal_shop.paypal.order_of(payment_id)
    paypal_shop.paypal._complete(order, "capture")

    assert paypal_shop.alice.do("cancel", payment_id).status == 409
    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


# --- Refunds ---


def test_refunds_in_full_and_in_part(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.paid()

    part = paypal_shop.refund(payment_id, "r-1", amount=40, reason="One of\ntwo  came broken")
    assert part.status == 201
    assert part.json["status"] == "SUCCEEDED"
    [shown] = paypal_shop.paypal.order_of(payment_id).refunds
    assert shown["note_to_payer"] == "One of two came broken"
    assert shown["custom_id"] == part.json["refundId"]
    assert paypal_shop.get(payment_id)["status"] == "PARTIALLY_REFUNDED"
    again = paypal_shop.refund(payment_id, "r-1", amount=40, reason="One of\ntwo  came broken")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert paypal_shop.refund(payment_id, "r-2").json["amountMinor"] == 6000

    paypal_shop.hear_all()
    assert paypal_shop.get(payment_id)["status"] == "REFUNDED"
    assert paypal_shop.moved(payment_id) == {"capture": 10000, "refund": 10000}
    assert paypal_shop.refund(payment_id, "r-3").status == 409
    paypal_shop.agree(payment_id)


@pytest.mark.parametrize("by", ["webhook", "schedule"])
def test_a_refund_that_takes_time_is_pending_and_then_done(paypal_shop: Shop, by: str) -> None:
    paypal_shop.paypal.refunds = "pending"
    payment_id = paypal_shop.paid()

    assert paypal_shop.refund(payment_id, amount=60).json["status"] == "PENDING"
    assert paypal_shop.refund(payment_id, "r-2", amount=41).status == 400
    paypal_shop.paypal.finish()
    paypal_shop.hear_all() if by == "webhook" else paypal_shop.sweep()

    [refund] = paypal_shop.get(payment_id)["refunds"]
    assert refund["status"] == "SUCCEEDED"
    paypal_shop.agree(payment_id)


@pytest.mark.parametrize("by", ["webhook", "schedule"])
def test_a_refund_that_fails_later_gives_its_amount_back(paypal_shop: Shop, by: str) -> None:
    paypal_shop.paypal.refunds = "failing"
    payment_id = paypal_shop.paid()
    paypal_shop.refund(payment_id)

    paypal_shop.paypal.finish()
    paypal_shop.hear_all() if by == "webhook" else paypal_shop.sweep()

    payment = paypal_shop.get(payment_id)
    assert payment["status"] == "CAPTURED"
    assert payment["refunds"][0]["status"] == "FAILED"
    paypal_shop.paypal.refunds = "succeeded"
    assert paypal_shop.refund(payment_id, "r-2").json["status"] == "SUCCEEDED"
    paypal_shop.agree(payment_id)


# --- Webhooks ---


@pytest.fixture
def approval(paypal_shop: Shop) -> tuple[str, Event]:
    """Return a payment whose payer approved it, and the event that tells so."""
    payment_id = paypal_shop.approved()
    return payment_id, paypal_shop.paypal.events[-1]


def refused(shop: Shop, event: Event) -> None:
    before = shop.asked("/capture")
    response = shop.hear(event)
    assert response.status == 400, response.text
    assert shop.asked("/capture") == before


def test_a_webhook_without_a_signature_costs_no_call(
    paypal_shop: Shop, approval: tuple[str, Event]
) -> None:
    _, event = approval
    for name in [name for name in event.headers if name.startswith("PAYPAL")]:
        before = len(paypal_shop.exchanges)
        headers = {key: value for key, value in event.headers.items() if key != name}
        response = paypal_shop.hear(Event(headers, event.body))
        assert response.status == 400
        assert name in response.errors
        assert len(paypal_shop.exchanges) == before


def test_a_forged_webhook_is_refused(paypal_shop: Shop, approval: tuple[str, Event]) -> None:
    _, event = approval
    refused(paypal_shop, event._replace(body=event.body.replace(b"APPROVED", b"APPROVER")))
    forged = {**event.headers, "PAYPAL-TRANSMISSION-SIG": "s" + "0" * 64}
    refused(paypal_shop, event._replace(headers=forged))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"nonsense", b'{"a": 1}, "webhook_id": "OTHER"', b"[" * 100_000],
    ids=["empty", "list", "cut", "text", "injection", "deep"],
)
def test_a_webhook_that_is_no_document_costs_no_call(
    paypal_shop: Shop, approval: tuple[str, Event], body: bytes
) -> None:
    _, event = approval
    before = len(paypal_shop.exchanges)
    refused(paypal_shop, event._replace(body=body))
    assert len(paypal_shop.exchanges) == before


def test_a_truncated_webhook_is_refused(paypal_shop: Shop, approval: tuple[str, Event]) -> None:
    _, event = approval
    refused(paypal_shop, event._replace(body=event.body[:-1]))


def test_the_body_is_verified_byte_for_byte(paypal_shop: Shop, approval: tuple[str, Event]) -> None:
    payment_id, event = approval
    assert b"{}" in event.body
    encoded_again = json.dumps(json.loads(event.body)).encode()
    assert encoded_again != event.body
    refused(paypal_shop, event._replace(body=encoded_again))

    assert paypal_shop.hear(event).status == 204
    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"
    verified = [each for each in paypal_shop.exchanges if each.path.endswith("-signature")]
    assert event.body in verified[-1].asked


def test_a_webhook_of_either_id_is_taken_while_one_is_rolled(
    paypal_shop: Shop, approval: tuple[str, Event]
) -> None:
    payment_id, event = approval
    paypal_shop.keys["webhookIds"] = ["0LDW3BH00K", paypal_shop.paypal.webhook_id]

    assert paypal_shop.hear(event).status == 204
    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"


@pytest.mark.parametrize("ids", [[], ["SOMEBODYELSES"]])
def test_a_webhook_of_another_subscription_is_refused(
    paypal_shop: Shop, approval: tuple[str, Event], ids: list[str]
) -> None:
    paypal_shop.keys["webhookIds"] = ids
    refused(paypal_shop, approval[1])


@pytest.mark.parametrize(
    "resource",
    [
        {"id": "X"},
        {"custom_id": "order-77"},
        {"custom_id": "pay_" + "a" * 32},
        {"purchase_units": [{}]},
        {"supplementary_data": {"related_ids": {"order_id": "5O190127TN364715T"}}},
        {"supplementary_data": {"related_ids": {"order_id": "../../etc"}}},
        {"custom_id": "ref_x", "links": [{"rel": "up", "href": "/v2/payments/captures/NO"}]},
        {"custom_id": "ref_x", "links": [{"rel": "up", "href": "https://evil.example/"}]},
    ],
    ids=str,
)
def test_other_peoples_events_are_taken_and_left_alone(
    paypal_shop: Shop, resource: dict[str, Any]
) -> None:
    body = json.dumps({"event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": resource}).encode()

    assert paypal_shop.hear(paypal_shop.paypal.sign(body)).status == 204


def test_an_event_about_what_another_account_has_is_none_of_ours(
    paypal_shop: Shop, logs: io.StringIO
) -> None:
    order_id = "5O190127TN364715T"
    resource = {"supplementary_data": {"related_ids": {"order_id": order_id}}}
    body = json.dumps({"event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": resource}).encode()
    paypal_shop.paypal.refuse(order_id, 403, "PERMISSION_DENIED")

    assert paypal_shop.hear(paypal_shop.paypal.sign(body)).status == 204
    assert '"outcome":"keys"' not in logs.getvalue()


@pytest.mark.parametrize("mode", ["once", "twice", "late", "reversed", "none"])
def test_the_stand_in_sends_its_events(paypal_shop: Shop, mode: str) -> None:
    paypal, got, is_there = paypal_shop.paypal, list[bytes](), Signal()
    wanted = {"twice": 4, "none": 0}.get(mode, 2)

    @Request.application
    def webhook(request: Request) -> Page:
        headers = {name.upper(): value for name, value in request.headers.items()}
        got.append(request.get_data())
        answer = paypal_shop.hear(Event(headers, got[-1]))
        if len(got) >= wanted:
            is_there.set()
        return Page(status=answer.status)

    paypal.webhooks, paypal.later_seconds = mode, 0.05
    payment_id = paypal_shop.started()
    with serving(webhook, listen(0)) as url:
        paypal.webhook_url = f"{url}/webhook/paypal"
        paypal_shop.act(payment_id)
        if wanted:
            assert is_there.wait(10)
    assert paypal_shop.get(payment_id)["status"] == ("CAPTURED" if wanted else "REQUIRES_ACTION")
    paypal.webhook_url = None


def test_the_payer_pays_on_the_stand_ins_page(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.made(description="Salt & <b>pepper</b>")
    link = paypal_shop.confirm(payment_id).json["nextAction"]["url"]
    pool = urllib3.PoolManager(retries=False)

    page = pool.request("GET", link)
    assert "Salt &amp; &lt;b&gt;" in page.data.decode()
    answer = pool.request("POST", link, fields={"outcome": "pay"}, redirect=False)

    assert answer.status == 303
    assert payment_id in answer.headers["Location"]
    assert paypal_shop.confirm(payment_id).json["status"] == "CAPTURED"
    assert pool.request("GET", link).status == 404
    pool.clear()


# --- Keys and tokens ---


def test_a_token_is_asked_for_once(paypal_shop: Shop) -> None:
    paypal_shop.paid()
    paypal_shop.paid()

    assert paypal_shop.asked("/v1/oauth2/token") == 1


def test_a_token_that_runs_out_soon_is_not_used(paypal_shop: Shop) -> None:
    paypal_shop.paypal.token_seconds = 10
    paypal_shop.started()
    paypal_shop.started()

    assert paypal_shop.asked("/v1/oauth2/token") == 2


def test_a_token_that_is_not_taken_any_more_is_replaced(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved()
    paypal_shop.paypal.revoke_tokens()

    assert paypal_shop.confirm(payment_id).json["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


@pytest.mark.parametrize("with_token", [True, False])
def test_keys_that_were_changed_are_read_again(paypal_shop: Shop, with_token: bool) -> None:
    payment_id = paypal_shop.approved() if with_token else paypal_shop.made()
    paypal_shop.paypal.client_secret = "changed"
    paypal_shop.paypal.revoke_tokens()
    paypal_shop.fresh_keys = {**paypal_shop.keys, "clientSecret": "changed"}

    status = paypal_shop.confirm(payment_id).json["status"]

    assert status == ("CAPTURED" if with_token else "REQUIRES_ACTION")
    paypal_shop.agree(payment_id)


def test_keys_that_are_revoked_are_refused_and_nothing_is_lost(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved()
    secret = paypal_shop.paypal.client_secret
    paypal_shop.paypal.client_secret = "revoked"
    paypal_shop.paypal.revoke_tokens()

    assert paypal_shop.confirm(payment_id).status == 202
    with pytest.raises(GatewayKeysRefused):
        adapter._client().call("GET", "/v2/checkout/orders/X")
    paypal_shop.paypal.client_secret = secret
    paypal_shop.sweep()

    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


def test_tokens_that_are_never_taken_are_keys_that_are_refused(paypal_shop: Shop) -> None:
    class Nothing(set[str]):
        def __contains__(self, token: object) -> bool:
            return False

    paypal_shop.paypal._tokens = Nothing()
    with pytest.raises(GatewayKeysRefused):
        adapter._client().call("GET", "/v2/checkout/orders/X")
    assert paypal_shop.asked("/v1/oauth2/token") == 3


@pytest.mark.parametrize("missing", ["clientId", "clientSecret"])
def test_keys_that_lack_something_are_refused(paypal_shop: Shop, missing: str) -> None:
    del paypal_shop.keys[missing]
    with pytest.raises(GatewayKeysRefused):
        adapter._client().call("GET", "/v2/checkout/orders/X")


# --- What else PayPal may say ---


def test_the_sample_event_is_refused_for_its_missing_signature(paypal_shop: Shop) -> None:
    refusal = call(paypal_webhook, proxy_event("paypal_webhook"))

    assert refusal.status == 400
    assert "PAYPAL-TRANSMISSION-SIG" in refusal.errors
    assert paypal_shop.exchanges == []


def test_an_order_that_expired_at_paypal_is_expired(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved(capture="manual")
    paypal_shop.paypal.refuse("/authorize", 422, "ORDER_EXPIRED")

    payment = paypal_shop.confirm(payment_id)

    assert payment.json["status"] == "EXPIRED"
    assert payment.json["lastError"]["code"] == "ORDER_EXPIRED"


def test_an_approval_that_is_told_too_early_is_taken_later(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved()
    paypal_shop.paypal.refuse("/capture", 422, "ORDER_NOT_APPROVED")
    paypal_shop.hear_all()
    assert paypal_shop.get(payment_id)["nextAction"] == {"type": "confirm"}

    paypal_shop.sweep()

    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


def test_a_payer_without_a_page_is_told_nothing_wrong(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.started()
    paypal_shop.act(payment_id)
    paypal_shop.paypal.refuse("/capture", 422, "PAYER_ACTION_REQUIRED")
    kept = paypal_shop.kept(payment_id)
    known = {key: text for key, text in (kept.references or {}).items() if key != "approve"}
    payments().save(replace(kept, references=known, version=kept.version + 1), kept)

    payment = paypal_shop.confirm(payment_id).json

    assert payment["status"] == "REQUIRES_ACTION"
    assert payment["nextAction"] is None


def test_a_payer_whom_paypal_wants_to_see_again_has_the_page_as_before(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.started()
    page = paypal_shop.get(payment_id)["nextAction"]
    paypal_shop.act(payment_id)
    paypal_shop.paypal.refuse("/capture", 422, "PAYER_ACTION_REQUIRED")

    assert paypal_shop.confirm(payment_id).json["nextAction"] == page
    paypal_shop.act(payment_id, "decline")
    paypal_shop.paypal.order_of(payment_id).shown["status"] = "PAYER_ACTION_REQUIRED"
    payment = paypal_shop.confirm(payment_id).json

    assert payment["nextAction"] == page
    assert payment["lastError"]["code"] == "PAYER_ACTION_REQUIRED"
    assert paypal_shop.asked("/capture") == 1


@pytest.mark.parametrize(
    ("status", "issue"),
    [
        (409, "PREVIOUS_REQUEST_IN_PROGRESS"),
        (403, "PERMISSION_DENIED"),
        (404, "INVALID_RESOURCE_ID"),
    ],
)
def test_what_may_pass_is_asked_for_again(paypal_shop: Shop, status: int, issue: str) -> None:
    payment_id = paypal_shop.paid()
    paypal_shop.paypal.refuse("/refund", status, issue)

    assert paypal_shop.refund(payment_id).status == 202
    assert paypal_shop.refund(payment_id).json["status"] == "SUCCEEDED"
    paypal_shop.agree(payment_id)


@pytest.mark.parametrize(
    "issue", ["DUPLICATE_INVOICE_ID", "CAPTURE_FULLY_REFUNDED", "REFUND_AMOUNT_EXCEEDED"]
)
def test_a_refund_that_may_have_been_made_by_an_earlier_try_is_not_said_to_have_failed(
    paypal_shop: Shop, issue: str
) -> None:
    """PayPal says that there is no room for it, and lists no refund that takes the room."""
    payment_id = paypal_shop.paid()
    paypal_shop.paypal.refuse("/refund", 422, issue)

    assert paypal_shop.refund(payment_id).status == 202
    paypal_shop.sweep()

    assert paypal_shop.get(payment_id)["status"] == "REFUNDED"
    paypal_shop.agree(payment_id)


def test_an_approval_that_was_taken_by_hand_is_not_taken_twice(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved()
    operations().learn(paypal_shop.kept(payment_id))
    order = paypal_shop.paypal.order_of(payment_id)
    paypal_shop.paypal._complete(order, "capture")
    order.shown["status"] = "COMPLETED"

    assert paypal_shop.confirm(payment_id).json["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


def test_a_void_that_paypal_refuses_is_a_conflict(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.paid(capture="manual")
    paypal_shop.paypal.refuse("/void", 422, "PREVIOUSLY_CAPTURED")

    assert paypal_shop.office.do("cancel", payment_id).status == 202  # its order says otherwise
    assert paypal_shop.office.do("cancel", payment_id).json["status"] == "CANCELED"
    paypal_shop.agree(payment_id)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "PENDING"}, "PROCESSING"),
        ({"status": "DENIED"}, "FAILED"),
        ({"status": "VOIDED", "expiration_time": None}, "CANCELED"),
        ({"status": "CAPTURED"}, "PROCESSING"),
    ],
)
def test_an_authorization_may_be_under_review_or_denied(
    paypal_shop: Shop, said: dict[str, Any], status: str
) -> None:
    payment_id = paypal_shop.paid(capture="manual")
    [held] = paypal_shop.paypal.order_of(payment_id).authorizations
    held |= said
    if "expiration_time" in said:
        del held["expiration_time"]

    payment = operations().learn(paypal_shop.kept(payment_id))

    assert payment.status == status


@pytest.mark.parametrize("change", ["payment", "currency", "status"])
def test_an_answer_about_something_else_is_not_an_answer(paypal_shop: Shop, change: str) -> None:
    payment_id = paypal_shop.paid()
    order = paypal_shop.paypal.order_of(payment_id)
    if change == "payment":
        order.unit["custom_id"] = "pay_" + "b" * 32
    elif change == "currency":
        order.captures[0]["amount"]["currency_code"] = "EUR"
    else:
        order.captures[0]["status"] = "NEWER"
    before = paypal_shop.get(payment_id)
    with pytest.raises(GatewayUnavailable):
        operations().learn(paypal_shop.kept(payment_id))
    assert paypal_shop.get(payment_id) == before
    paypal_shop.exchanges.pop()  # no answer of PayPal's


def test_an_order_that_cannot_be_read_is_not_known(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.started()
    paypal_shop.paypal.refuse(paypal_shop.paypal.order_of(payment_id).id, 422, "-")
    with pytest.raises(GatewayUnavailable):
        operations().learn(paypal_shop.kept(payment_id))
    paypal_shop.exchanges.pop()  # no answer of PayPal's


def test_the_payment_of_an_event_is_found_by_its_order(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved()
    related = {"order_id": paypal_shop.paypal.order_of(payment_id).id}
    resource = {"id": "X", "supplementary_data": {"related_ids": related}}
    body = json.dumps({"event_type": "CHECKOUT.ORDER.APPROVED", "resource": resource}).encode()

    assert paypal_shop.hear(paypal_shop.paypal.sign(body)).status == 204
    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"


@pytest.mark.parametrize(
    ("status", "text"),
    [(200, "[]"), (200, "<html>"), (400, "{}"), (302, "{}"), (429, "{}"), (204, "{}"), (200, "")],
)
def test_what_is_no_answer_of_paypals_leaves_the_outcome_open(
    paypal_shop: Shop, status: int, text: str
) -> None:
    payment_id = paypal_shop.made()
    with serving(Page(text, status, content_type="application/json"), listen(0)) as url:
        paypal_shop.keys["url"] = url
        assert paypal_shop.confirm(payment_id).status == 202
    paypal_shop.keys["url"] = paypal_shop.paypal.url

    assert paypal_shop.confirm(payment_id).json["status"] == "REQUIRES_ACTION"


# --- Faults ---

FAST = {("capture in part", Fault.DROPPED_ANSWER), ("webhook", Fault.DROPPED_ANSWER)}
FAULTS = [
    Fault.DROPPED_ANSWER,
    *(Fault.DROPPED_REQUEST, Fault.ERROR_AFTER, Fault.SILENCE_AFTER),
    *(Fault.SILENCE, Fault.LATE_REQUEST, Fault.LATER_REQUEST, Fault.TWICE, Fault.CUT_ANSWER),
    *(Fault.GARBLED_ANSWER, Fault.EMPTY_ANSWER, Fault.FOREIGN_ANSWER, Fault.FOREIGN_REFUSAL),
    *(Fault.THROTTLED, Fault.ERROR, Fault.UNAVAILABLE),
]

# What is called on what payment, and what it is to lead to: status, captured, refunded.
Scenario = tuple[Callable[[Shop], str], Callable[[Shop, str], Response], str, int, int]
SCENARIOS: dict[str, Scenario] = {
    "start": (Shop.made, Shop.confirm, "REQUIRES_ACTION", 0, 0),
    "pay": (Shop.approved, Shop.confirm, "CAPTURED", 10000, 0),
    "hold": (lambda s: s.approved(capture="manual"), Shop.confirm, "AUTHORIZED", 0, 0),
    "capture": (
        lambda s: s.paid(capture="manual"),
        lambda s, p: s.office.do("capture", p),
        *("CAPTURED", 10000, 0),
    ),
    "capture in part": (
        lambda s: s.paid(capture="manual"),
        lambda s, p: s.office.do("capture", p, {"amount": "60.50"}),
        *("CAPTURED", 6050, 0),
    ),
    "cancel": (
        lambda s: s.paid(capture="manual"),
        lambda s, p: s.office.do("cancel", p),
        *("CANCELED", 0, 0),
    ),
    "refund": (Shop.paid, lambda s, p: s.refund(p), "REFUNDED", 10000, 10000),
    "refund in part": (
        Shop.paid,
        lambda s, p: s.refund(p, amount=40),
        *("PARTIALLY_REFUNDED", 10000, 4000),
    ),
    "webhook": (
        Shop.approved,
        lambda s, _: s.hear(s.paypal.events[-1]),
        *("CAPTURED", 10000, 0),
    ),
}


@pytest.fixture
def paypal_faults(paypal_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """Return a proxy between the functions and PayPal."""
    proxy = FaultProxy(paypal_shop.paypal.url)
    paypal_shop.keys["url"] = proxy.url
    paypal_shop.paypal.blocks_duplicates = False  # the request ids alone must do
    yield proxy
    proxy.close()


@pytest.mark.parametrize(
    ("scenario", "fault"),
    [
        pytest.param(
            *(scenario, fault),
            id=f"{scenario}-{fault.name.lower()}",
            marks=[pytest.mark.slow] * ((scenario, fault) not in FAST),
        )
        for scenario in SCENARIOS
        for fault in FAULTS
    ],
)
def test_a_fault_at_any_request_leaves_payment_and_ledger_in_agreement(
    paypal_shop: Shop,
    paypal_faults: FaultProxy,
    scenario: str,
    fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault in SILENT:
        monkeypatch.setattr(adapter, "ANSWER_SECONDS", 0.1)
        monkeypatch.setattr(adapter, "QUICK_SECONDS", 0.05)
    for position in range(faulty(paypal_shop, paypal_faults, SCENARIOS[scenario], [])):
        # Twice: at once it is tried again.
        plan = [Fault.NONE] * position + [fault] * (1 if fault in SILENT else 2)
        faulty(paypal_shop, paypal_faults, SCENARIOS[scenario], plan)


def test_a_silence_is_not_waited_for_twice(
    paypal_shop: Shop, paypal_faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(adapter, "QUICK_SECONDS", 0.05)

    faulty(paypal_shop, paypal_faults, SCENARIOS["pay"], [Fault.SILENCE_AFTER])


@pytest.mark.parametrize(
    "scenario",
    ["hold", *(pytest.param(each, marks=pytest.mark.slow) for each in SCENARIOS if each != "hold")],
)
def test_a_fault_that_passes_at_once_is_not_noticed(
    paypal_shop: Shop, paypal_faults: FaultProxy, scenario: str
) -> None:
    for position in range(faulty(paypal_shop, paypal_faults, SCENARIOS[scenario], [])):
        plan = [Fault.NONE] * position + [Fault.ERROR_AFTER]
        faulty(paypal_shop, paypal_faults, SCENARIOS[scenario], plan, most_repeats=0)


def faulty(
    shop: Shop,
    proxy: FaultProxy,
    scenario: Scenario,
    plan: list[Fault],
    most_repeats: int = 10,
) -> int:
    """Play a scenario with these faults; return how many requests the faulty call made."""
    prepare, do, status, captured, refunded = scenario
    proxy.plan()
    payment_id = prepare(shop)
    shop.paypal.revoke_tokens()
    proxy.plan(*plan)
    answer = do(shop, payment_id)
    asked = proxy.calls
    for _ in range(most_repeats):
        if answer.status in (200, 201, 204):
            break
        assert answer.status in (202, 409, 503)
        shop.sweep(600)
        answer = do(shop, payment_id)
    assert answer.status in (200, 201, 204)
    proxy.plan()  # a late request arrives at last
    shop.sweep(600)
    payment = shop.kept(payment_id)
    assert (payment.status, payment.captured_minor) == (status, captured)
    assert payment.refunded_minor == refunded
    shop.agree(payment_id)
    return asked


def test_somebody_elses_refusal_is_no_answer(paypal_shop: Shop, paypal_faults: FaultProxy) -> None:
    payment_id = paypal_shop.made()
    paypal_faults.plan(Fault.NONE, Fault.THROTTLED)

    assert paypal_shop.confirm(payment_id).status == 202
    assert paypal_shop.confirm(payment_id).json["status"] == "REQUIRES_ACTION"


def test_a_lost_answer_to_a_start_gives_the_same_order(
    paypal_shop: Shop, paypal_faults: FaultProxy
) -> None:
    payment_id = paypal_shop.made()
    paypal_faults.plan(Fault.NONE, Fault.ERROR_AFTER, Fault.ERROR_AFTER)

    assert paypal_shop.confirm(payment_id).status == 202
    assert paypal_shop.confirm(payment_id).json["status"] == "REQUIRES_ACTION"

    orders = [each for each in paypal_shop.paypal.orders.values() if each.payment_id == payment_id]
    assert len(orders) == 1


def test_the_invoice_id_is_a_second_lock_where_the_request_id_is_forgotten(
    paypal_shop: Shop, paypal_faults: FaultProxy
) -> None:
    payment_id = paypal_shop.paid()
    paypal_shop.paypal.blocks_duplicates = True
    paypal_faults.plan(Fault.ERROR_AFTER, after=paypal_shop.paypal.forget_keys)

    paypal_shop.refund(payment_id, amount=40)  # asked for again at once
    paypal_shop.sweep()

    assert paypal_shop.asked("/refund") == 2
    assert paypal_shop.moved(payment_id)["refund"] == 4000
    paypal_shop.agree(payment_id)


def test_a_start_that_was_never_answered_is_given_up_and_begun_anew(
    paypal_shop: Shop, paypal_faults: FaultProxy
) -> None:
    payment_id = paypal_shop.made()
    paypal_faults.plan(*[Fault.ERROR_AFTER] * 999)
    assert paypal_shop.confirm(payment_id).status == 202
    for _ in range(9):
        paypal_shop.sweep()
    assert paypal_shop.get(payment_id)["status"] == "PENDING"
    paypal_faults.plan()

    paypal_shop.confirm(payment_id)
    paypal_shop.act(payment_id)
    assert paypal_shop.confirm(payment_id).json["status"] == "CAPTURED"
    paypal_shop.agree(payment_id)


def test_an_operation_is_not_repeated_after_paypal_forgot_its_id(
    paypal_shop: Shop, paypal_faults: FaultProxy
) -> None:
    payment_id = paypal_shop.paid()
    paypal_faults.plan(*[Fault.ERROR] * 999)
    assert paypal_shop.refund(payment_id, amount=10).status == 202
    for _ in range(9):
        paypal_shop.sweep()
    paypal_faults.plan()
    before = paypal_shop.asked("/refund")

    paypal_shop.sweep()

    assert paypal_shop.asked("/refund") == before
    [refund] = paypal_shop.get(payment_id)["refunds"]
    assert refund["status"] == "FAILED"
    paypal_shop.agree(payment_id)


def test_client_webhook_and_schedule_at_once_take_the_money_once(paypal_shop: Shop) -> None:
    payment_id = paypal_shop.approved()
    event = paypal_shop.paypal.events[0]
    paypal_shop.paypal.seconds_ahead += HOUR
    calls: list[Callable[[], object]] = [
        lambda: paypal_shop.confirm(payment_id),
        lambda: paypal_shop.hear(event),
        lambda: paypal_shop.hear(event),
        lambda: settle_payments({}, Context()),
    ]
    threads = [Thread(target=each) for each in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    paypal_shop.sweep()
    assert paypal_shop.get(payment_id)["status"] == "CAPTURED"
    assert Decimal(100) == sum(each.amount for each in paypal_shop.paypal.ledger)
    paypal_shop.agree(payment_id)
