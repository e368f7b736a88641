"""What every webhook has in common."""

import io

import pytest

from shared import webhooks
from shared.errors import GatewayKeysRefused
from shared.gateways.manual import Manual
from stripe_webhook.app import handler
from tests.conftest import Client, call, proxy_event


def test_a_gateway_that_the_stack_does_not_have_has_no_webhook() -> None:
    answer = call(handler, proxy_event("stripe_webhook"))

    assert (answer.status, answer.errors) == (400, {"path": "this stack has no gateway stripe"})


def test_a_gateway_is_not_heard_about_a_payment_of_another(
    alice: Client, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    payment = alice.create({"amount": 1, "currency": "USD"}).json
    gateway = Manual()
    monkeypatch.setattr(gateway, "payment_id_in", lambda *_: payment["paymentId"])
    monkeypatch.setattr(webhooks, "gateways", lambda: {"stripe": gateway})

    answer = call(handler, proxy_event("stripe_webhook"))

    assert (answer.status, answer.text) == (204, "")
    assert alice.get(payment["paymentId"]).json == payment
    assert f'"paymentId":"{payment["paymentId"]}"' in logs.getvalue()


def test_keys_that_are_refused_are_counted(
    monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    def refuse(*_: object) -> str:
        raise GatewayKeysRefused

    gateway = Manual()
    monkeypatch.setattr(gateway, "payment_id_in", refuse)
    monkeypatch.setattr(webhooks, "gateways", lambda: {"stripe": gateway})

    assert call(handler, proxy_event("stripe_webhook")).status == 503
    assert '"reason":"keys","GatewayFailures":[1.0]' in logs.getvalue()
