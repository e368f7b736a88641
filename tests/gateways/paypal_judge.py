"""Holds what is sent to PayPal, and what its stand-in answers, against PayPal's own OpenAPI.

The documents (paypal/paypal-rest-api-specifications, February 2024) stand beside the checkout, and
are no part of it: where they are absent, nothing is judged.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

from tests.conftest import ROOT

SPECS = ROOT.parent / "shared/specs"
NAMES = ("paypal-orders", "paypal-payments", "paypal-webhooks")
LATER = ["REVERSED"]  # values that are younger than the documents


def is_possible() -> bool:
    """Tell whether the documents and what reads them are there."""
    try:
        import openapi_schema_validator  # noqa: F401, PLC0415
        import referencing  # noqa: F401, PLC0415
    except ImportError:
        return False
    return all((SPECS / f"{name}.json").is_file() for name in NAMES)


@cache
def documents() -> dict[str, Any]:
    return {
        name: json.loads((SPECS / f"{name}.json").read_text(), object_hook=_in_any_words)
        for name in NAMES
    }


def _in_any_words(schema: dict[str, Any]) -> dict[str, Any]:
    """Let an error say what it likes: the document lists PayPal's own sentences."""
    for code, words in (("issue", "description"), ("name", "message")):
        if code in schema and isinstance(schema.get(words), dict):
            schema[words] = {"type": "string"}
    return schema


@cache
def _registry() -> Any:
    from referencing import Registry, Resource  # noqa: PLC0415
    from referencing.jsonschema import DRAFT4  # noqa: PLC0415

    return Registry().with_resources(
        (f"urn:{name}", Resource(contents=contents, specification=DRAFT4))
        for name, contents in documents().items()
    )


def judge(exchange: Any) -> list[str]:
    """Return what is wrong with a request and its answer."""
    if exchange.path == "/v1/oauth2/token":
        return []
    found = _operation(exchange.method, exchange.path)
    if found is None:
        return [f"{exchange.method} {exchange.path} is not documented"]
    name, pointer, operation = found
    place = f"{exchange.method} {exchange.path}"
    wrong = [f"{place}: {each}" for each in _headers(name, operation, exchange.headers)]
    if exchange.asked:
        assert exchange.headers["content-type"] == "application/json"
        schema = f"{pointer}/requestBody/content/application~1json/schema"
        wrong += [f"{place}: {each}" for each in _check(name, schema, json.loads(exchange.asked))]
    if exchange.answer is not None:
        schema = _answer_schema(pointer, operation, exchange.status)
        answered = _check(name, schema, exchange.answer)
        wrong += [f"{place} -> {exchange.status}: {each}" for each in answered]
    return wrong


def _operation(method: str, path: str) -> tuple[str, str, Any] | None:
    for name, document in documents().items():
        for template, operations in document["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[A-Z0-9]{1,36}", template)
            if re.fullmatch(pattern, path) and method.lower() in operations:
                escaped = quote(template.replace("~", "~0").replace("/", "~1"))
                pointer = f"#/paths/{escaped}/{method.lower()}"
                return name, pointer, operations[method.lower()]
    return None


def _headers(name: str, operation: Any, headers: dict[str, str]) -> Iterator[str]:
    for parameter in operation.get("parameters", []):
        pointer = parameter["$ref"]
        described = _resolved(name, pointer)
        value = headers.get(described["name"].lower())
        if described["in"] == "header" and value is not None:
            yield from _check(name, f"{pointer}/schema", value)


def _answer_schema(pointer: str, operation: Any, status: int) -> str:
    responses = operation["responses"]
    if str(status) not in responses and status < 300:  # a replay: the documents name the first
        status = next(int(each) for each in responses if each.startswith("2"))
    name = str(status) if str(status) in responses else "default"
    if "$ref" in responses[name]:
        return f"{responses[name]['$ref']}/content/application~1json/schema"
    return f"{pointer}/responses/{name}/content/application~1json/schema"


def _check(name: str, pointer: str, instance: Any) -> Iterator[str]:
    from openapi_schema_validator import OAS30Validator, oas30_format_checker  # noqa: PLC0415

    validator = OAS30Validator(
        {"$ref": f"urn:{name}{pointer}"},
        registry=_registry(),
        format_checker=oas30_format_checker,
    )
    for error in validator.iter_errors(instance):
        if error.instance not in LATER:
            yield f"{error.json_path}: {error.message[:300]}"
    yield from _unknown(name, {"$ref": pointer}, instance, "$")


def _unknown(name: str, schema: Any, instance: Any, at: str) -> Iterator[str]:
    """Return the fields that the document does not know."""
    parts = list(_parts(name, schema))
    if isinstance(instance, list):
        for part in parts:
            if "items" in part:
                for index, each in enumerate(instance):
                    yield from _unknown(name, part["items"], each, f"{at}[{index}]")
                return
    if not isinstance(instance, dict) or any(part.get("additionalProperties") for part in parts):
        return
    known: dict[str, list[Any]] = {}
    for part in parts:
        for field, its in part.get("properties", {}).items():
            known.setdefault(field, []).append(its)
    for field, value in instance.items():
        if field not in known:
            yield f"{at}.{field} is unknown"
        else:
            yield from _unknown(name, {"allOf": known[field]}, value, f"{at}.{field}")


def _parts(name: str, schema: Any) -> Iterator[Any]:
    """Return a schema and all that it is made of."""
    if "$ref" in schema:
        yield from _parts(name, _resolved(name, schema["$ref"]))
        return
    yield schema
    for kind in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(kind, ()):
            yield from _parts(name, each)


@cache
def _resolved(name: str, pointer: str) -> Any:
    found = documents()[name]
    for part in unquote(pointer).removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found
