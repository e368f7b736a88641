"""The OpenAPI document: made of what runs, and of words that are held against it."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from create_payment.request import PaymentRequest
from create_payment.rules import MAX_METADATA
from local import LocalError
from local.stack import GatewayResponse, Route, api
from local.template import Template
from shared.api.body import parse
from shared.api.problems import PROBLEMS
from shared.errors import StatusConflict
from shared.payments import commands
from shared.payments.currencies import DECIMALS
from shared.payments.ids import is_payment_id
from shared.payments.lifecycle import STATUSES
from shared.payments.money import LIMIT_DIGITS
from shared.payments.payment import Change, Refund, new_payment
from shared.payments.shown import payment_json, refund_json
from tests.conftest import ROOT, call, proxy_event
from tools import documents, openapi
from tools.functions import folders

FILE = ROOT / "docs/openapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
POST = DOCUMENT["paths"]["/payment"]["post"]
GET = DOCUMENT["paths"]["/payment"]["get"]


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_document_is_what_runs() -> None:
    assert documents.keep(FILE, openapi.document, check=True)


@pytest.mark.parametrize("content", [None, "{}"])
def test_a_stale_document_is_told(
    content: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "openapi.json"
    if content:
        file.write_text(content)

    assert not documents.keep(file, openapi.document, check=True)
    assert capsys.readouterr().err == "openapi.json is stale: make openapi, and commit it\n"
    assert documents.keep(file, openapi.document, check=False)
    assert documents.keep(file, openapi.document, check=True)


def test_a_route_without_words_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("template.yaml", "shared/api/openapi.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(openapi, "ROOT", tmp_path)

    assert not documents.keep(FILE, openapi.document, check=True)
    told = r"\w+/operation.yaml is missing: it documents POST /[\w/]+\n"
    assert re.fullmatch(told, capsys.readouterr().err)


def test_an_error_that_there_is_not_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "get_payment").mkdir()
    (tmp_path / "get_payment/app.py").write_text('"""GET /open: look."""')
    (tmp_path / "get_payment/operation.yaml").write_text("x-errors: {NoSuchError: }")
    monkeypatch.setattr(openapi, "ROOT", tmp_path)

    with pytest.raises(LocalError, match=r"errors\.py has no NoSuchError"):
        openapi._operation("get_payment", Route("GET", "/open", "F", None), [])


def test_every_error_is_described() -> None:
    described = {
        status
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
    }
    assert {str(problem.status.value) for problem in PROBLEMS.values()} <= described
    assert {"401", "403", "404", "413", "415", "422", "429", "500", "503", "504"} <= described


def test_a_call_that_anybody_may_make_is_refused_to_nobody() -> None:
    answers = [
        openapi.Answer(status, "any", {"title": "any"}, []) for status in ("401", "403", "503")
    ]

    open_to_all = openapi._operation("get_payment", Route("GET", "/open", "F", None), answers)

    assert open_to_all["security"] == []
    assert set(open_to_all["responses"]) == {"200", "400", "404", "503"}


def test_any_one_scope_is_enough() -> None:
    assert POST["security"] == [{"oauth2": ["payments/write"]}, {"bearer": []}]
    flows = DOCUMENT["components"]["securitySchemes"]["oauth2"]["flows"]
    for flow in flows.values():
        assert {"payments/read", "payments/write"} <= set(flow["scopes"])


def test_the_limits_are_the_models() -> None:
    metadata = SCHEMAS["PaymentRequest"]["properties"]["metadata"]
    assert metadata["anyOf"][0]["maxProperties"] == MAX_METADATA
    assert SCHEMAS["Currency"]["enum"] == sorted(DECIMALS)
    limit = 10**LIMIT_DIGITS
    assert SCHEMAS["Amount"]["anyOf"][0]["exclusiveMaximum"] == limit
    assert SCHEMAS["Payment"]["properties"]["amount"]["exclusiveMinimum"] == 0
    assert SCHEMAS["Payment"]["properties"]["amountMinor"]["exclusiveMaximum"] == limit
    for payment_id in (f"pay_{'a2' * 16}", f"pay_{'a' * 31}", f"pay_{'a1' * 16}", ""):
        matches = re.search(SCHEMAS["PaymentId"]["pattern"], payment_id)
        assert bool(matches) == is_payment_id(payment_id)


def test_the_examples_of_a_request_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAYS", "manual,stripe")
    for example in POST["requestBody"]["content"]["application/json"]["examples"].values():
        document = json.loads(json.dumps(example["value"]), parse_int=Decimal, parse_float=Decimal)
        assert parse(PaymentRequest, document)


def test_a_payment_has_the_fields_that_are_described() -> None:
    schema = SCHEMAS["Payment"]
    [example] = schema["examples"]
    payment = new_payment(
        "somebody",
        None,
        amount_minor=example["amountMinor"],
        currency=example["currency"],
        description=example["description"],
        metadata=example["metadata"],
    )
    made = replace(
        payment,
        history=(Change("PENDING", example["createdAt"], "create"),),
        payment_id=example["paymentId"],
        created_at=example["createdAt"],
        updated_at=example["updatedAt"],
    )

    assert json.loads(payment_json(made)) == example
    whole = replace(
        made, return_url="https://x.example", cancellation_reason="x", status="CANCELED"
    )
    assert set(schema["properties"]) == set(json.loads(payment_json(whole, with_owner=True)))
    in_a_list = set(json.loads(payment_json(made, in_list=True)))
    assert set(schema["required"]) == in_a_list == set(example) - {"refunds", "history"}


def test_a_refund_has_the_fields_that_are_described() -> None:
    schema = SCHEMAS["Refund"]
    [example] = schema["examples"]
    then = example["createdAt"]
    refund = Refund(example["refundId"], 425, "SUCCEEDED", then, then, reason="Damaged")
    payment = new_payment("somebody", None, amount_minor=1050, currency="USD")
    payment = replace(payment, payment_id=example["paymentId"]).with_refund(refund)

    assert json.loads(refund_json(payment, example["refundId"])) == example
    assert set(schema["properties"]) == set(schema["required"]) == set(example)


COMMANDS = {
    "cancel_payment": commands.cancel(None),
    "capture_payment": commands.capture(None),
    "confirm_payment": commands.confirm,
    "refund_payment": commands.refund("key", None, None),
    "update_payment": commands.update("CAPTURED"),
}


@pytest.mark.parametrize("function", sorted(COMMANDS))
def test_an_example_of_a_conflict_is_what_the_command_says(function: str) -> None:
    words = yaml.safe_load((ROOT / function / "operation.yaml").read_text())
    detail = words["x-errors"]["StatusConflict"]
    status = next(word for word in detail.split() if word in STATUSES)
    payment = new_payment("somebody", None, amount_minor=1050, currency="USD")
    payment = replace(payment, status=status, state=status)

    with pytest.raises(StatusConflict, match=detail):
        COMMANDS[function](payment)


@pytest.mark.parametrize(
    "function", [folder for folder in folders() if (ROOT / folder / "operation.yaml").is_file()]
)
def test_an_example_of_a_refusal_is_what_a_sample_event_is_answered(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAYS", "manual,stripe,paypal")
    words = yaml.safe_load((ROOT / function / "operation.yaml").read_text())
    handler = import_module(f"{function}.app").handler

    told = {
        call(handler, proxy_event(function, name=path.stem)).json["detail"]
        for path in (ROOT / "events" / function).glob("*.json")
        if path.stem != "default"
    }

    errors = words.get("x-errors", {}).items()
    assert {detail for error, detail in errors if detail and error != "StatusConflict"} <= told


GATEWAYS: dict[str, GatewayResponse] = dict(api(Template(ROOT / "template.yaml")).responses)


@pytest.mark.parametrize("kind", sorted(GATEWAYS))
def test_the_gateway_says_of_a_problem_what_the_functions_say(kind: str) -> None:
    told = json.loads(GATEWAYS[kind].template or "")
    ours = {problem.type: problem for problem in PROBLEMS.values()}.get(told["type"])

    if ours:
        assert told["title"] == ours.title
        assert told["detail"] == ours.detail or kind in {"DEFAULT_5XX", "EXPIRED_TOKEN"}
