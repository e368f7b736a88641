"""The pages that show the OpenAPI document, and whether the API keeps to it."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from joserfc import jws

from tests.conftest import ROOT
from tests.local.conftest import Stack

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
POST = DOCUMENT["paths"]["/payment"]["post"]
GET = DOCUMENT["paths"]["/payment"]["get"]


def test_the_documents_problems_are_the_apis(payments: Stack) -> None:
    """The examples are what the API answers, but for the trace id and the detail."""
    token = payments.token()
    reading = payments.token(scope="payments/read")
    expired = payments.token(expired=True)
    answers = [
        payments.call("POST", "/payment", token, {"amount": "10.505", "currency": "USD"}),
        payments.call("POST", "/payment", None, {}),
        payments.call("POST", "/payment", expired, {}),
        payments.call("POST", "/payment", reading, {}),
        payments.call("GET", "/payment?paymentId=x", token),
        payments.call("GET", f"/payment?paymentId=pay_{'a' * 32}", token),
    ]
    for operation, answer in zip((POST, POST, POST, POST, GET, GET), answers, strict=True):
        response = operation["responses"][str(answer.status)]
        if "$ref" in response:  # the same for every operation
            response = DOCUMENT["components"]["responses"][str(answer.status)]
        content = response["content"]["application/problem+json"]
        shown = [example["value"] | {"traceId": ""} for example in content["examples"].values()]
        assert answer.json | {"traceId": ""} in shown


def test_the_document_is_served(payments: Stack) -> None:
    served = payments.call("GET", "/openapi.json").json
    assert served["servers"][0]["url"] == "/"
    assert {**served, "servers": DOCUMENT["servers"]} == DOCUMENT


class References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def test_the_page_needs_nothing_but_this_server(payments: Stack) -> None:
    page = payments.call("GET", "/docs")
    references = References()
    references.feed(page.text)

    assert len(references.found) >= 4
    for reference in references.found:
        if reference != "data:,":
            assert payments.call("GET", reference).status == 200
    sources = {
        source
        for directive in page.headers["Content-Security-Policy"].split(";")
        for source in directive.split()[1:]
    }
    assert sources == {"'none'", "'self'", "'unsafe-inline'", "data:"}
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]


def test_the_page_shows_the_document_by_swagger_ui(payments: Stack) -> None:
    start = payments.call("GET", "/docs/start.js").text

    assert "SwaggerUIBundle" in payments.call("GET", "/docs/swagger-ui-bundle.js").text
    assert 'fetch("/openapi.json")' in start
    assert "JSON.rawJSON(source)" in start  # numbers are shown as they came


@pytest.mark.parametrize(("form", "user"), [("", "alice"), ("username=bob", "bob")])
def test_the_page_gets_tokens_as_an_oauth_client_does(
    payments: Stack, form: str, user: str
) -> None:
    """By the password grant of RFC 6749, section 4.3, with any password or none."""
    scope = "payments/read"
    body = f"grant_type=password&scope={scope}&{form}".encode()
    media_type = [("Content-Type", "application/x-www-form-urlencoded")]

    path = re.search(r'TOKENS = "(\S+)"', payments.call("GET", "/docs/start.js").text)[1]
    answer = payments.call("POST", path, body=body, headers=media_type).json

    claims = jws.extract_compact(answer["access_token"].encode()).payload
    assert json.loads(claims)["scope"] == scope
    payment = payments.call(
        "POST", "/payment", payments.token(user), {"amount": 1, "currency": "USD"}
    )
    location = payment.headers["Location"]
    assert payments.call("GET", location, answer["access_token"]).status == 200


schema = schemathesis.openapi.from_dict(DOCUMENT)
# Valid data may be refused: what decimals a currency has, and card numbers, no schema says.
schema.config.checks.update(
    included_check_names=[
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    ]
)


@schema.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_api_answers_as_the_document_says(case: schemathesis.Case, payments: Stack) -> None:
    token = payments.token()
    case.call_and_validate(
        base_url=f"http://127.0.0.1:{payments.port}",
        headers={"Authorization": f"Bearer {token}"},
    )
