"""The sample events answer what their names say, so that `sam local invoke` shows it too."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from tests.bus import scripted_bus
from tests.codedeploy import deployment_of
from tests.conftest import ROOT, Context, call, forget, proxy_event
from tests.integration.conftest import new_table
from tools.functions import folders

EVENTS = sorted((path.parent.name, path.stem) for path in (ROOT / "events").glob("*/*.json"))
CALLS = [each for each in EVENTS if "httpMethod" in proxy_event(each[0], name=each[1])]

REFUSALS = {
    ("create_payment", "card_number"): (400, "card number"),
    ("create_payment", "not_json"): (415, "application/json"),
    ("create_payment", "too_many_decimals"): (400, "USD has 2 decimals, 10.505 has 3"),
    ("create_payment", "unknown_field"): (400, "amout"),
    ("create_payment", "without_claims"): (401, "Bearer"),
    ("cancel_payment", "reason_too_long"): (400, "at most 255 characters"),
    ("capture_payment", "zero_amount"): (400, "greater than zero"),
    ("confirm_payment", "malformed_id"): (400, "must be pay_"),
    ("list_payments", "limit_too_large"): (400, "from 1 to 100"),
    ("refund_payment", "without_key"): (400, "Idempotency-Key"),
    ("update_payment", "without_status"): (400, "is required"),
    ("stripe_webhook", "default"): (400, "Stripe-Signature"),  # nobody can sign a sample
    ("paypal_webhook", "default"): (400, "PAYPAL-TRANSMISSION-SIG"),
    ("get_payment", "default"): (404, "no payment with this id"),
    ("get_payment", "malformed_id"): (400, "must be pay_"),
    ("get_payment", "without_id"): (400, "is required"),
}


@pytest.fixture
def table(store_url: str) -> Iterator[tuple[Any, str]]:
    """Create a table for each test: the samples are all about one payment."""
    with new_table(store_url) as made:
        yield made


def test_every_function_has_a_default_event_and_no_other_has_one() -> None:
    assert [function for function, name in EVENTS if name == "default"] == folders()
    assert set(REFUSALS) <= set(EVENTS)


@pytest.mark.parametrize(("function", "name"), CALLS, ids=map("/".join, CALLS))
def test_a_sample_event_is_answered_as_its_name_says(
    function: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = import_module(f"{function}.app").handler

    monkeypatch.setenv("GATEWAYS", "manual,stripe,paypal")
    forget()

    response = call(handler, proxy_event(function, name=name))

    status, text = REFUSALS.get((function, name), (response.status, ""))
    assert response.status == status
    assert text in response.text
    # The default calls for a payment that is not there yet; any other shows a refusal.
    is_call = name == "default" and "webhook" not in function
    assert response.status in ({200, 201, 202, 204, 404} if is_call else range(400, 500))


@pytest.mark.parametrize(
    "life",
    [
        "create_payment get_payment list_payments confirm_payment capture_payment refund_payment",
        "create_payment update_payment refund_payment",
        "create_payment cancel_payment",
    ],
)
def test_the_default_events_take_one_payment_through_its_life(life: str) -> None:
    for function in life.split():
        response = call(import_module(f"{function}.app").handler, proxy_event(function))
        assert response.status in (200, 201), (function, response.text)


@pytest.mark.parametrize(
    "function", sorted({name for name, _ in EVENTS} - {name for name, _ in CALLS})
)
def test_a_sample_event_of_no_call_is_handled(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = import_module(f"{function}.app").handler

    with scripted_bus() as bus, deployment_of("get_payment", monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.url)
        assert handler(proxy_event(function), Context()) in ({}, {"batchItemFailures": []})
