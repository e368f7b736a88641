"""MiniStack, an emulator of AWS, with what it lacks of this stack: `tools/rehearse.py` runs it.

    python tools/emulator.py

It needs ministack, which is in an environment of its own.
"""

import json
from typing import Any

from ministack import app
from ministack.core import iam_actions, router
from ministack.services import apigateway_v1 as gateway
from ministack.services import cognito
from ministack.services.cloudformation import language_extensions, provisioners

# Types that it does not know: written down, and nothing is done.
RECORDED = (
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Cognito::ManagedLoginBranding",
    "AWS::Events::Archive",
    "AWS::Logs::QueryDefinition",
)


def record(kind: str) -> None:
    """Let stacks have resources of a type, of which nothing is made."""
    provisioners._RESOURCE_HANDLERS[kind] = {
        "create": lambda name, _, stack: (f"{stack}-{name}", {"Arn": f"arn:{stack}-{name}"}),
        "update": lambda physical_id, _old, _new, _stack: (physical_id, {}),
        "delete": lambda *_: None,
    }


def put_parameters_in() -> None:
    """Put the parameters' values in the resources, by which SAM then names a function's version."""
    applied = language_extensions.apply

    def with_values(template: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
        def resolve(value: Any) -> Any:
            if isinstance(value, list):
                return [resolve(each) for each in value]
            if not isinstance(value, dict):
                return value
            if value.keys() == {"Ref"} and value["Ref"] in parameters:
                return parameters[value["Ref"]]
            return {key: resolve(each) for key, each in value.items()}

        processed = applied(template, parameters)
        return {**processed, "Resources": resolve(processed["Resources"])}

    language_extensions.apply = with_values


def know_the_tags_of_pools() -> None:
    """Let a policy's condition look at the tags of the user pool that a call names."""
    context_of = iam_actions.request_tag_context

    def with_pool(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
        context: dict[str, Any] = context_of(service, action, body, parameters)
        if action.startswith("cognito-idp:"):
            pool = cognito._user_pools.get(json.loads(body or b"{}").get("UserPoolId")) or {}
            for key, value in pool.get("UserPoolTags", {}).items():
                context[f"aws:resourcetag/{key}".lower()] = value
        return context

    iam_actions.request_tag_context = with_pool


def take_alarms_on_expressions() -> None:
    """Record an alarm on an expression as one on a metric: none ever rings here."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]

    def without(properties: dict[str, Any]) -> dict[str, Any]:
        metric = {"Namespace": "Expression", "MetricName": "Expression", "Statistic": "Sum"}
        others = {key: value for key, value in properties.items() if key != "Metrics"}
        return {**others, **metric, "Period": 60} if "Metrics" in properties else properties

    create, update = handlers["create"], handlers["update"]
    handlers["create"] = lambda name, properties, stack: create(name, without(properties), stack)
    handlers["update"] = lambda alarm, old, new, *others: update(
        alarm, without(old), without(new), *others
    )


def name_the_issuer() -> None:
    """Add `!GetAtt UserPool.ProviderURL`."""
    attributes = provisioners._cognito_user_pool_attributes

    def with_url(pool_id: str) -> dict[str, Any]:
        known: dict[str, Any] = attributes(pool_id)
        return {**known, "ProviderURL": f"https://{known['ProviderName']}"}

    provisioners._cognito_user_pool_attributes = with_url


def import_what_the_gateway_answers_itself() -> None:
    """Take an OpenAPI body's gateway responses, and its mock integrations: the preflights."""
    imported = gateway._import_rest_api

    def with_answers(body: dict[str, Any], base: Any = None) -> str:
        api: str = imported(body, base)
        for kind, response in body.get("x-amazon-apigateway-gateway-responses", {}).items():
            gateway._put_gateway_response(api, kind, response)
        ids = {each["path"]: key for key, each in gateway._resources[api].items()}
        for path, methods in body["paths"].items():
            for method, operation in methods.items():
                mock = operation["x-amazon-apigateway-integration"]
                if mock["type"] == "mock":
                    at = (api, ids[path], method.upper())
                    gateway._put_integration(*at, {**mock, "type": "MOCK"})
                    for response in mock["responses"].values():
                        status, headers = response["statusCode"], response["responseParameters"]
                        allowed = {"responseParameters": dict.fromkeys(headers, False)}
                        gateway._put_method_response(*at, str(status), allowed)
                        gateway._put_integration_response(*at, str(status), response)
        return api

    gateway._import_rest_api = with_answers


def have_deployments() -> None:
    """Add what a release's check asks CodeDeploy. No deployment moves anything here.

    A deployment's id is APPLICATION/FUNCTION/VERSION, so that nothing has to be kept of it but what
    the check says: a GetDeployment tells it.
    """
    said: dict[str, str] = {}
    resource_of = iam_actions.extract_resource_arn

    async def answer(*request: Any) -> tuple[int, dict[str, str], bytes]:
        headers, body = request[2:4]
        asked = json.loads(body)
        deployment_id = asked["deploymentId"]
        _, name, version = deployment_id.split("/")
        if status := asked.get("status"):
            said[deployment_id] = status
        function = {"lambdaFunctionInfo": {"functionName": name, "targetVersion": version}}
        answers: dict[str, object] = {
            "ListDeploymentTargets": {"targetIds": [name]},
            "GetDeploymentTarget": {"deploymentTarget": {"lambdaTarget": function}},
            "PutLifecycleEventHookExecutionStatus": {},
            "GetDeployment": {"deploymentInfo": {"status": said.get(deployment_id)}},
        }
        operation = headers["x-amz-target"].rpartition(".")[2]
        return 200, {"Content-Type": "application/json"}, json.dumps(answers[operation]).encode()

    def with_group(service: str, *request: Any) -> str:
        region, account = request[-2:]
        if service == "codedeploy" and "status" in (asked := json.loads(request[3])):
            application = asked["deploymentId"].partition("/")[0]
            return f"arn:aws:codedeploy:{region}:{account}:deploymentgroup:{application}/any"
        return str(resource_of(service, *request))

    router.SERVICE_PATTERNS["codedeploy"] = {"target_prefixes": ["CodeDeploy_20141006"]}
    iam_actions.SERVICE_TO_IAM_NAMESPACE["codedeploy"] = "codedeploy"
    iam_actions.extract_resource_arn = with_group
    app.SERVICE_HANDLERS["codedeploy"] = answer


async def keys_over_tls(authorizer: dict[str, Any]) -> str:
    """Return where a pool's keys are; it asks itself over HTTP, though it serves TLS alone."""
    return f"{authorizer['jwtConfiguration']['issuer']}/.well-known/jwks.json"


if __name__ == "__main__":
    for kind in RECORDED:
        record(kind)
    put_parameters_in()
    know_the_tags_of_pools()
    take_alarms_on_expressions()
    name_the_issuer()
    import_what_the_gateway_answers_itself()
    have_deployments()
    gateway._resolve_jwks_url = keys_over_tls
    app.main()
