"""The laptop's pages in a real browser: the payments, and the documentation of the API."""

# mypy: ignore-errors

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

MANUAL = {"amount": "10.50", "currency": "EUR"}
PHONE = {"width": 360, "height": 740}
OFFICE = {"scope": "payments/manage"}
PAPER = """
    [...document.querySelectorAll("html, body")]
        .map((each) => getComputedStyle(each).backgroundColor)
        .findLast((color) => color !== "rgba(0, 0, 0, 0)")
"""


def test_the_whole_life_of_a_payment_is_seen(page: Page) -> None:
    page.goto("/")
    page.get_by_text("New payment").click()
    page.get_by_label("Amount").fill("10.50")
    page.get_by_label("Description").fill("Two tickets")
    page.get_by_role("button", name="Create").click()
    moments = page.get_by_role("listitem")
    expect(page.get_by_role("heading", name="10.50 EUR")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("PENDING")

    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("link", name="Open the payer's page").click()
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("CAPTURED")
    expect(moments.filter(has_text="payment.captured")).to_be_visible()

    page.get_by_label("Amount to refund").fill("4.20")
    page.get_by_role("button", name="Refund").click()
    expect(page.get_by_role("status")).to_have_text("PARTIALLY_REFUNDED")
    expect(moments.filter(has_text="payment.refunded")).to_be_visible()
    expect(moments.filter(has_text="charge.refunded")).to_be_visible()
    for told in (
        ("API call", "POST /payment", "201"),
        ("Status", "PENDING", "by create"),
        ("API call", "POST /payment/…/confirm", "200"),
        ("Gateway", "POST /v1/checkout/sessions", "200"),
        ("Status", "REQUIRES_ACTION", "by confirm"),
        ("Payer", "pay, on stripe's page"),
        ("Webhook", "checkout.session.completed", "204"),
        ("Status", "CAPTURED", "by gateway"),
        ("API call", "POST /payment/…/refund", "201"),
        ("Gateway", "POST /v1/refunds", "200"),
        ("Refund", "SUCCEEDED", "4.20 EUR"),
        ("Webhook", "refund.created", "204"),
    ):
        moment = moments
        for text in told:
            moment = moment.filter(has_text=text)
        expect(moment.first).to_be_visible()
    expect(page.get_by_text("4.20 EUR").last).to_be_visible()
    times = page.locator("li time").evaluate_all("all => all.map(each => each.dateTime)")
    assert times == sorted(times, reverse=True)


def test_a_refusal_is_shown_in_the_apis_words(
    laptop: SimpleNamespace, page: Page, wrong: list[str]
) -> None:
    payment_id = laptop.call("POST", "/payment", MANUAL)["paymentId"]
    page.goto(f"/dashboard/payment?paymentId={payment_id}")
    page.get_by_label("Amount to capture").fill("10.505")
    page.get_by_role("button", name="Capture").click()
    expect(page.get_by_role("alert")).to_have_text("amount: EUR has 2 decimals, 10.505 has 3")
    assert "400" in wrong.pop()  # the browser's own message


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "<script>alert(1)</script>"])
def test_nothing_of_a_payment_is_taken_for_html(
    laptop: SimpleNamespace, page: Page, text: str
) -> None:
    asked = {**MANUAL, "description": text, "metadata": {text[:40]: text}}
    payment_id = laptop.call("POST", "/payment", asked)["paymentId"]
    page.goto("/dashboard")
    page.locator(f"#{payment_id}").wait_for()
    expect(page.get_by_role("cell", name=text).first).to_be_visible()
    page.locator(f"#{payment_id}").click()
    expect(page.get_by_role("definition").get_by_text(text).first).to_be_visible()
    page.get_by_text("As the API shows it").click()
    expect(page.locator("img, main script")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_phone_in_light_and_dark(
    laptop: SimpleNamespace, open_page: Callable[..., Page], scheme: str
) -> None:
    word = "Donaudampfschifffahrtsgesellschaft" * 7
    asked = {**MANUAL, "amount": "123456789012.50", "description": word, "metadata": {"a": word}}
    payment_id = laptop.call("POST", "/payment", asked)["paymentId"]
    page = open_page(viewport=PHONE, color_scheme=scheme)
    for path, shown in (
        ("/dashboard", f"#{payment_id}"),
        (f"/dashboard/payment?paymentId={payment_id}", "li time"),
        ("/docs", ".opblock"),
    ):
        page.goto(path)
        page.locator(shown).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        paper = page.evaluate(PAPER)
        brightness = int(paper.removeprefix("rgb(").split(",")[0])
        assert brightness < 50 if scheme == "dark" else brightness > 200


def test_the_keyboard_is_enough(laptop: SimpleNamespace, page: Page) -> None:
    payment_id = laptop.call("POST", "/payment", MANUAL)["paymentId"]
    page.goto("/dashboard")
    page.locator(f"#{payment_id}").wait_for()

    def tab_to(name: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == name:
                break
        focused = "getComputedStyle(document.activeElement, %s).outlineStyle"
        outlines = [page.evaluate(focused % each) for each in ("null", "'::after'")]
        assert page.evaluate("document.activeElement.id") == name
        assert "solid" in outlines

    tab_to(payment_id)
    page.keyboard.press("Enter")
    page.locator("#cancel").wait_for()
    tab_to("cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("CANCELED")
    page.go_back()
    expect(page.get_by_role("row").filter(has=page.locator(f"#{payment_id}"))).to_contain_text(
        "CANCELED"
    )


def test_the_list_follows_what_happens_filters_and_goes_on(
    laptop: SimpleNamespace, page: Page
) -> None:
    for count in range(21):
        laptop.call("POST", "/payment", {"amount": count + 1, "currency": "JPY"}, **{"as": "carol"})
    page.goto("/dashboard")
    chosen = page.locator("#filter")
    chosen.get_by_label("User").select_option("carol@example.com")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(20)
    page.get_by_role("button", name="Older payments").click()
    expect(rows).to_have_count(21)
    expect(page.get_by_role("button", name="Older payments")).to_be_hidden()
    expect(rows.first).to_contain_text("21 JPY")

    created = laptop.call("POST", "/payment", MANUAL, **{"as": "carol"})["paymentId"]
    expect(rows.first).to_contain_text("10.50 EUR")  # by itself
    laptop.call("POST", f"/payment/{created}/cancel", **OFFICE)
    chosen.get_by_label("Status").select_option("CANCELED")
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows).to_have_count(1)  # the address says what is shown
    expect(chosen.get_by_label("Status")).to_have_value("CANCELED")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_documentation_calls_the_api_with_the_token_that_a_call_needs(
    laptop: SimpleNamespace, open_page: Callable[..., Page], scheme: str
) -> None:
    payment_id = laptop.call("POST", "/payment", MANUAL)["paymentId"]
    page = open_page(color_scheme=scheme)
    page.goto("/docs")
    page.get_by_role("button", name="/payment/{paymentId}/capture").first.click()
    page.get_by_placeholder("paymentId").fill(payment_id)
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table")
    expect(answer.locator("td.response-col_status").last).to_contain_text("200")
    expect(answer).to_contain_text('"amount": 10.50,')
