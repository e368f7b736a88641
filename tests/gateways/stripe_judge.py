"""What goes to and from Stripe's stand-in, held against Stripe's own OpenAPI document.

The document is of API version 2023-08-16, older than the package. ALLOWED names what came later.
It lies beside the checkout and is no part of the project.
"""

import json
from functools import cache
from typing import Any

import pytest

from local.stripe import decoded
from tests.conftest import ROOT

SPEC = ROOT.parent / "shared/specs/stripe-2023-08-16.json"

ALLOWED = {
    ("POST", "/v1/checkout/sessions"): {"adaptive_pricing"},  # since 2024
    ("GET", "/v1/checkout/sessions"): {"created"},  # since 2024
}
UNKNOWN = {"/v1/disputes"}  # cut from the document; its answers are checked by their schema


@cache
def _document() -> Any:
    document = json.loads(SPEC.read_text())
    _mend(document)
    return document


def _mend(node: Any) -> None:
    """Let what is nullable beside a reference or alternatives be null, as Stripe means it."""
    if isinstance(node, list):
        for each in node:
            _mend(each)
    if isinstance(node, dict):
        for each in node.values():
            _mend(each)
        if node.get("nullable") is True:
            if "anyOf" in node:
                node["anyOf"].append({"enum": [None], "nullable": True})
            elif "enum" in node:
                node["enum"].append(None)
            elif "$ref" in node:
                node["anyOf"] = [{"$ref": node.pop("$ref")}, {"enum": [None], "nullable": True}]


@cache
def _validator(pointer: str) -> Any:
    validators = pytest.importorskip("openapi_schema_validator")
    referencing = pytest.importorskip("referencing")
    draft4 = pytest.importorskip("referencing.jsonschema").DRAFT4
    spec = referencing.Resource(contents=_document(), specification=draft4)
    registry = referencing.Registry().with_resource("urn:stripe", spec)
    return validators.OAS30Validator({"$ref": f"urn:stripe#{pointer}"}, registry=registry)


def _check(pointer: str, thing: Any) -> None:
    errors = [
        f"{list(each.path)}: {each.message[:300]}"
        for each in _validator(pointer).iter_errors(thing)
    ]
    assert not errors, (pointer, errors, thing)


def judge(method: str, path: str, sent: Any, status: int, answer: Any) -> None:
    """Check a request and its answer; `sent` are the pairs of the form or the query."""
    route = _route(path)
    if route in UNKNOWN:
        assert answer["object"] == "list"
        for dispute in answer["data"]:
            _check("/components/schemas/dispute", {**dispute, **_EVIDENCE})
        return
    operation = _document()["paths"][route][method.lower()]
    pointer = f"/paths/{route.replace('/', '~1')}/{method.lower()}"
    asked = decoded(sent)
    allowed = ALLOWED.get((method, route), set())
    asked = {name: value for name, value in asked.items() if name not in allowed}
    if method == "POST":
        form = "application/x-www-form-urlencoded"
        schema = operation["requestBody"]["content"][form]["schema"]
        escaped = form.replace("/", "~1")
        if status != 400:
            _check(f"{pointer}/requestBody/content/{escaped}/schema", _typed(asked, schema))
    else:
        known = {each["name"] for each in operation.get("parameters", ())}
        assert set(asked) <= known, (path, asked)
    code = "200" if status == 200 else "default"
    _check(f"{pointer}/responses/{code}/content/application~1json/schema", answer)


def judge_event(event: Any) -> None:
    _check("/components/schemas/event", event)
    kind = event["data"]["object"]["object"]
    if kind != "dispute":
        _check(f"/components/schemas/{kind}", event["data"]["object"])


_EVIDENCE: dict[str, Any] = {
    "evidence": {},
    "evidence_details": {
        "due_by": None,
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
    },
}


def _route(path: str) -> str:
    parts = path.split("/")
    for route in (*_document()["paths"], *UNKNOWN):
        names = route.split("/")
        if len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        ):
            return str(route)
    raise AssertionError(f"{path} is not in Stripe's document")


def _typed(value: Any, schema: Any) -> Any:
    """Return form values as what the schema says that they are."""
    for each in schema.get("anyOf", ()):
        if isinstance(value, dict) == (each.get("type") == "object"):
            return _typed(value, each)
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        rest = rest if isinstance(rest, dict) else {}
        return {name: _typed(each, known.get(name, rest)) for name, each in value.items()}
    if isinstance(value, list):
        return [_typed(each, schema.get("items", {})) for each in value]
    if schema.get("type") == "integer" and value.lstrip("-").isdigit():
        return int(value)
    if schema.get("type") == "boolean" and value in ("true", "false"):
        return value == "true"
    return value
