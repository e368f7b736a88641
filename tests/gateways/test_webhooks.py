"""What every webhook has in common."""

import pytest

from shared import webhooks
from shared.gateways.manual import Manual
from stripe_webhook.app import handler
from tests.conftest import Client, call, proxy_event


def test_a_gateway_that_the_stack_does_not_have_has_no_webhook() -> None:
    answer = call(handler, proxy_event("stripe_webhook"))

    assert (answer.status, answer.errors) == (400, {"path": "this stack has no gateway stripe"})


def test_a_gateway_is_not_heard_about_a_payment_of_another(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = alice.create({"amount": 1, "currency": "USD"}).json
    gateway = Manual()
    monkeypatch.setattr(gateway, "payment_id_in", lambda *_: payment["paymentId"])
    monkeypatch.setattr(webhooks, "gateways", lambda: {"stripe": gateway})

    answer = call(handler, proxy_event("stripe_webhook"))

    assert (answer.status, answer.text) == (204, "")
    assert alice.get(payment["paymentId"]).json == payment
