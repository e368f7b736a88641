"""Payments at Stripe's stand-in, from the front door; at the end, both sides' books agree.

Every request of the adapter and every answer of the stand-in is held against Stripe's own OpenAPI
document, where it lies beside the checkout.
"""

import hashlib
import hmac
import http.client
import io
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import stripe as package
from werkzeug.wrappers import Request as WsgiRequest

from local.loopback import listen, serving
from local.stripe import StripeError, StripeStandIn
from settle_payments.app import handler as settle_payments
from shared.errors import GatewayKeysRefused, GatewayUnavailable
from shared.gateways import keys
from shared.gateways import stripe as adapter
from shared.payments import clock
from shared.payments.payment import Operation, Payment
from shared.store import items as store_items
from shared.store import payments as store_payments
from shared.store.payments import payments
from shared.time_left import give
from stripe_webhook.app import handler as stripe_webhook
from tests.conftest import Client, Context, Response, call, forget, proxy_event
from tests.gateways.recorded import Recorded
from tests.gateways.standins import Network
from tests.gateways.stripe_judge import SPEC, judge, judge_event
from tests.local.conftest import wait_for
from tests.reliability.proxy import SILENT, Fault
from tests.reliability.worker import shifted

HOUR = 3600
DAY = 24 * HOUR
RETURN = "https://shop.example/back?cart=7#top"
SESSION = {
    "mode": "payment",
    "success_url": "https://shop.example/",
    "line_items": [{"price_data": {"unit_amount": "100", "currency": "usd"}}],
}


