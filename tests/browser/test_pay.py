"""A payer's way in a real browser: `make browser`, with Debian's chromium and Playwright."""

# mypy: ignore-errors

import time
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page


@pytest.mark.parametrize("gateway", ["stripe", "paypal"])
def test_a_declined_payer_pays_and_comes_back(
    laptop: SimpleNamespace, page: Page, gateway: str
) -> None:
    back = f"{laptop.url}/docs"
    asked = {"amount": "10.50", "currency": "EUR", "gateway": gateway, "returnUrl": back}
    payment_id = laptop.call("POST", "/payment", asked)["paymentId"]
    page.goto(laptop.call("POST", f"/payment/{payment_id}/confirm")["nextAction"]["url"])
    page.get_by_role("button", name="Pay with a card that is declined").click()
    if gateway == "paypal":  # which takes the money at our call, and then sends the payer back
        page.goto(until(laptop, payment_id, "lastError")["nextAction"]["url"])
    page.get_by_role("button", name="Pay", exact=True).click()

    page.wait_for_url(f"{back}?paymentId={payment_id}*")
    assert page.title()
    paid = until(laptop, payment_id, "amountCaptured")
    assert (paid["status"], paid["amountCaptured"]) == ("CAPTURED", 10.5)


def until(laptop: SimpleNamespace, payment_id: str, name: str) -> dict:
    """Return the payment once the webhook has told what this field shows."""
    for _ in range(100):
        payment = laptop.call("GET", f"/payment?paymentId={payment_id}")
        if payment[name]:
            return payment
        time.sleep(0.1)
    raise AssertionError(payment)
