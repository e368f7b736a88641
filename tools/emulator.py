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

# Types that it does not know, and alarms, which it cannot have on expressions: written down, and
# nothing is done.
RECORDED = (
    "AWS::CloudWatch::Alarm",
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
        "delete": lambda *_: None,
    }


def put_parameters_in() -> None:
    """Put the parameters' values in the resources, by which SAM then names a function's version."""
    applied = language_extensions.apply

    def with_values(template: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
        def resolve(value: dict[str, Any]) -> Any:
            is_parameter = value.keys() == {"Ref"} and value["Ref"] in parameters
            return parameters[value["Ref"]] if is_parameter else value

        processed = applied(template, parameters)
        resources = json.loads(json.dumps(processed["Resources"]), object_hook=resolve)
        return {**processed, "Resources": resources}

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


def name_the_issuer() -> None:
    """Add `!GetAtt UserPool.ProviderURL`."""
    attributes = provisioners._cognito_user_pool_attributes

    def with_url(pool_id: str) -> dict[str, Any]:
        known: dict[str, Any] = attributes(pool_id)
        return {**known, "ProviderURL": f"https://{known['ProviderName']}"}

    provisioners._cognito_user_pool_attributes = with_url


def take_gateway_responses() -> None:
    """Take an OpenAPI body's gateway responses."""
    imported = gateway._import_rest_api

    def with_responses(body: dict[str, Any], base: Any = None) -> str:
        api: str = imported(body, base)
        for kind, response in body.get("x-amazon-apigateway-gateway-responses", {}).items():
            gateway._put_gateway_response(api, kind, response)
        return api

    gateway._import_rest_api = with_responses


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
    name_the_issuer()
    take_gateway_responses()
    have_deployments()
    gateway._resolve_jwks_url = keys_over_tls
    app.main()
