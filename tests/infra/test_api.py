"""Who may call the API, what calls a function, and what the gateway answers by itself."""

import json
import re
from typing import Any

from tests.infra.conftest import Stack, deployed

SIGNED_IN = "aws.cognito.signin.user.admin"


def problems(stack: Stack) -> dict[str, dict[str, Any]]:
    body = stack.one("AWS::ApiGateway::RestApi")["Body"]
    responses: dict[str, dict[str, Any]] = body["x-amazon-apigateway-gateway-responses"]
    return responses


def methods(stack: Stack) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the routes that call a function."""
    return {route: method for route, method in stack.routes.items() if route[0] != "OPTIONS"}


def scopes(method: dict[str, Any]) -> list[str]:
    """Return the scopes of which a token needs one."""
    [requirement] = method["security"]
    named: list[str] = requirement["CognitoAuthorizer"]
    return named


def test_every_route_takes_a_token_with_a_scope(stack: Stack) -> None:
    server = stack.one("AWS::Cognito::UserPoolResourceServer")
    offered = {f"{server['Identifier']}/{scope['ScopeName']}" for scope in server["Scopes"]}

    routes = methods(stack)
    for (name, path), method in routes.items():
        if re.fullmatch("/webhook/.*|/health", path):  # the first are signed by their sender
            continue
        assert scopes(method), path
        assert set(scopes(method)) <= offered | {SIGNED_IN}, path
        assert name == "GET" or "payments/read" not in scopes(method), path
    assert scopes(routes["POST", "/payment"]) == ["payments/write", SIGNED_IN]
    assert scopes(routes["GET", "/payment"]) == [
        *("payments/read", "payments/write", "payments/manage", SIGNED_IN)
    ]
    for change in ("confirm", "cancel"):
        allowed = scopes(routes["POST", f"/payment/{{paymentId}}/{change}"])
        assert allowed == ["payments/write", "payments/manage", SIGNED_IN]
    for change in ("capture", "refund"):  # with the merchant's money
        assert scopes(routes["POST", f"/payment/{{paymentId}}/{change}"]) == ["payments/manage"]
    assert scopes(routes["PATCH", "/payment/{paymentId}"]) == ["payments/manage"]


def test_a_browser_asks_first_without_a_token(stack: Stack) -> None:
    for path in {path for _, path in methods(stack)}:
        preflight = stack.routes["OPTIONS", path]

        assert "security" not in preflight
        [answer] = preflight["x-amazon-apigateway-integration"]["responses"].values()
        headers = {
            name.rpartition(".")[2]: set(value.strip("'").split(","))
            for name, value in answer["responseParameters"].items()
        }
        assert headers["Access-Control-Allow-Methods"] == {
            name for name, its_path in stack.routes if its_path == path
        }
        assert headers["Access-Control-Allow-Headers"] == {
            *("Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
        }


def test_the_authorizer_takes_the_tokens_of_this_pool(stack: Stack) -> None:
    body = stack.one("AWS::ApiGateway::RestApi")["Body"]
    [scheme] = body["components"]["securitySchemes"].values()

    assert (scheme["in"], scheme["name"]) == ("header", "Authorization")
    assert scheme["x-amazon-apigateway-authorizer"] == {
        "type": "cognito_user_pools",
        "providerARNs": ["UserPool.Arn"],
    }


def test_every_route_calls_a_live_function_that_lets_it(stack: Stack) -> None:
    permissions = {
        (
            permission["Properties"]["FunctionName"],
            permission["Properties"]["SourceArn"].split("/", 2)[2],
        )
        for permission in stack.all("AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }
    called = {
        (
            re.search(r"functions/(.*)/invocations", integration["uri"])[1],
            f"{method}{re.sub(r'{.*?}', '*', path)}",
        )
        for (method, path), operation in stack.routes.items()
        if (integration := operation["x-amazon-apigateway-integration"])["type"] == "aws_proxy"
    }

    assert permissions == called
    assert all(function.endswith(":live") for function, _ in called)


def test_what_the_gateway_refuses_is_a_problem_that_a_browser_may_read(stack: Stack) -> None:
    assert {"UNAUTHORIZED", "ACCESS_DENIED", "THROTTLED", "DEFAULT_4XX", "DEFAULT_5XX"} <= set(
        problems(stack)
    )
    for name, response in problems(stack).items():
        headers = response["responseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'", name
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'", name
        template = response["responseTemplates"]["application/json"]
        problem = json.loads(template)
        assert problem["traceId"] == "$context.extendedRequestId", name
        # API Gateway's own words have quoted the Authorization header before.
        assert template.count("$") == 1, name
        assert problem["title"], name
        assert str(problem.get("status")) == str(response.get("statusCode")), name


def test_what_may_be_repeated_says_when(stack: Stack) -> None:
    for name, response in problems(stack).items():
        may_be_repeated = name in {
            "THROTTLED",
            "INTEGRATION_FAILURE",
            "INTEGRATION_TIMEOUT",
            "DEFAULT_5XX",
        }
        header = "gatewayresponse.header.Retry-After"
        assert (header in response["responseParameters"]) == may_be_repeated, name


def test_calls_are_limited_traced_and_logged_without_their_content(stack: Stack) -> None:
    stage = stack.one("AWS::ApiGateway::Stage")

    [settings] = stage["MethodSettings"]
    assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
    assert settings["ThrottlingRateLimit"] == settings["ThrottlingBurstLimit"] == 100
    assert settings["LoggingLevel"] == "OFF"
    assert not settings.get("DataTraceEnabled")
    assert stage["TracingEnabled"] is True
    assert stage["AccessLogSetting"]["DestinationArn"] == "AccessLogs.Arn"
    entry = json.loads(stage["AccessLogSetting"]["Format"])
    assert {"traceId", "route", "status", "latencyMs", "ip"} <= set(entry)
    content = re.compile(r"header|body|querystring|claims|token|userAgent|\bpath\b", re.I)
    assert not content.search(stage["AccessLogSetting"]["Format"])


def test_logs_are_written_by_a_role_that_outlives_the_stack(stack: Stack) -> None:
    """The role is the account's: the logs of other stacks would end with it."""
    [account] = stack.all("AWS::ApiGateway::Account").values()
    role = stack.all("AWS::IAM::Role")["ApiGatewayLogsRole"]

    assert account["Properties"]["CloudWatchRoleArn"] == "ApiGatewayLogsRole.Arn"
    assert account["DeletionPolicy"] == role["DeletionPolicy"] == "Retain"
    [api] = stack.all("AWS::ApiGateway::RestApi").values()
    assert api["DependsOn"] == "ApiGatewayAccount"


