"""The laptop's pages of payments, without a browser: what they are served as, and what was seen."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from local import dashboard, seen
from tests.local.conftest import Client, Stack, wait_for

AT_STRIPE = {
    "amount": "10.50",
    "currency": "EUR",
    "gateway": "stripe",
    "returnUrl": "https://shop.example/",
}


def test_the_pages_take_nothing_from_elsewhere(payments: Stack) -> None:
    home = payments.call("GET", "/")
    assert (home.status, home.headers["Location"]) == (302, dashboard.PATH)
    assert f"http://127.0.0.1:{payments.port}{dashboard.PATH}" in payments.guide
    for path in dashboard.PAGES:
        page = payments.call("GET", path)
        policy = page.headers["Content-Security-Policy"]
        assert (page.status, page.headers["X-Content-Type-Options"]) == (200, "nosniff")
        assert set(re.findall(r"'[\w-]+'|\w+:", policy)) == {"'none'", "'self'", "data:"}
        for found in re.findall(r'(?:href|src)="(/[^"]*)"|from "\.(/[^"]*)"', page.text):
            at = found[0] or f"{dashboard.PATH}{found[1]}"
            assert payments.call("GET", at).status == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/_local/token"), ("GET", seen.PATH)])
@pytest.mark.parametrize("sent", ["Host: evil.example:3000", "Host: localhost\r\nOrigin: null"])
def test_a_page_of_another_site_gets_nothing(
    payments: Stack, method: str, path: str, sent: str
) -> None:
    request = f"{method} {path} HTTP/1.1\r\n{sent}\r\nConnection: close\r\n\r\n"
    refused = payments.raw(request.encode())

    assert (refused.status, "access_token" in refused.text) == (403, False)


def test_a_web_page_gets_nothing_of_aws_but_the_login(payments: Stack) -> None:
    """MiniStack takes no signature, and lets a page of any site read its answers."""
    aws, page = (
        Client(int(payments.dynamodb_url.rpartition(":")[2])),
        ("Origin", "http://a.example"),
    )
    scan = [("X-Amz-Target", "DynamoDB_20120810.ListTables"), page]

    assert aws.call("POST", "/", body={}, headers=scan).status == 403
    assert aws.call("POST", "/_ministack/reset", headers=[page]).status == 403
    assert aws.call("OPTIONS", "/oauth2/token", headers=[page]).status == 200
    assert aws.call("POST", "/", body={}, headers=scan[:1]).status == 200


def seen_of(stack: Stack, payment_id: str) -> list[dict[str, Any]]:
    page = stack.call("GET", f"{seen.PATH}?{urlencode({'paymentId': payment_id})}")
    found: list[dict[str, Any]] = page.json["seen"]
    return found


def test_what_goes_to_and_from_a_payments_gateway_is_seen(payments: Stack) -> None:
    token, office = payments.token(), payments.token(scope="payments/manage")
    payment_id = payments.call("POST", "/payment", token, AT_STRIPE).json["paymentId"]
    other = {**AT_STRIPE, "description": f"instead of paymentId {payment_id}"}
    payments.call("POST", "/payment", token, other)
    url = payments.call("POST", f"/payment/{payment_id}/confirm", token).json["nextAction"]["url"]
    subprocess.run(["curl", "-s", "-d", "outcome=pay", url], check=True)

    def told() -> set[tuple[str, ...]]:
        return {
            (each["to"], each.get("event") or each["path"].replace(payment_id, "…"))
            for each in seen_of(payments, payment_id)
        }

    wait_for(lambda: ("bus", "payment.captured") in told(), lambda: str(told()))
    key = [("Idempotency-Key", "once")]
    payments.call("POST", f"/payment/{payment_id}/refund", office, {"amount": "4.20"}, key)
    wait_for(lambda: ("bus", "payment.refunded") in told(), lambda: str(told()))

    assert told() >= {
        ("api", "/payment"),
        ("api", "/payment/…/confirm"),
        ("stripe", "/v1/checkout/sessions"),
        ("api", "checkout.session.completed"),
        ("bus", "payment.created"),
        ("api", "/payment/…/refund"),
        ("stripe", "/v1/refunds"),
        ("api", "refund.created"),
    }
    entries = seen_of(payments, payment_id)
    assert {each["status"] for each in entries if each.get("eventId")} == {204}
    assert [each["key"] for each in entries if each.get("path", "").endswith("refund")] == ["once"]
    creates = [each for each in entries if each.get("path") == "/payment"]
    assert len(creates) == 1  # and not that of the payment whose description names this one
    assert seen.PATH not in payments.log()  # which a page asks every second


def test_the_users_are_told_by_name(payments: Stack) -> None:
    owner = payments.call("GET", "/_local/stack").json["owners"]
    created = payments.call("POST", "/payment", payments.token("bob"), {**AT_STRIPE})
    shown = payments.call(
        "GET", created.headers["Location"], payments.token(scope="payments/manage")
    )
    assert owner[shown.json["owner"]] == "bob@example.com"
    assert "alice@example.com" in owner.values()


def test_what_was_seen_is_bounded_and_stays(tmp_path: Path) -> None:
    payment_id = f"pay_{'a' * 32}"
    note = seen.book(tmp_path, "bus")
    for count in range(3):
        note(f'"paymentId": "{payment_id}"', event=str(count), detail="x" * seen.MOST_BYTES)

    answer = json.loads(seen.page(tmp_path)(f"paymentId={payment_id}".encode()).get_data())
    assert [each["event"] for each in answer["seen"]] == ["2", "1"]
    assert answer["size"] < 2.1 * seen.MOST_BYTES
