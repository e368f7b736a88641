"""What the laptop's stand-ins know outlives its process."""

import json
import pickle
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from local import LocalError, gateways
from local.kept import kept
from local.loopback import listen, serving
from local.paypal import PayPal
from local.standin import StandIn
from local.stripe import StripeStandIn
from tests.gateways.test_stripe import SESSION
from tests.local.conftest import wait_for

ORDER = {
    "intent": "CAPTURE",
    "purchase_units": [{"custom_id": "pay_x", "amount": {"value": "1.00", "currency_code": "EUR"}}],
    "payment_source": {
        "paypal": {"experience_context": {"return_url": "http://shop", "cancel_url": "http://shop"}}
    },
}


def debit(stripe: Any) -> None:
    stripe.pay(stripe._create_session(SESSION)["id"], "debit")


def review(paypal: Any) -> None:
    paypal.capture_outcome = "PENDING"
    order = paypal._create(ORDER)
    paypal.pay(order.id)
    with paypal._step():
        paypal._complete(order, "capture")


DEBIT = [
    *("payment_intent.created", "checkout.session.completed"),
    *("payment_intent.succeeded", "checkout.session.async_payment_succeeded"),
]
REVIEW = ["CHECKOUT.ORDER.APPROVED", "PAYMENT.CAPTURE.PENDING", "PAYMENT.CAPTURE.COMPLETED"]


@pytest.mark.parametrize(
    ("kind", "pay", "expected"), [(StripeStandIn, debit, DEBIT), (PayPal, review, REVIEW)]
)
def test_what_was_late_or_pending_comes_after_a_restart(
    kind: type[StandIn],
    pay: Callable[[StandIn], None],
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []

    @Request.application
    def ear(request: Request) -> Response:
        event = json.loads(request.get_data())
        heard.append(event.get("event_type") or event["type"])
        return Response(status=204)

    with serving(ear, listen(0)) as url:
        for seconds in (None, 0.05):
            monkeypatch.setattr(gateways, "LATER_SECONDS", seconds)
            with ExitStack() as run:
                app = kind()
                gateways._stand_in(run, app, 0, url, tmp_path)
                if not app.events:
                    app.webhooks = "late"
                    pay(app)
                else:
                    wait_for(lambda: len(heard) >= len(expected), lambda: str(heard))

    assert Counter(heard) == Counter(expected)
    assert [move.kind for move in app.ledger] == ["capture"]


class Gone:
    """A class of another version."""


@pytest.mark.parametrize("what", [{"ledger": []}, {**dict.fromkeys(PayPal.KEPT), "orders": Gone()}])
def test_what_another_version_wrote_is_refused_with_what_to_do(
    what: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "paypal"
    file.write_bytes(pickle.dumps(what))
    monkeypatch.delattr(f"{__name__}.Gone")

    with (
        pytest.raises(LocalError, match=r"another version of this project: make run FRESH=1"),
        kept(PayPal(), file),
    ):
        pytest.fail("it started")