def test_one_stack_of_an_account_sets_that_role() -> None:
    stack = deployed(SetsApiGatewayRole="false")

    assert not stack.all("AWS::ApiGateway::Account")
    assert "ApiGatewayLogsRole" not in stack.all("AWS::IAM::Role")


def test_calls_pass_a_firewall_where_that_is_asked_for(stack: Stack) -> None:
    assert not [kind for kind in stack.kinds if stack.all(kind) and "WAF" in kind]

    acl = "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/ours/1"
    given = deployed(WebAclArn=acl)
    assert given.one("AWS::WAFv2::WebACLAssociation")["WebACLArn"] == acl
    assert not given.all("AWS::WAFv2::WebACL")

    limited = deployed(CallsPerAddress="100")
    association = limited.one("AWS::WAFv2::WebACLAssociation")
    assert association["WebACLArn"] == "WebAcl.Arn"
    assert re.search("/restapis/Api/stages/Apiprod", association["ResourceArn"])
    [rule] = limited.one("AWS::WAFv2::WebACL")["Rules"]
    limit = {"AggregateKeyType": "IP", "Limit": "100"}
    assert rule["Statement"] == {"RateBasedStatement": limit}
    assert list(rule["Action"]) == ["Block"]


def test_nothing_older_than_tls_1_2_is_spoken(stack: Stack) -> None:
    api = stack.one("AWS::ApiGateway::RestApi")

    assert api["SecurityPolicy"].startswith("SecurityPolicy_TLS13_1_2")
    assert api["EndpointAccessMode"] == "STRICT"