class Shop:
    """A shop whose payments go through Stripe.

    Attributes:
        keys: what the stack's parameter holds; `known` is what the functions read last.
        seconds_ahead: how far our clock is ahead; Stripe's goes with it.
    """

    def __init__(
        self,
        stripe: StripeStandIn,
        recorded: Recorded,
        network: Network,
        table: tuple[Any, str],
    ) -> None:
        self.alice, self.office = Client(), Client(scope="payments/manage")
        self.stripe, self.recorded, self.network = stripe, recorded, network
        self.keys: dict[str, Any] = {**stripe.keys, "url": network.url}
        self.known: Mapping[str, Any] = self.keys
        self.reads = 0
        self.seconds_ahead = 0.0
        self.heard = 0
        self.made_ids: list[str] = []
        self._table = table

    def read_keys(self, gateway: str, *, fresh: bool = False) -> Mapping[str, Any]:
        assert gateway == "stripe"
        self.reads += fresh
        if fresh:
            self.known = dict(self.keys)
        return self.known

    # Calls

    def made(self, amount: Any = 100, currency: str = "USD", **fields: Any) -> str:
        asked = {"gateway": "stripe", "returnUrl": RETURN, **fields}
        answer = self.alice.create({"amount": amount, "currency": currency, **asked})
        assert answer.status == 201, answer.text
        self.made_ids.append(answer.json["paymentId"])
        return self.made_ids[-1]

    def started(self, *amount: Any, **fields: Any) -> str:
        payment_id = self.made(*amount, **fields)
        answer = self.confirm(payment_id)
        assert (answer.status, answer.json["status"]) == (200, "REQUIRES_ACTION"), answer.text
        return payment_id

    def paid(self, *amount: Any, **fields: Any) -> str:
        payment_id = self.started(*amount, **fields)
        self.pay(payment_id)
        assert self.confirm(payment_id).json["status"] in ("CAPTURED", "AUTHORIZED")
        return payment_id

    def held(self, *amount: Any, **fields: Any) -> str:
        return self.paid(*amount, capture="manual", **fields)

    def confirm(self, payment_id: str) -> Response:
        return self.alice.do("confirm", payment_id, {})

    def capture(self, payment_id: str, **body: Any) -> Response:
        return self.office.do("capture", payment_id, body)

    def cancel(self, payment_id: str) -> Response:
        return self.alice.do("cancel", payment_id, {"reason": "Changed my mind"})

    def refund(self, payment_id: str, key: str = "r-1", **body: Any) -> Response:
        return self.office.do("refund", payment_id, body, {"Idempotency-Key": key})

    def shown(self, payment_id: str) -> Any:
        return self.alice.get(payment_id).json

    # Stripe

    def pay(self, payment_id: str, outcome: str = "pay") -> str:
        """Let the payer act on Stripe's page, as a browser or curl does; return where they go."""
        url = urlsplit(self.shown(payment_id)["nextAction"]["url"])
        page = http.client.HTTPConnection(url.netloc, timeout=10)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        page.request("POST", url.path, f"outcome={outcome}", form)
        response = page.getresponse()
        assert response.status == 303
        page.close()
        return response.headers["Location"]

    def intent(self, payment_id: str) -> str:
        return str(self.stripe.session_of(payment_id)["payment_intent"])

    def hear(self, *events: Any) -> list[int]:
        """Send events as webhooks, or all that are new."""
        if not events:
            events = tuple(self.stripe.events[self.heard :])
            self.heard = len(self.stripe.events)
        return [self.webhook(*self.stripe.signed(event)).status for event in events]

    def webhook(self, headers: Mapping[str, str], body: bytes) -> Response:
        event = proxy_event("create_payment")
        del event["requestContext"]["authorizer"]
        sent = {"resource": "/webhook/stripe", "path": "/webhook/stripe"}
        many = {name: [value] for name, value in headers.items()}
        event |= {**sent, "body": body.decode(), "multiValueHeaders": many}
        return call(stripe_webhook, event)

    @property
    def asked(self) -> list[tuple[str, str, str | None]]:
        """Method, path and Idempotency-Key of what Stripe was asked."""
        exchanges = self.recorded.exchanges
        return [(each[0], each[1], each.headers.get("idempotency-key")) for each in exchanges]

    # Time, and the books

    def sweep(self, seconds: float = HOUR) -> None:
        """Let an hour pass, and the schedule run."""
        self.seconds_ahead += seconds
        self.stripe.seconds_ahead = self.seconds_ahead
        settle_payments({}, Context())

    def until_answered(self, do: Callable[[], Response]) -> Response:
        for _ in range(10):
            response = do()
            assert response.status != 500, response.text
            is_under_way = response.status == 409 and "operation-under-way" in response.text
            if response.status not in (202, 503) and not is_under_way:
                return response
            self.sweep(60)
        raise AssertionError("the fault has long passed, and there is still no answer")

    def settled(self, payment_id: str) -> Payment:
        """Return the payment after all that was under way, held against Stripe's ledger."""
        self.network.plan()
        for _ in range(5):
            kept = payments().get(payment_id, owner=None)
            if not kept.due_at or kept.status in ("REQUIRES_ACTION", "AUTHORIZED"):
                break
            self.sweep()
        self.agree(kept)
        return kept

    def agree(self, payment: Payment) -> None:
        """Check that a payment and Stripe's ledger are the same, to the last minor unit."""
        assert payment.operation is None
        text = json.dumps(store_items.to_item(payment), default=str)
        assert "never_to_be_kept" not in text
        asked = Counter((move.kind, move.by) for move in self.stripe.ledger if move.by)
        assert not asked or max(asked.values()) == 1, self.stripe.ledger
        sums: Counter[str] = Counter()
        for move in self.stripe.ledger:
            if move.payment_id == payment.payment_id:
                sums[move.kind] += move.amount
        scale = 10 ** (adapter.DECIMALS.get(payment.currency, payment.decimals) - payment.decimals)
        assert sums["capture"] == payment.captured_minor * scale
        back = sums["refund"] - sums["refund failed"] + sums["dispute"]
        pending = sum(each.amount_minor for each in payment.refunds if each.status == "PENDING")
        assert back == (payment.refunded_minor + pending) * scale
        if payment.status == "AUTHORIZED":
            assert (sums["hold"], sums["release"]) == (payment.amount_minor * scale, 0)
        elif sums["hold"]:
            assert sums["hold"] == sums["capture"] + sums["release"]
        capture = ("capture", payment.payment_id)
        captures = [move for move in self.stripe.ledger if move[:2] == capture]
        assert len(captures) <= 1

    def close(self) -> None:
        client, name = self._table
        for payment_id in self.made_ids:
            client.delete_item(TableName=name, Key={"paymentId": {"S": payment_id}})


@pytest.fixture
def stand_in() -> Iterator[tuple[StripeStandIn, Recorded]]:
    """Return a stand-in; judge all that was said."""
    app = StripeStandIn()
    recorded = Recorded(app)
    with serving(recorded, listen(0)) as app.url:
        yield app, recorded
    if SPEC.is_file():
        for each in recorded.exchanges:
            judge(each.method, each.path, parse_qsl(each.asked.decode()), each.status, each.answer)
        for event in app.events:
            judge_event(event)


def test_stripes_document_is_there() -> None:
    if not SPEC.is_file():
        pytest.skip(f"{SPEC} is absent: requests and answers are not held against it")


