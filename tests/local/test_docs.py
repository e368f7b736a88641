"""The pages that show the OpenAPI document, and whether the API keeps to it."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings

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
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)


def test_the_page_needs_nothing_but_this_server(payments: Stack) -> None:
    page = payments.call("GET", "/docs")
    references = References()
    references.feed(page.text)

    for reference in references.found:
        if reference.startswith("/"):
            answer = payments.call("GET", reference)
            assert answer.status == 200
            assert not re.search(r"https?://|@import|\burl\(", answer.text) or reference.endswith(
                ".json"
            )
        else:
            assert reference.startswith("#") or reference == "data:,"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert len(references.found) >= 5


def test_the_page_shows_every_operation_field_and_status(payments: Stack) -> None:
    page = payments.call("GET", "/docs").text

    for operation in (POST, GET):
        assert operation["summary"].replace("'", "&#39;") in page
        for status in operation["responses"]:
            assert f">{status}</span>" in page
    for name in DOCUMENT["components"]["schemas"]["Payment"]["properties"]:
        assert f"<code>{name}</code>" in page


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
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_api_answers_as_the_document_says(case: schemathesis.Case, payments: Stack) -> None:
    token = payments.token()
    case.call_and_validate(
        base_url=f"http://127.0.0.1:{payments.port}",
        headers={"Authorization": f"Bearer {token}"},
    )
