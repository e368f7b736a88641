"""The stack as plain data: what the laptop runs of template.yaml.

Nothing of the stack is repeated in this package: a change in the template is a change here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local import LocalError
from local.template import Template, UnresolvedError

SIGN_IN_SCOPE = "aws.cognito.signin.user.admin"  # the one scope of initiate-auth's tokens


class Function(NamedTuple):
    """A Lambda function: its handler is imported from the folder `code`.

    Attributes:
        schedule: the event that a schedule sends it; None where it has no schedule.
        stream: the name of the table whose stream it reads; None where it reads none.
    """

    name: str
    handler: str
    code: Path
    environment: Mapping[str, str]
    timeout: int  # seconds
    memory: int  # MB
    schedule: Any = None
    stream: str | None = None


class GatewayResponse(NamedTuple):
    """A response that API Gateway gives by itself; None where it keeps its own words."""

    status: int | None = None
    headers: Mapping[str, str] = {}
    template: str | None = None


class Route(NamedTuple):
    """One method of one resource.

    Attributes:
        target: a function's name, or the response itself.
        scopes: a caller needs a token of the user pool with any one of them; None where it is open.
    """

    method: str
    path: str
    target: str | GatewayResponse
    scopes: tuple[str, ...] | None


class Api(NamedTuple):
    """A REST API with its one stage."""

    id: str
    stage: str
    routes: tuple[Route, ...]
    responses: Mapping[str, GatewayResponse]


def functions(template: Template) -> dict[str, Function]:
    """Return the template's functions by name."""
    names = "Handler Code Environment Timeout MemorySize"
    schedules, streams = _schedules(template), _streams(template)
    return {
        name: Function(
            name=name,
            handler=properties["Handler"],
            code=(template.path.parent / properties["Code"]["S3Key"]).resolve(),
            environment={
                key: str(value)
                for key, value in properties.get("Environment", {}).get("Variables", {}).items()
            },
            timeout=int(properties.get("Timeout", 3)),
            memory=int(properties.get("MemorySize", 128)),
            schedule=schedules.get(name),
            stream=streams.get(name),
        )
        for name, properties in template.resources("AWS::Lambda::Function", names).items()
    }


def _schedules(template: Template) -> dict[str, Any]:
    """Return the event of each function that a rule runs on a schedule, by name."""
    rules = template.resources("AWS::Events::Rule", "ScheduleExpression State Targets")
    scheduled = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
    return {
        _function_name(target["Arn"]): json.loads(target.get("Input", "null")) or scheduled
        for rule in rules.values()
        if "ScheduleExpression" in rule and rule.get("State") != "DISABLED"
        for target in rule["Targets"]
    }


def _streams(template: Template) -> dict[str, str]:
    """Return the table whose stream a function reads, by the function's name."""
    kind, names = "AWS::Lambda::EventSourceMapping", "EventSourceArn FunctionName"
    mappings = template.resources(kind, names).values()
    found = [
        (each, re.search(r":table/([^/]+)/stream/", each["EventSourceArn"])) for each in mappings
    ]
    return {_function_name(each["FunctionName"]): table[1] for each, table in found if table}


def _function_name(text: str) -> str:
    """Return the name in a function's ARN, or the name that it is given as."""
    _, is_arn, name = text.partition(":function:")
    return name.split(":")[0].split("/")[0] if is_arn else text


def api(template: Template) -> Api:
    """Return the template's REST API.

    Raises:
        LocalError: there is not exactly one, or it uses what the laptop has no stand-in for.
    """
    apis = template.resources("AWS::ApiGateway::RestApi", "Body")
    stages = template.resources("AWS::ApiGateway::Stage", "StageName")
    if len(apis) != 1 or len(stages) != 1:
        raise LocalError(f"{template.path.name}: the laptop runs one API with one stage")
    [(api_id, properties)] = apis.items()
    [stage] = stages.values()
    body = properties["Body"]
    schemes = body.get("components", body).get("securitySchemes") or body.get("securityDefinitions")
    try:
        routes = tuple(
            Route(method, path, _target(operation), _scopes(operation, schemes or {}))
            for path, method, operation in _operations(body)
        )
        responses = {
            kind: _response(response, "gatewayresponse.header.")
            for kind, response in body.get("x-amazon-apigateway-gateway-responses", {}).items()
        }
    except UnresolvedError as error:
        raise LocalError(f"{template.path.name}: {error}") from None
    return Api(api_id, stage["StageName"], routes, responses)


def _operations(body: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            if method == "x-amazon-apigateway-any-method":
                yield path, "ANY", operation
            elif method != "parameters":
                yield path, method.upper(), operation


def _target(operation: Mapping[str, Any]) -> str | GatewayResponse:
    integration = operation["x-amazon-apigateway-integration"]
    match integration["type"]:
        case "aws_proxy":
            return _function_name(integration["uri"])
        case "mock":
            return _response(integration["responses"]["default"], "method.response.header.")
        case kind:
            raise UnresolvedError(f"the laptop has no stand-in for an integration of type {kind}")


def _scopes(operation: Mapping[str, Any], schemes: Mapping[str, Any]) -> tuple[str, ...] | None:
    for requirement in operation.get("security", []):
        for name, scopes in requirement.items():
            if name == "NONE":
                continue
            authorizer = schemes[name].get("x-amazon-apigateway-authorizer", {})
            if authorizer.get("type") != "cognito_user_pools":
                raise UnresolvedError(f"the laptop knows Cognito authorizers only, not {name}")
            return tuple(scopes)
    return None


def _response(response: Mapping[str, Any], prefix: str) -> GatewayResponse:
    headers = {}
    for name, value in response.get("responseParameters", {}).items():
        if name.startswith(prefix):
            if not re.fullmatch(r"'.*'", str(value)):  # a constant is in single quotes
                raise UnresolvedError(f"{name}: the laptop knows constants only")
            headers[name.removeprefix(prefix)] = value[1:-1]
    return GatewayResponse(
        status=int(response["statusCode"]) if "statusCode" in response else None,
        headers=headers,
        template=response.get("responseTemplates", {}).get("application/json"),
    )
