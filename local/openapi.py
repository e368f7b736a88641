"""The API's OpenAPI 3.1 document, made of what runs: the template, the models, the problems.

Routes, scopes and the gateway's own answers come from template.yaml; fields and their limits from
the Pydantic model; examples from the code that answers. Only the words are written here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from create_payment.request import PaymentRequest
from create_payment.rules import MAX_METADATA
from local import LocalError
from local.refusal import body_of
from local.stack import SIGN_IN_SCOPE, Function, GatewayResponse, Route, api, functions
from local.template import Template
from shared import errors
from shared.api.body import parse
from shared.api.problems import DEFECT, PROBLEMS, Problem, problem_of
from shared.payments.currencies import CODES_BY_DECIMALS, DECIMALS, PUBLISHED
from shared.payments.ids import PAYMENT_ID_RULE
from shared.payments.money import LIMIT_DIGITS
from shared.payments.payment import Payment, new_payment
from shared.payments.shown import payment_json

PROBLEM_JSON = "application/problem+json"
TRACE_ID = "UkD1kF9kFiAEv2w="
NO_SUCH_ROUTE = ("MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE")

ABOUT = """\
Creates payments, once each however often a call is repeated, and reads them back.

Every call carries a Cognito access token. Every error is a problem document (RFC 9457); its
`traceId` finds the call in the logs. Money is decimal from end to end: never a binary float, never
rounded."""

REQUEST = {
    "amount": "10.50",
    "currency": "USD",
    "description": "Order 1001",
    "metadata": {"orderId": "1001"},
}

FIELDS = {
    "paymentId": "Names the payment; opaque.",
    "amount": "The amount in major units, an exact decimal: `10.50` USD is ten dollars and fifty"
    " cents. Read it as a decimal, or take `amountMinor`.",
    "amountMinor": "The same amount in minor units of the currency: 1050 for 10.50 USD.",
    "currency": f"ISO 4217 code of an active currency that has minor units (list of {PUBLISHED});"
    " in a request, lower case is taken too.",
    "status": "Where the payment stands.",
    "createdAt": "When it was created: UTC, RFC 3339 with milliseconds.",
    "updatedAt": "When it last changed: UTC, RFC 3339 with milliseconds.",
    "description": "Free text, without card numbers: those are refused.",
    "metadata": "Up to {entries} entries of your own, without card numbers.",
}

HEADERS: dict[str, dict[str, Any]] = {
    "Location": {
        "description": "Where the payment is read, the stage included.",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": f"/prod/payment?paymentId=pay_{'a' * 32}",
    },
    "Idempotent-Replayed": {
        "description": "There where the same call made this payment before.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the same call, with the same key, is worth a try.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "The scheme to authenticate with (RFC 6750).",
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}


@dataclass(frozen=True)
class Words:
    """What no code says of an operation: its inputs, its success, the errors it may raise."""

    status: int
    success: str
    raises: "Raises"  # with an example of its detail
    headers: tuple[str, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    takes: str | None = None  # the name of the body's schema
    description: str = ""


Raises = Mapping[type[errors.PaymentApiError], str]

UNAUTHENTICATED: Raises = {errors.Unauthenticated: ""}
AWAY: Raises = {errors.StoreUnavailable: ""}

OPERATIONS = {
    "create_payment": Words(
        description="With an `Idempotency-Key`, the same call by the same caller makes one payment,"
        " whatever is retried and however many run at once. A call that is refused does not use the"
        " key up; one that is answered 429 or 5xx may be repeated with it.",
        status=201,
        success="The payment, new or made by the same call before.",
        headers=("Location", "Idempotent-Replayed"),
        parameters=(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Makes the call safe to repeat: one key for each payment, bare or"
                " in double quotes. Keys belong to their caller.",
                "schema": {"type": "string", "pattern": r"^[!-~]([ -~]{0,253}[!-~])?$"},
                "example": "order-1002",  # the README has used 1001
            },
        ),
        takes="PaymentRequest",
        raises={
            errors.InvalidRequest: "amount: USD has 2 decimals, 10.505 has 3",
            **UNAUTHENTICATED,
            errors.RequestTooLarge: "",
            errors.UnsupportedMediaType: "",
            errors.IdempotencyKeyReused: "",
            **AWAY,
        },
    ),
    "get_payment": Words(
        description="A payment of somebody else's and none at all are the same 404.",
        status=200,
        success="The payment.",
        parameters=(
            {
                "name": "paymentId",
                "in": "query",
                "required": True,
                "description": f"It {PAYMENT_ID_RULE}.",
                "schema": {"$ref": "#/components/schemas/PaymentId"},
                "example": f"pay_{'a' * 32}",
            },
        ),
        raises={
            errors.InvalidRequest: f"paymentId: {PAYMENT_ID_RULE}",
            **UNAUTHENTICATED,
            errors.PaymentNotFound: "",
            **AWAY,
        },
    ),
}


def document(template: Template) -> dict[str, Any]:
    """Return the document.

    Raises:
        LocalError: the template has a route that nothing is said of here.
    """
    rest, lambdas = api(template), functions(template)
    paths: dict[str, dict[str, Any]] = {}
    for route in rest.routes:
        if isinstance(route.target, str):
            operation = _operation(route, lambdas[route.target], rest.responses)
            paths.setdefault(route.path, {})[route.method.lower()] = operation
    scopes = sorted({s for route in rest.routes if route.auth for s in route.auth.scopes})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Payment API",
            "version": "1.0.0",
            "summary": "Create and read payments.",
            "description": ABOUT,
        },
        "servers": [
            {
                "url": f"https://{{api}}.execute-api.{{region}}.amazonaws.com/{rest.stage}",
                "description": "A deployed stack: its output ApiGatewayInvokeURL",
                "variables": {"api": {"default": "a1b2c3d4e5"}, "region": {"default": "us-east-1"}},
            }
        ],
        "tags": [{"name": "payments"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "headers": HEADERS,
            "securitySchemes": _security_schemes(scopes),
        },
    }


def text(template: Template) -> str:
    """Return the document as it is committed."""
    return json.dumps(document(template), indent=2, ensure_ascii=False) + "\n"


def check(path: Path, template: Template) -> None:
    """Hold the committed document against what runs.

    Raises:
        LocalError: it is stale.
    """
    committed = path.read_text(encoding="utf-8") if path.is_file() else ""
    if committed != text(template):
        raise LocalError(f"{path} is stale: make openapi, and commit it")


def _operation(
    route: Route, function: Function, responses: Mapping[str, GatewayResponse]
) -> dict[str, Any]:
    package = function.handler.replace("/", ".").split(".")[0]
    if package not in OPERATIONS:
        raise LocalError(f"local/openapi.py has no words for {package}")
    words = OPERATIONS[package]
    module = import_module(function.handler.rpartition(".")[0].replace("/", "."))
    summary = (module.__doc__ or "").partition(": ")[2].strip().rstrip(".")
    operation: dict[str, Any] = {
        "operationId": to_camel(package),
        "tags": ["payments"],
        "summary": summary[:1].upper() + summary[1:],
        "description": words.description,
        # Any one scope will do: alternatives, where one entry with all of them would ask for all.
        "security": [
            {"bearer" if scope == SIGN_IN_SCOPE else "oauth2": [scope]}
            for scope in (route.auth.scopes if route.auth else ())
        ],
        "parameters": list(words.parameters),
    }
    if words.takes:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema_ref(words.takes)}},
        }
    success: dict[str, Any] = {
        "description": words.success,
        "content": {"application/json": {"schema": _schema_ref("Payment")}},
    }
    if words.headers:
        success["headers"] = {name: _header_ref(name) for name in words.headers}
    operation["responses"] = {str(words.status): success, **_refusals(words, responses)}
    return operation


def _refusals(words: Words, responses: Mapping[str, GatewayResponse]) -> dict[str, Any]:
    """Return every error by its status: the function's own and the gateway's."""
    found: dict[str, dict[str, Any]] = {}

    def add(status: str, name: str, example: dict[str, Any], headers: Mapping[str, str]) -> None:
        response = found.setdefault(
            status,
            {
                "description": example["title"],
                "content": {PROBLEM_JSON: {"schema": _schema_ref("Problem"), "examples": {}}},
            },
        )
        response["content"][PROBLEM_JSON]["examples"].setdefault(name, {"value": example})
        for header in headers:
            if header in HEADERS:
                response.setdefault("headers", {})[header] = _header_ref(header)

    for error, detail in words.raises.items():
        problem = problem_of(error())
        add(
            str(problem.status.value),
            problem.name,
            _example(problem, detail or problem.detail),
            problem.headers,
        )
    add(str(DEFECT.status.value), DEFECT.name, _example(DEFECT), DEFECT.headers)
    for kind, response in responses.items():
        if kind in NO_SUCH_ROUTE:  # not an answer of this one
            continue
        example = json.loads(body_of(response, {"extendedRequestId": TRACE_ID}, "Bad Request"))
        status = str(response.status or "default")
        add(status, kind, example, response.headers)
    for answer in found.values():
        examples = answer["content"][PROBLEM_JSON]["examples"].values()
        answer["description"] = "; ".join(sorted({each["value"]["title"] for each in examples}))
    return dict(sorted(found.items()))


def _example(problem: Problem, detail: str = "") -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"urn:problem:payment-api:{problem.name}",
        "title": problem.title,
        "status": problem.status.value,
    }
    if detail:
        example["detail"] = detail
    example["traceId"] = TRACE_ID
    if problem is PROBLEMS[errors.InvalidRequest]:
        field, _, message = detail.partition(": ")
        example["errors"] = [{"field": field, "message": message}]
    return example


def _schemas() -> dict[str, Any]:
    request = _without_titles(PaymentRequest.model_json_schema())
    request["description"] = "A payment to create. An optional field that is null is left out."
    request["examples"] = [REQUEST, {"amount": 100, "currency": "JPY"}]
    properties = request["properties"]
    properties["amount"] = _amount()
    properties["currency"] = {"$ref": "#/components/schemas/Currency"}
    metadata = properties["metadata"]
    properties["metadata"] = {"anyOf": [metadata, {"type": "null"}], "default": {}}
    metadata.pop("default", None)
    metadata["maxProperties"] = MAX_METADATA
    for name in ("description", "metadata"):
        properties[name]["description"] = FIELDS[name].format(entries=metadata["maxProperties"])
    return {
        "PaymentRequest": request,
        "Payment": _payment(metadata),
        "PaymentId": {"type": "string", "pattern": "^pay_[a-z2-7]{32}$"},
        "Currency": {
            "type": "string",
            "enum": sorted(DECIMALS),
            "description": FIELDS["currency"],
        },
        "Problem": PROBLEM_SCHEMA,
    }


def _amount() -> dict[str, Any]:
    decimals = "; ".join(
        f"{count} in {', '.join(codes.split())}"
        for count, codes in CODES_BY_DECIMALS.items()
        if count != 2
    )
    return {
        "description": "Major units, exact: `100` with USD is one hundred dollars. A number, or a"
        ' plain decimal string; `10.50`, `10.5` and `"10.50"` are one amount. More decimals than'
        f" the currency has are refused, never rounded (2 as a rule; {decimals}), and so is"
        f" 10^{LIMIT_DIGITS} minor units or more.",
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 10**LIMIT_DIGITS},
            {"type": "string", "pattern": r"^(?=.*[1-9])(0|[1-9][0-9]*)(\.[0-9]+)?$"},
        ],
        "examples": [100, 10.5, "10.50"],
    }


def _payment(metadata: Mapping[str, Any]) -> dict[str, Any]:
    @dataclass(frozen=True)
    class Shown(Payment):
        __pydantic_config__ = ConfigDict(alias_generator=to_camel)

    types = _without_titles(TypeAdapter(Shown).json_schema())["properties"]
    made = new_payment("somebody", "order-1001", **parse(PaymentRequest, REQUEST).model_dump())
    then = "2026-11-24T09:00:00.123Z"
    example = json.loads(payment_json(replace(made, created_at=then, updated_at=then)))
    types["amount"] = {"type": "number", "exclusiveMinimum": 0}
    types["amountMinor"] = {"type": "integer", "minimum": 1, "exclusiveMaximum": 10**LIMIT_DIGITS}
    types["paymentId"] = {"$ref": "#/components/schemas/PaymentId"}
    types["currency"] = {"$ref": "#/components/schemas/Currency"}
    types["createdAt"] = types["updatedAt"] = {"type": "string", "format": "date-time"}
    types["metadata"] = dict(metadata)
    return {
        "type": "object",
        "description": "A payment as it stands.",
        "required": list(example),
        "properties": {
            name: {
                **types[name],
                "description": FIELDS[name].format(entries=metadata["maxProperties"]),
            }
            for name in example
        },
        "examples": [example],
    }


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "traceId"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "The kind of problem."},
        "title": {"type": "string", "description": "The kind of problem, in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong with this very call."},
        "traceId": {"type": "string", "description": "The call's id in the logs."},
        "errors": {
            "type": "array",
            "description": "Everything wrong with the request.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def _security_schemes(scopes: list[str]) -> dict[str, Any]:
    login = "https://your-domain.auth.us-east-1.amazoncognito.com/oauth2"
    meanings = {"payments/read": "Read your payments", "payments/write": "Create and read them"}
    flow_scopes = {scope: meanings.get(scope, scope) for scope in scopes if scope != SIGN_IN_SCOPE}
    return {
        "oauth2": {
            "type": "oauth2",
            "description": "Cognito's endpoints, at the stack's output LoginURL. Any one of an"
            " operation's scopes is enough.",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": f"{login}/authorize",
                    "tokenUrl": f"{login}/token",
                    "refreshUrl": f"{login}/token",
                    "scopes": flow_scopes,
                },
                "clientCredentials": {"tokenUrl": f"{login}/token", "scopes": flow_scopes},
            },
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": f"A token of Cognito's InitiateAuth, whose scope is {SIGN_IN_SCOPE}.",
        },
    }


def _without_titles(schema: Any) -> Any:
    """Leave out the titles that Pydantic makes of names: they say nothing more."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _without_titles(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
    }


def _schema_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _header_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}
