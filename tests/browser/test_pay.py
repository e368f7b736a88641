"""A payer's way in a real browser: `make browser`, with Debian's chromium and Playwright."""

# Playwright is not in this environment.
# mypy: ignore-errors

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv/bin/python"
PORT = "3931"
URL = f"http://127.0.0.1:{PORT}"

Call = Callable[..., dict]


@pytest.fixture(scope="module")
def call() -> Iterator[Call]:
    command = [PYTHON, "-m", "local", "serve", "--port", PORT]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        for line in server.stdout:
            if "is up" in line:
                break
        token = [PYTHON, "-m", "local", "token", "--port", PORT]
        token = subprocess.check_output(token, cwd=ROOT, text=True).strip()

        def send(method: str, path: str, body: object = None) -> dict:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(URL + path, data, headers, method=method)
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read())

        yield send
        server.terminate()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or pytest.skip("no chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


@pytest.mark.parametrize("gateway", ["stripe", "paypal"])
def test_a_declined_payer_pays_and_comes_back(call: Call, page: Page, gateway: str) -> None:
    asked = {"amount": "10.50", "currency": "EUR", "gateway": gateway, "returnUrl": f"{URL}/docs"}
    payment_id = call("POST", "/payment", asked)["paymentId"]
    page.goto(call("POST", f"/payment/{payment_id}/confirm")["nextAction"]["url"])
    page.get_by_role("button", name="Pay with a card that is declined").click()
    if gateway == "paypal":  # which takes the money at our call, and then sends the payer back
        page.goto(until(call, payment_id, "lastError")["nextAction"]["url"])
    page.get_by_role("button", name="Pay", exact=True).click()

    page.wait_for_url(f"{URL}/docs?paymentId={payment_id}*")
    assert page.title()
    paid = until(call, payment_id, "amountCaptured")
    assert (paid["status"], paid["amountCaptured"]) == ("CAPTURED", 10.5)


def until(call: Call, payment_id: str, name: str) -> dict:
    """Return the payment once the webhook has told what this field shows."""
    for _ in range(100):
        payment = call("GET", f"/payment?paymentId={payment_id}")
        if payment[name]:
            return payment
        time.sleep(0.1)
    raise AssertionError(payment)
