"""docs/openapi.json (OpenAPI 3.1), made of what runs and of the words beside it.

shared/api/openapi.yaml is its frame, and operation.yaml beside a handler an operation of it.
Routes, scopes and the gateway's own answers come from template.yaml, requests from the Pydantic
models, all other answers from the code that gives them.
"""

import ast
import json
from collections.abc import Container, Iterable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import yaml
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import WithDefaultSchema

from local import LocalError
from local.refusal import body_of
from local.stack import SIGN_IN_SCOPE, GatewayResponse, Route, api, functions
from local.template import Template
from shared import errors
from shared.api.problems import problem_of, to_response
from shared.payments.currencies import DECIMALS
from shared.payments.lifecycle import STATUSES, may_become
from tools.build import ROOT
from tools.models import models

PROBLEM_JSON = "application/problem+json"
RESOURCE_SERVER = "AWS::Cognito::UserPoolResourceServer"
TRACE_ID = "UkD1kF9kFiAEv2w="
NO_SUCH_ROUTE = {"MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE"}  # no answer of a route
OF_EVERY_CALL = (
    errors.Unauthenticated(),
    errors.RequestTooLarge(),
    errors.Unavailable(),
    Exception(),
)


class Answer(NamedTuple):
    """An error as a client gets it; `name` tells it from others of its status."""

    status: str
    name: str
    problem: Mapping[str, Any]
    headers: Container[str]


def document() -> dict[str, Any]:
    """Return the document.

    Raises:
        LocalError: a route has no operation.yaml, or it names an error that there is not.
    """
    template = Template(ROOT / "template.yaml")
    rest, lambdas = api(template), functions(template)
    whole: dict[str, Any] = yaml.safe_load((ROOT / "shared/api/openapi.yaml").read_text())
    components, paths = whole["components"], whole.setdefault("paths", {})
    of_every_call = [*map(_ours, OF_EVERY_CALL), *_gateways(rest.responses)]
    components["responses"] = _responses(of_every_call)
    for route in rest.routes:
        if isinstance(route.target, str):
            folder = lambdas[route.target].handler.partition(".")[0]
            operation = _operation(folder, route, of_every_call)
            paths.setdefault(route.path, {})[route.method.lower()] = operation
            components["schemas"] |= _requests(folder)
    components["schemas"]["Currency"]["enum"] = sorted(DECIMALS)
    components["schemas"]["Status"]["enum"] = list(STATUSES)
    for flow in components["securitySchemes"]["oauth2"]["flows"].values():
        flow["scopes"] = _scopes(template)
    return whole


def _operation(folder: str, route: Route, of_every_call: Iterable[Answer]) -> dict[str, Any]:
    words = ROOT / folder / "operation.yaml"
    if not words.is_file():
        raise LocalError(
            f"{folder}/operation.yaml is missing: it documents {route.method} {route.path}"
        )
    docstring = ast.get_docstring(ast.parse((ROOT / folder / "app.py").read_text())) or ""
    summary = docstring.partition("\n")[0].partition(": ")[2].strip(".")
    operation = {
        "operationId": to_camel(folder),
        "tags": ["payments"],
        "summary": summary[:1].upper() + summary[1:],
        # Any one scope will do: alternatives, where one entry with all of them would ask for all.
        "security": [
            {"bearer": []} if scope == SIGN_IN_SCOPE else {"oauth2": [scope]}
            for scope in route.scopes or ()
        ],
        **yaml.safe_load(words.read_text()),
    }
    refusals = operation.pop("x-errors", {})
    if unknown := [name for name in refusals if not hasattr(errors, name)]:
        raise LocalError(f"{folder}/operation.yaml: shared/errors.py has no {unknown[0]}")
    own = [_ours(_example(getattr(errors, name), detail)) for name, detail in refusals.items()]
    if "requestBody" in operation and route.scopes:  # a webhook's body is taken as it comes
        own.append(_ours(errors.UnsupportedMediaType()))
    statuses = {answer.status for answer in own}
    common = [each for each in of_every_call if route.scopes or each.status not in {"401", "403"}]
    answers = {
        **{each.status: {"$ref": f"#/components/responses/{each.status}"} for each in common},
        **_responses([*own, *(each for each in common if each.status in statuses)]),
    }
    operation["responses"] |= dict(sorted(answers.items()))
    return operation


def _example(error: type[errors.PaymentApiError], detail: str | None) -> Exception:
    if error is errors.InvalidRequest and detail:
        field, _, message = detail.partition(": ")
        return errors.InvalidRequest(errors.FieldError(field, message))
    if issubclass(error, errors.StatusConflict) and detail:
        status = next(word for word in detail.split() if word in STATUSES)
        return error(status, may_become(status), detail)
    return error(detail) if detail else error()


def _ours(error: Exception) -> Answer:
    response = to_response(error, TRACE_ID)
    status, name = str(response.status.value), problem_of(error).name
    return Answer(status, name, json.loads(response.body), response.headers)


def _gateways(responses: Mapping[str, GatewayResponse]) -> Iterable[Answer]:
    for kind, response in responses.items():
        if kind not in NO_SUCH_ROUTE:
            body = body_of(response, {"extendedRequestId": TRACE_ID}, "Bad Request")
            status = str(response.status or "default")
            yield Answer(status, kind, json.loads(body), response.headers)


def _responses(answers: Iterable[Answer]) -> dict[str, Any]:
    """Return every answer as an example of the response with its status."""
    found: dict[str, dict[str, Any]] = {}
    for status, name, problem, headers in answers:
        examples: dict[str, Any] = {}
        content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
        response = found.setdefault(
            status,
            {"description": problem["title"], "content": {PROBLEM_JSON: content}},
        )
        if problem["title"] not in response["description"]:
            response["description"] += f"; {problem['title']}"
        response["content"][PROBLEM_JSON]["examples"][name] = {"value": problem}
        for header in ("Retry-After", "WWW-Authenticate"):
            if header in headers:
                reference = {"$ref": f"#/components/headers/{header}"}
                response.setdefault("headers", {})[header] = reference
    return found


def _requests(folder: str) -> dict[str, Any]:
    """Return the schema of each model in the function's request.py, and of what it is made of."""
    if not (ROOT / folder / "request.py").is_file():
        return {}
    _, schema = models_json_schema(
        [(model, "validation") for model in models(import_module(f"{folder}.request"))],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Bare,
    )
    return {name: its for name, its in schema["$defs"].items() if its}  # empty: the frame has it


class _Bare(GenerateJsonSchema):
    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        """Leave out defaults: some generators of clients then ask for the field."""
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        """Leave out the titles that Pydantic makes of names."""
        return False


def _scopes(template: Template) -> dict[str, str]:
    return {
        f"{server['Identifier']}/{scope['ScopeName']}": scope["ScopeDescription"]
        for server in template.resources(RESOURCE_SERVER, "Identifier Scopes").values()
        for scope in server["Scopes"]
    }