@pytest.fixture
def shop(
    stand_in: tuple[StripeStandIn, Recorded],
    table: tuple[Any, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    app, recorded = stand_in
    network = Network(app.url)
    shop = Shop(app, recorded, network, table)
    monkeypatch.setenv("GATEWAYS", "manual,stripe")
    monkeypatch.setattr(keys, "keys", shop.read_keys)
    monkeypatch.setattr(clock, "datetime", shifted(lambda: shop.seconds_ahead))
    monkeypatch.setattr(package.HTTPClient, "INITIAL_DELAY", 0)
    for module in (store_items, store_payments):
        monkeypatch.setattr(module, "DUE_SHARDS", 1)
    forget()
    yield shop
    shop.close()
    network.close()
    adapter._client_for.cache_clear()


# --- Paying ---


def test_a_payer_pays_on_stripes_page(shop: Shop) -> None:
    payment_id = shop.started(100, description="A chair")

    action = shop.shown(payment_id)["nextAction"]
    assert action["type"] == "redirect"
    assert action["url"].startswith(shop.stripe.url)
    left = clock.seconds_between(clock.now(), action["expiresAt"])
    assert 23 * HOUR < left < DAY
    back = shop.pay(payment_id)
    assert back == f"https://shop.example/back?cart=7&paymentId={payment_id}#top"
    answer = shop.confirm(payment_id)

    assert answer.status == 200
    assert (answer.json["status"], answer.json["amountCapturedMinor"]) == ("CAPTURED", 10000)
    assert answer.json["nextAction"] is None
    assert set(shop.hear()) == {204}
    assert shop.settled(payment_id).status == "CAPTURED"


def test_a_declined_card_is_not_the_end(shop: Shop) -> None:
    payment_id = shop.started()
    shop.pay(payment_id, "decline")
    shop.hear()

    declined = shop.shown(payment_id)
    assert declined["status"] == "REQUIRES_ACTION"
    assert declined["lastError"] == {
        "code": "card_declined",
        "message": "The card is declined, as the button or the amount asks",
    }
    assert declined["nextAction"]["type"] == "redirect"
    shop.pay(payment_id)
    shop.hear()

    paid = shop.shown(payment_id)
    assert (paid["status"], paid["lastError"]) == ("CAPTURED", None)
    shop.settled(payment_id)


@pytest.mark.parametrize("outcome", ["abandon", "decline"])
@pytest.mark.parametrize("learns_by", ["webhook", "schedule"])
def test_who_never_pays_lets_it_expire(shop: Shop, outcome: str, learns_by: str) -> None:
    payment_id = shop.started()
    shop.pay(payment_id, outcome)
    assert shop.confirm(payment_id).json["status"] == "REQUIRES_ACTION"

    shop.seconds_ahead = shop.stripe.seconds_ahead = DAY
    if learns_by == "schedule":
        shop.sweep(0)
    else:
        shop.stripe.pay(shop.stripe.session_of(payment_id)["id"], "abandon")
        assert set(shop.hear()) == {204}

    assert shop.shown(payment_id)["status"] == "EXPIRED"
    assert shop.settled(payment_id).captured_minor == 0


def test_a_start_asks_for_one_session_however_often_it_is_repeated(shop: Shop) -> None:
    payment_id = shop.started()

    again = shop.confirm(payment_id)

    assert (again.status, again.json["status"]) == (200, "REQUIRES_ACTION")
    posts = [path for method, path, _ in shop.asked if method == "POST"]
    assert posts == ["/v1/checkout/sessions"]


def test_the_adapters_keys_are_the_operations_and_no_card_data_is_asked_for(shop: Shop) -> None:
    payment_id = shop.held()
    shop.capture(payment_id)
    shop.refund(payment_id, key="the clients own key")

    sent = [key for method, _, key in shop.asked if method == "POST"]
    assert len(set(sent)) == len(sent) == 3
    for key, endpoint in zip(sent, ("session0", "capture", "refund"), strict=True):
        assert key is not None
        assert key.startswith("op_")
        assert key.endswith(f":{endpoint}")


@pytest.mark.parametrize(("debits", "status"), [("succeed", "CAPTURED"), ("fail", "FAILED")])
def test_a_way_to_pay_that_takes_days(shop: Shop, debits: str, status: str) -> None:
    payment_id = shop.started()
    shop.pay(payment_id, "debit")
    shop.hear()
    assert shop.shown(payment_id)["status"] == "PROCESSING"
    assert shop.cancel(payment_id).status in (202, 409)

    shop.stripe.finish(debits)
    shop.hear()

    payment = shop.shown(payment_id)
    assert payment["status"] == status
    assert bool(payment["lastError"]) == (status == "FAILED")
    shop.settled(payment_id)


# --- Amounts ---


@pytest.mark.parametrize(
    ("amount", "currency", "at_stripe", "refund"),
    [
        ("10.50", "USD", 1050, "0.01"),
        ("500", "JPY", 500, "1"),
        ("500", "ISK", 50000, "1"),
        ("5000", "UGX", 500000, "1"),
        ("10", "MGA", 10, "1"),
        ("10.45", "HUF", None, None),
        ("200.45", "HUF", 20045, "0.05"),
        ("1.230", "KWD", 1230, "0.010"),
    ],
)
def test_amounts_are_stripes_there_and_iso_4217s_here(
    shop: Shop, amount: str, currency: str, at_stripe: int | None, refund: str
) -> None:
    if at_stripe is None:
        asked = {"amount": amount, "currency": currency, "gateway": "stripe", "returnUrl": RETURN}
        assert "at least 175" in shop.alice.create(asked).errors["amount"]
        return
    payment_id = shop.paid(amount, currency)

    assert shop.stripe.ledger[-1].amount == at_stripe
    assert float(str(shop.shown(payment_id)["amountCaptured"])) == float(amount)
    assert shop.refund(payment_id, amount=refund).status == 201
    kept = shop.settled(payment_id)
    assert kept.status == "PARTIALLY_REFUNDED"


@pytest.mark.parametrize(
    ("amount", "currency", "field", "message"),
    [
        ("0.49", "USD", "amount", "at least 0.50 USD"),
        ("49", "JPY", "amount", "at least 50 JPY"),
        ("1.005", "KWD", "amount", "KWD with 2 decimals"),
        ("10.50", "MGA", "amount", "MGA with 0 decimals"),
        ("10000000000", "USD", "amount", "at most"),
        ("10000000000", "ISK", "amount", "at most 9999999999 ISK"),  # twelve digits there
        ("10", "IRR", "currency", "must be one that stripe takes"),
    ],
)
def test_what_stripe_does_not_take_is_refused_at_once(
    shop: Shop, amount: str, currency: str, field: str, message: str
) -> None:
    asked = {"amount": amount, "currency": currency, "gateway": "stripe", "returnUrl": RETURN}

    refused = shop.alice.create(asked)

    assert refused.status == 400
    assert message in refused.errors[field]


# --- Holding, and releasing ---


def test_a_capture_in_part_releases_the_rest_which_is_no_refund(shop: Shop) -> None:
    payment_id = shop.held()

    answer = shop.capture(payment_id, amount="60.50")
    shop.hear()

    assert (answer.status, answer.json["amountCapturedMinor"]) == (200, 6050)
    assert shop.shown(payment_id)["refunds"] == []
    assert shop.refund(payment_id, amount="39.50").status == 201
    hand = shop.stripe.refund_by_hand(shop.intent(payment_id), 2100)
    assert hand
    shop.hear()
    kept = shop.settled(payment_id)
    assert (kept.status, kept.refunded_minor) == ("REFUNDED", 6050)


def test_a_hold_whose_end_stripe_does_not_tell_is_looked_at(shop: Shop) -> None:
    payment_id = shop.held()
    for charge in shop.stripe.objects["charge"].values():
        del charge["payment_method_details"]["card"]["capture_before"]
    shop.hear(shop.stripe.events[-1])
    assert shop.shown(payment_id)["authorizedUntil"] is None

    intent = shop.stripe.objects["payment_intent"][shop.intent(payment_id)]
    shop.stripe._cancel(intent, "automatic")
    shop.sweep()

    assert shop.shown(payment_id)["status"] == "EXPIRED"
    shop.settled(payment_id)


def test_a_capture_that_comes_too_late_is_a_conflict(shop: Shop) -> None:
    payment_id = shop.held()
    shop.stripe.cancel_by_hand(shop.intent(payment_id))

    answer = shop.capture(payment_id)

    assert answer.status == 409
    assert answer.json["currentStatus"] == "CANCELED"
    assert "status of canceled" in answer.json["detail"]
    assert shop.settled(payment_id).status == "CANCELED"


def test_a_cancel_loses_against_a_payment(shop: Shop) -> None:
    payment_id = shop.started()
    shop.pay(payment_id)

    answer = shop.cancel(payment_id)

    assert answer.status == 409
    assert answer.json["currentStatus"] == "CAPTURED"
    assert shop.settled(payment_id).status == "CAPTURED"


@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_a_payment_between_a_cancels_look_and_its_request(shop: Shop, capture: str) -> None:
    payment_id = shop.started(capture=capture)
    session_id = shop.stripe.session_of(payment_id)["id"]
    seen: list[int] = []

    def pay_before_the_second_request() -> None:
        seen.append(1)
        if len(seen) == 2:
            shop.stripe.pay(session_id)

    shop.network.plan(before=pay_before_the_second_request)
    answer = shop.cancel(payment_id)

    kept = shop.settled(payment_id)
    if capture == "manual":
        assert (answer.status, kept.status) == (200, "CANCELED")
    else:
        assert (answer.status, kept.status) == (409, "CAPTURED")
        assert "can be expired" in answer.json["detail"]


# --- Refunds ---


@pytest.mark.parametrize(("kind", "status"), [("pending", "SUCCEEDED"), ("failing", "FAILED")])
@pytest.mark.parametrize("learns_by", ["webhook", "schedule"])
def test_a_refund_that_takes_time(shop: Shop, kind: str, status: str, learns_by: str) -> None:
    payment_id = shop.paid()
    shop.stripe.refunds = kind

    asked = shop.refund(payment_id, amount=10)
    shop.stripe.refunds = "succeeded"
    assert asked.json["status"] == "PENDING"
    assert shop.shown(payment_id)["status"] == "CAPTURED"
    shop.stripe.finish()
    if learns_by == "webhook":
        assert set(shop.hear()) == {204}
    else:
        shop.sweep()

    [refund] = shop.shown(payment_id)["refunds"]
    assert refund["status"] == status
    if status == "FAILED":
        assert shop.refund(payment_id, "r-2").status == 201  # all of it is left
    shop.settled(payment_id)


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_refund_by_hand_of_just_what_was_released_counts(shop: Shop, is_listed: bool) -> None:
    """Whether Stripe lists what a capture in part released, or not."""
    payment_id = shop.held()
    shop.capture(payment_id, amount="60")
    if not is_listed:
        shop.stripe.objects["refund"].clear()
    shop.hear()
    assert shop.shown(payment_id)["refunds"] == []

    shop.seconds_ahead = shop.stripe.seconds_ahead = 2 * HOUR
    shop.stripe.refund_by_hand(shop.intent(payment_id), 4000)
    shop.hear()

    [refund] = shop.shown(payment_id)["refunds"]
    assert refund["amountMinor"] == 4000
    shop.settled(payment_id)


def test_a_refund_by_hand_at_stripe_counts(shop: Shop) -> None:
    payment_id = shop.paid()
    shop.stripe.refund_by_hand(shop.intent(payment_id), 3000)

    too_much = shop.refund(payment_id, amount=80)  # what is here is behind
    assert too_much.json["status"] == "FAILED", too_much.text
    shop.hear()
    assert shop.refund(payment_id, "r-2", amount=70).status == 201

    kept = shop.settled(payment_id)
    assert (kept.status, kept.refunded_minor) == ("REFUNDED", 10000)
    by_hand = [each for each in kept.refunds if each.fingerprint == ""]
    assert [each.amount_minor for each in by_hand] == [3000]
    assert by_hand[0].refund_id.startswith("ref_")


def test_a_dispute_that_is_lost_is_money_given_back(shop: Shop) -> None:
    payment_id = shop.paid()
    dispute = shop.stripe.dispute(shop.intent(payment_id), 10000)
    shop.hear()
    assert shop.shown(payment_id)["status"] == "CAPTURED"
    refused = shop.refund(payment_id, amount=10)
    assert refused.json["status"] == "FAILED"

    shop.stripe.lose(dispute)
    assert set(shop.hear()) == {204}

    kept = shop.settled(payment_id)
    assert (kept.status, kept.refunded_minor) == ("REFUNDED", 10000)
    shop.stripe.objects["dispute"][dispute]["status"] = "won"
    shop.hear(shop.stripe.events[-1])
    assert shop.shown(payment_id)["status"] == "CAPTURED"


# --- Webhooks ---


def last_event(shop: Shop) -> Any:
    payment_id = shop.started()
    shop.pay(payment_id)
    return shop.stripe.events[-1]


def signature(secret: str, body: bytes, at: float) -> str:
    signed = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256)
    return f"t={int(at)},v1={signed.hexdigest()}"


def forged(shop: Shop, name: str) -> tuple[dict[str, str], bytes]:
    headers, body = shop.stripe.signed(last_event(shop))
    secret = shop.stripe.webhook_secret
    good = headers["Stripe-Signature"]
    by_name: dict[str, tuple[str | None, bytes]] = {
        "unsigned": (None, body),
        "forged": (signature("whsec_other", body, time.time()), body),
        "old": (signature(secret, body, time.time() - 301), body),
        "truncated": (good, body[:-1]),
        "re-encoded": (good, json.dumps(json.loads(body)).encode()),
        "another time": (good.replace("t=1", "t=2"), body),
        "not ascii": (f"t={int(time.time())},v1=ä", body),
        "no scheme": (good.replace("v1=", "v0="), body),
        "nonsense": ("nonsense", body),
    }
    header, sent = by_name[name]
    return ({"Stripe-Signature": header} if header else {"Accept": "*/*"}), sent


@pytest.mark.parametrize(
    "name",
    [
        *("unsigned", "forged", "old", "truncated", "re-encoded"),
        *("another time", "not ascii", "no scheme", "nonsense"),
    ],
)
def test_a_webhook_that_stripe_did_not_sign_is_refused(shop: Shop, name: str) -> None:
    headers, body = forged(shop, name)
    asked = len(shop.asked)

    refused = shop.webhook(headers, body)

    assert refused.status == 400
    assert "must be Stripe's" in refused.errors["Stripe-Signature"]
    assert len(shop.asked) == asked
    [payment_id] = shop.made_ids
    assert shop.shown(payment_id)["status"] == "REQUIRES_ACTION"


def test_secrets_that_are_a_text_are_no_keys(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "keys", lambda *_, **__: {"webhookSecrets": "whsec_1"})

    with pytest.raises(GatewayKeysRefused):
        adapter.Stripe().payment_id_in({"stripe-signature": "t=1,v1=2"}, b"{}")


def test_a_call_that_is_late_asks_for_nothing_any_more(shop: Shop) -> None:
    payment = payments().get(shop.started(), owner=None)
    before = len(shop.asked)

    give(-1)
    with pytest.raises(GatewayUnavailable):
        adapter.Stripe().fetch(payment)
    give(inf)

    assert len(shop.asked) == before


def test_a_partial_amount_has_the_decimals_of_stripe(shop: Shop) -> None:
    payment_id = shop.made(capture="manual", currency="MGA", amount=100)

    refused = shop.office.do("capture", payment_id, {"amount": "10.50"})

    assert refused.errors == {"amount": "stripe takes MGA with 0 decimals"}


def test_both_secrets_are_valid_while_one_is_rolled(shop: Shop) -> None:
    event = last_event(shop)
    old, new = shop.stripe.webhook_secret, f"whsec_{secrets.token_hex(16)}"
    _, body = shop.stripe.signed(event)
    now = time.time()
    by_both = f"{signature(new, body, now)},{signature(old, body, now).partition(',')[2]}"

    before = shop.webhook({"Stripe-Signature": by_both}, body)
    shop.keys["webhookSecrets"] = [new, old]
    statuses = [shop.webhook(*shop.stripe.signed(event, secret)).status for secret in (old, new)]
    shop.keys["webhookSecrets"] = [new]
    after = [shop.webhook(*shop.stripe.signed(event, secret)).status for secret in (old, new)]

    assert before.status == 204
    assert (statuses, after) == ([204, 204], [400, 204])


@pytest.mark.parametrize(
    "about",
    [
        {"object": "customer", "id": "cus_1", "metadata": {}},
        {"object": "checkout.session", "id": "cs_1", "client_reference_id": "order 7"},
        {"object": "payment_intent", "id": "pi_1", "metadata": {"paymentId": "7"}},
        {"object": "charge", "id": "ch_1", "metadata": {}, "payment_intent": None},
        {"object": "refund", "id": "re_1", "payment_intent": "pi_of_others"},
        {"object": "refund", "id": "re_1", "metadata": None},
        {
            "object": "payment_intent",
            "metadata": {"paymentId": "pay_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        },
    ],
    ids=lambda about: about["object"],
)
def test_other_peoples_events_are_none_of_ours(shop: Shop, about: Any) -> None:
    event = {"id": "evt_1", "object": "event", "type": "any", "data": {"object": about}}

    assert shop.webhook(*shop.stripe.signed(event)).status == 204


@pytest.mark.parametrize("document", [[], {}, "text", {"data": {"object": "x"}}])
def test_what_is_signed_and_no_event_is_refused(shop: Shop, document: Any) -> None:
    assert "body" in shop.webhook(*shop.stripe.signed(document)).errors


@pytest.mark.parametrize("mode", ["once", "twice", "reversed"])
def test_the_stand_in_sends_signed_webhooks_by_itself(mode: str) -> None:
    kinds = ["payment_intent.created", "payment_intent.succeeded", "checkout.session.completed"]
    twice = [kind for kind in kinds for _ in "12"]
    expected = {"twice": twice, "reversed": kinds[::-1]}.get(mode, kinds)
    taken: list[Any] = []
    secret = f"whsec_{secrets.token_hex(16)}"

    def ear(environ: Any, start: Any) -> Any:
        request = WsgiRequest(environ)
        header = request.headers["Stripe-Signature"]
        event = package.Webhook.construct_event(request.get_data(), header, secret, api_key="sk")
        taken.append(event.type)
        start("204 No Content", [])
        return [b""]

    with serving(ear, listen(0)) as url:
        app = StripeStandIn(f"{url}/webhook/stripe")
        app.webhook_secret, app.webhooks = secret, mode
        session = app._create_session(SESSION)
        app.pay(session["id"])
        wait_for(lambda: len(taken) >= len(expected), lambda: str(taken))

    assert taken == expected


# --- Keys ---


def test_a_key_that_was_replaced_is_read_again(shop: Shop) -> None:
    shop.started()
    shop.stripe.secret_key = f"sk_test_{secrets.token_hex(16)}"
    shop.keys = {**shop.keys, "secretKey": shop.stripe.secret_key}

    shop.started()
    shop.started()

    assert shop.reads == 1


def test_a_key_that_is_revoked_is_a_503_and_nothing_of_it_is_shown(
    shop: Shop, logs: io.StringIO
) -> None:
    payment_id = shop.made()
    shop.stripe.secret_key = "another"

    answer = shop.confirm(payment_id)

    assert answer.status in (202, 503)
    assert shop.reads == 1
    assert shop.keys["secretKey"] not in logs.getvalue() + answer.text
    shop.stripe.secret_key = shop.keys["secretKey"]
    shop.until_answered(lambda: shop.confirm(payment_id))
    assert shop.shown(payment_id)["status"] == "REQUIRES_ACTION"


@pytest.mark.parametrize("found", [{}, {"secretKey": "x"}, [], None])
def test_keys_that_are_not_complete_are_no_defect(shop: Shop, found: Any) -> None:
    _, body = shop.stripe.signed({})
    shop.known = found

    with pytest.raises(GatewayKeysRefused):
        adapter.Stripe().payment_id_in({"stripe-signature": "t=1,v1=2"}, body)


# --- Outcomes that are not known ---

STEPS: dict[str, tuple[str, Callable[[Shop, str], Response], str]] = {
    "start": ("made", lambda shop, one: shop.confirm(one), "REQUIRES_ACTION"),
    "capture": ("held", lambda shop, one: shop.capture(one), "CAPTURED"),
    "capture in part": ("held", lambda shop, one: shop.capture(one, amount="60.50"), "CAPTURED"),
    "cancel": ("held", lambda shop, one: shop.cancel(one), "CANCELED"),
    "cancel open": ("started", lambda shop, one: shop.cancel(one), "CANCELED"),
    "refund": ("paid", lambda shop, one: shop.refund(one), "REFUNDED"),
    "refund in part": (
        "paid",
        lambda shop, one: shop.refund(one, amount=40),
        "PARTIALLY_REFUNDED",
    ),
}
FAST = {("start", Fault.GARBLED_ANSWER), ("refund in part", Fault.DROPPED_ANSWER)}
FAULTS = [
    Fault.DROPPED_ANSWER,
    Fault.LATER_REQUEST,
    *(Fault.DROPPED_REQUEST, Fault.SILENCE, Fault.SILENCE_AFTER, Fault.LATE_REQUEST, Fault.TWICE),
    *(Fault.CUT_ANSWER, Fault.GARBLED_ANSWER, Fault.EMPTY_ANSWER, Fault.FOREIGN_ANSWER),
    *(Fault.FOREIGN_REFUSAL, Fault.ERROR, Fault.ERROR_AFTER, Fault.THROTTLED, Fault.UNAVAILABLE),
]


def requests_of(shop: Shop, step: str) -> int:
    """Return how many requests a step makes where nothing goes wrong."""
    before, do, _ = STEPS[step]
    payment_id = getattr(shop, before)()
    shop.network.plan()
    assert do(shop, payment_id).status in (200, 201)
    return shop.network.calls


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        pytest.param(
            *(step, fault),
            id=f"{step}-{fault.name}",
            marks=[pytest.mark.slow] * ((step, fault) not in FAST),
        )
        for step in STEPS
        for fault in FAULTS
    ],
)
def test_every_fault_at_every_request(
    shop: Shop, step: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, do, status = STEPS[step]
    if fault in SILENT:
        monkeypatch.setattr(adapter, "ANSWER_SECONDS", 0.15)
        monkeypatch.setattr(adapter, "RETRIES", 0)
        adapter._client_for.cache_clear()
    for times in (1,) if fault in SILENT else (1, 3):
        for position in range(requests_of(shop, step)):
            payment_id = getattr(shop, before)()
            shop.network.plan(*[Fault.NONE] * position, *[fault] * times)

            answer = shop.until_answered(lambda one=payment_id: do(shop, one))

            assert answer.status in (200, 201), answer.text
            kept = shop.settled(payment_id)
            assert kept.status == status


@pytest.mark.parametrize(
    "trouble",
    ["500 after", *(pytest.param(each, marks=pytest.mark.slow) for each in ("429", "409", "500"))],
)
@pytest.mark.parametrize("step", STEPS)
def test_troubles_of_stripes_own(shop: Shop, step: str, trouble: str) -> None:
    before, do, status = STEPS[step]
    payment_id = getattr(shop, before)()
    shop.stripe.troubles.extend([trouble] * (3 if trouble == "409" else 1))

    answer = do(shop, payment_id)

    assert answer.status == 202
    if trouble == "500":  # kept for the operation's key: it is given up when the key is forgotten
        for _ in range(60):
            shop.sweep()
            if not payments().get(payment_id, owner=None).operation:
                break
        kept = shop.settled(payment_id)
        assert kept.operation is None
        return
    shop.until_answered(lambda: do(shop, payment_id))
    assert shop.settled(payment_id).status == status


def test_a_repeated_start_shows_what_is_so_now_not_what_was_so_first(shop: Shop) -> None:
    payment_id = shop.made()
    shop.network.plan(*[Fault.DROPPED_ANSWER] * 3)
    assert shop.confirm(payment_id).status == 202
    shop.stripe.pay(shop.stripe.session_of(payment_id)["id"])
    kept = payments().get(payment_id, owner=None)
    assert kept.operation

    facts = adapter.Stripe().start(kept, kept.operation)

    assert (facts.state, facts.captured_minor) == ("CAPTURED", 10000)


DIRECTLY = {
    "start": adapter.Stripe.start,
    "capture": adapter.Stripe.capture,
    "cancel": adapter.Stripe.cancel,
    "refund": adapter.Stripe.refund,
}


def lost(shop: Shop, step: str) -> Payment:
    """Return a payment whose operation has happened, and whose answers are all lost."""
    before, do, _ = STEPS[step]
    payment_id = getattr(shop, before)()
    looks = 1 if step.startswith("cancel") else 0
    shop.network.plan(*[Fault.NONE] * looks, *[Fault.DROPPED_ANSWER] * 3)
    assert do(shop, payment_id).status == 202
    kept = payments().get(payment_id, owner=None)
    assert kept.operation
    return kept


@pytest.mark.parametrize("step", STEPS)
def test_an_operation_that_is_asked_for_again_without_a_look_happens_once(
    shop: Shop, step: str
) -> None:
    kept = lost(shop, step)
    assert kept.operation
    moves = list(shop.stripe.ledger)
    shop.seconds_ahead = shop.stripe.seconds_ahead = 22 * HOUR  # the request is still the same

    facts = DIRECTLY[kept.operation.kind](adapter.Stripe(), kept, kept.operation)

    assert shop.stripe.ledger == moves
    assert len(shop.stripe.objects["checkout.session"]) == 1
    assert facts.last_error is None
    shop.settled(kept.payment_id)


@pytest.mark.parametrize("step", ["capture", "capture in part", "refund"])
def test_what_stripe_refuses_since_it_has_happened_is_done(shop: Shop, step: str) -> None:
    kept = lost(shop, step)
    assert kept.operation
    shop.stripe.forget_keys()

    facts = DIRECTLY[kept.operation.kind](adapter.Stripe(), kept, kept.operation)

    assert facts.last_error is None
    assert shop.settled(kept.payment_id).status == STEPS[step][2]


def damaged(shop: Shop, payment_id: str, how: str) -> None:
    if how == "no such session":
        shop.stripe.objects["checkout.session"].clear()
    elif how == "another's session":
        shop.stripe.session_of(payment_id)["client_reference_id"] = None
    elif how == "no list":
        shop.stripe._list = refuse  # type: ignore[method-assign]


@pytest.mark.parametrize("how", ["no such session", "another's session", "no list", "no time"])
def test_an_answer_that_makes_no_sense_changes_nothing(
    shop: Shop, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id = shop.held()
    shop.capture(payment_id)
    event = shop.stripe.events[-1]
    damaged(shop, payment_id, how)
    if how == "no time":
        monkeypatch.setattr(adapter, "CALL_SECONDS", 0)

    assert shop.hear(event) == [503]

    assert shop.shown(payment_id)["status"] == "CAPTURED"


def test_a_cancel_of_what_stripe_does_not_know_is_not_known(shop: Shop) -> None:
    kept = payments().get(shop.made(), owner=None)

    with pytest.raises(GatewayUnavailable):
        adapter.Stripe().cancel(kept, Operation("op_1", "cancel", clock.now()))


def test_a_start_that_stripe_refuses_says_why(shop: Shop) -> None:
    payment_id = shop.made()
    shop.stripe._create_session = refuse  # type: ignore[method-assign]

    answer = shop.confirm(payment_id)

    assert answer.json["status"] == "PENDING"
    assert answer.json["lastError"]["code"] == "parameter_missing"
    assert shop.cancel(payment_id).json["status"] == "CANCELED"


def refuse(*_: Any) -> Any:
    raise StripeError(400, "Missing required param: mode.", "parameter_missing")
