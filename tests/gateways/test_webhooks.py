"""What every webhook has in common."""

import io
from collections.abc import Mapping

import pytest

from shared import webhooks
from shared.api.request import PublicRequest
from shared.errors import GatewayKeysRefused
from shared.gateways.manual import Manual
from shared.operations import Operations
from stripe_webhook.app import handler
from tests.conftest import Client, call, proxy_event


def test_a_gateway_that_the_stack_does_not_have_has_no_webhook() -> None:
    answer = call(handler, proxy_event("stripe_webhook"))

    assert (answer.status, answer.errors) == (400, {"path": "this stack has no gateway stripe"})


class Telling(Manual):
    """A gateway whose webhooks are about one payment."""

    def __init__(self, payment_id: str) -> None:
        self.heard: list[tuple[Mapping[str, str], bytes]] = []
        self._payment_id = payment_id

    def payment_id_in(self, headers: Mapping[str, str], body: bytes) -> str | None:
        self.heard.append((headers, body))
        return self._payment_id


def test_a_gateway_is_not_heard_about_a_payment_of_another(
    alice: Client, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    payment = alice.create({"amount": 1, "currency": "USD"}).json
    gateway = Telling(payment["paymentId"])
    monkeypatch.setattr(webhooks, "gateways", lambda: {"stripe": gateway})
    logs.truncate(0)
    event = proxy_event("stripe_webhook")

    answer = call(handler, event)

    assert (answer.status, answer.text) == (204, "")
    assert f'"paymentId":"{payment["paymentId"]}"' in logs.getvalue()
    assert alice.get(payment["paymentId"]).json == payment
    [(headers, body)] = gateway.heard
    assert headers["user-agent"] == event["headers"]["User-Agent"]
    assert body == event["body"].encode()


def test_a_gateway_is_heard_about_its_own(
    alice: Client, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    payment = alice.create({"amount": 1, "currency": "USD"}).json
    monkeypatch.setattr(webhooks, "gateways", lambda: {"manual": Telling(payment["paymentId"])})
    request = PublicRequest(proxy_event("stripe_webhook"))

    learnt = []
    monkeypatch.setattr(Operations, "learn", lambda _, payment: learnt.append(payment) or payment)

    assert webhooks.hear("manual", request).status == 204
    assert [each.payment_id for each in learnt] == [payment["paymentId"]]


def test_a_webhook_that_is_too_large_is_refused_and_no_fault_of_the_gateway(
    monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    monkeypatch.setattr(webhooks, "gateways", lambda: {"stripe": Telling("")})

    assert call(handler, {**proxy_event("stripe_webhook"), "body": "x" * 300_000}).status == 413
    assert '"gateway":"stripe","outcome":"refused"' in logs.getvalue()
    assert "GatewayLatency" not in logs.getvalue()


def test_keys_that_are_refused_are_counted(
    monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    def refuse(*_: object) -> str:
        raise GatewayKeysRefused

    gateway = Manual()
    monkeypatch.setattr(gateway, "payment_id_in", refuse)
    monkeypatch.setattr(webhooks, "gateways", lambda: {"stripe": gateway})

    assert call(handler, proxy_event("stripe_webhook")).status == 503
    assert '"outcome":"keys","GatewayLatency":[' in logs.getvalue()
