"""docs/postman: a collection (v2.1) of docs/openapi.json's calls, and its environments.

The calls are in the order of a payment's life: each takes the payment that the last create made.
"""

import json
from collections.abc import Mapping
from typing import Any

from local.template import Template
from local.tokens import PATH
from tools.build import ROOT
from tools.openapi import document

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
MANAGE = "payments/manage"
BACK_OFFICE = "{{manageToken}}"
PAY = "pay"

# Operations, and the examples of their bodies. PAY: the payer pays. What is not here comes last.
LIFE = (
    ("createPayment", "atGateway"),
    ("getPayment", ""),
    ("listPayments", ""),
    ("confirmPayment", "empty"),
    (PAY, ""),
    ("confirmPayment", "empty"),
    ("capturePayment", "all"),
    ("refundPayment", "all"),
    ("getPayment", ""),
    ("createPayment", "order"),
    ("cancelPayment", "with_reason"),
    ("createPayment", "smallest"),
    ("updatePayment", "paid"),
)

GET_TOKENS = """
// The laptop gives tokens for the asking. A stack's come by Authorization > Get New Access Token,
// or by make token.
const page = pm.environment.get("tokenPage");
const keep = (name) => (_, answer) => pm.collectionVariables.set(name, answer.json().access_token);
for (const [name, scope] of page ? [["token", ""], ["manageToken", "payments/manage"]] : []) {
  const body = { mode: "urlencoded", urlencoded: [{ key: "scope", value: scope }] };
  pm.sendRequest({ url: pm.environment.get("url") + page, method: "POST", body }, keep(name));
}
"""
KEEP_ANSWER = """
const isJson = (pm.response.headers.get("Content-Type") ?? "").includes("json");
const { paymentId, nextAction, title, detail } = isJson ? pm.response.json() : {};
if (paymentId) pm.collectionVariables.set("paymentId", paymentId);
if (nextAction !== undefined) pm.collectionVariables.set("payPage", nextAction?.url ?? "");
pm.test("It is done", () => pm.expect(pm.response.code, `${title}: ${detail}`).to.be.below(400));
"""
SKIP_WITHOUT_PAGE = """
if (!pm.collectionVariables.get("payPage")) pm.execution.skipRequest();
"""


def collection() -> dict[str, Any]:
    """Return the collection."""
    whole = document()
    operations = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in whole["paths"].items()
        for method, operation in methods.items()
    }
    parameters = whole["components"]["parameters"]
    others = [
        (name, next(iter(_examples(operation)), ""))
        for name, (_, _, operation) in operations.items()
        if operation["security"] and name not in dict(LIFE)
    ]
    return {
        "info": {
            "name": whole["info"]["title"],
            "description": whole["info"]["description"],
            "schema": SCHEMA,
        },
        "item": [
            _pay() if name == PAY else _item(*operations[name], parameters, example)
            for name, example in (*LIFE, *others)
        ],
        "auth": _login(),
        "event": [_script("prerequest", GET_TOKENS), _script("test", KEEP_ANSWER)],
        "variable": [{"key": name, "value": ""} for name in ("paymentId", "payPage")],
    }


def environment(name: str) -> dict[str, Any]:
    """Return what the collection needs to know of the `laptop`, or of a `stack`."""
    laptop, stack = document()["servers"]
    api = {name: each["default"] for name, each in stack["variables"].items()}
    flow = document()["components"]["securitySchemes"]["oauth2"]["flows"]["authorizationCode"]
    values = {
        "laptop": {
            "url": laptop["url"],
            "gateway": "stripe",
            "tokenPage": PATH,
            "login": "http://127.0.0.1:3001",
            "clientId": "",
        },
        "stack": {
            "url": stack["url"].format_map(api),
            "gateway": "manual",
            "login": flow["authorizationUrl"].removesuffix("/oauth2/authorize"),
            "clientId": "",
            "token": "",
            "manageToken": "",
        },
    }[name]
    kept = [{"key": key, "value": value, "enabled": True} for key, value in values.items()]
    return {
        "name": f"Payment API, {name}",
        "values": kept,
        "_postman_variable_scope": "environment",
    }


def _item(
    method: str,
    path: str,
    operation: Mapping[str, Any],
    parameters: Mapping[str, Any],
    example: str,
) -> dict[str, Any]:
    given = [
        parameters[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        for each in operation.get("parameters", ())
    ]
    where, query = path.replace("{paymentId}", "{{paymentId}}"), _fields(given, "query")
    asked = "&".join(f"{each['key']}={each['value']}" for each in query if not each["disabled"])
    request: dict[str, Any] = {
        "method": method,
        "header": _fields(given, "header"),
        "url": {
            "raw": "{{url}}" + where + (f"?{asked}" if asked else ""),
            "host": ["{{url}}"],
            "path": where.strip("/").split("/"),
            "query": query,
        },
        "description": operation["description"],
    }
    if example:
        body = dict(_examples(operation)[example]["value"])
        if "gateway" in body:
            body["gateway"] = "{{gateway}}"
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        request["body"] = {"mode": "raw", "raw": json.dumps(body, indent=2)}
    if operation["security"] == [{"oauth2": [MANAGE]}]:
        request["auth"] = {"type": "bearer", "bearer": _strings(token=BACK_OFFICE)}
    return {"name": operation["summary"], "request": request}


def _examples(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    examples: Mapping[str, Any] = content.get("application/json", {}).get("examples", {})
    return examples


def _fields(parameters: list[Mapping[str, Any]], where: str) -> list[dict[str, Any]]:
    """Return the parameters of a header or a query; those that no call needs are switched off."""
    known = {"Idempotency-Key": "{{$guid}}", "paymentId": "{{paymentId}}"}
    return [
        {
            "key": each["name"],
            "value": known.get(each["name"], str(each.get("example", ""))),
            "description": each["description"],
            "disabled": each["name"] not in known,
        }
        for each in parameters
        if each["in"] == where
    ]


def _pay() -> dict[str, Any]:
    return {
        "name": "Pay, as the payer does on the laptop's page",
        "event": [_script("prerequest", SKIP_WITHOUT_PAGE)],
        "protocolProfileBehavior": {"followRedirects": False},
        "request": {
            "method": "POST",
            "auth": {"type": "noauth"},
            "url": "{{payPage}}",
            "body": {
                "mode": "urlencoded",
                "urlencoded": [{"key": "outcome", "value": "pay", "description": "or decline"}],
            },
            "description": "At a gateway itself, open nextAction.url in a browser instead.",
        },
    }


def _login() -> dict[str, Any]:
    """Return the sign-in of people: by code with PKCE, at the laptop as at Cognito."""
    clients = Template(ROOT / "template.yaml").resources(
        "AWS::Cognito::UserPoolClient", "CallbackURLs"
    )
    [redirect] = {url for client in clients.values() for url in client.get("CallbackURLs", [])}
    return {
        "type": "oauth2",
        "oauth2": _strings(
            accessToken="{{token}}",
            grant_type="authorization_code_with_pkce",
            challengeAlgorithm="S256",
            authUrl="{{login}}/oauth2/authorize",
            accessTokenUrl="{{login}}/oauth2/token",
            clientId="{{clientId}}",
            redirect_uri=redirect,
            scope="payments/read payments/write",
            client_authentication="body",
            addTokenTo="header",
        ),
    }


def _strings(**values: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value, "type": "string"} for key, value in values.items()]


def _script(listen: str, text: str) -> dict[str, Any]:
    return {
        "listen": listen,
        "script": {"type": "text/javascript", "exec": text.strip().split("\n")},
    }
