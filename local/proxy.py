"""A REST API's Lambda proxy integration: HTTP request → event, a function's answer → HTTP response.

API Gateway Developer Guide, "Lambda proxy integrations in API Gateway" and "Important notes".
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from werkzeug import Request, Response
from werkzeug.datastructures import Headers

from local.loopback import RAW_HEADERS
from local.refusal import RefusedError
from local.stack import Api, Route
from local.template import ACCOUNT

# Of a function's headers, those that API Gateway keeps for itself.
_REMAPPED = re.compile(
    "authorization|connection|content-length|content-md5|date|host|server|transfer-encoding|upgrade"
    "|www-authenticate",
    re.IGNORECASE,
)
_ANSWER_KEYS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}


class Call:
    """One HTTP call, with the names that AWS gives it.

    Attributes:
        path: as the template has it, without the stage.
        context: the event's requestContext, as far as it is known before the call is routed.
    """

    def __init__(self, request: Request, api: Api) -> None:
        self.request = request
        prefix = f"/{api.stage}"
        in_stage = request.path == prefix or request.path.startswith(f"{prefix}/")
        self.path = (request.path.removeprefix(prefix) or "/") if in_stage else request.path
        self._headers: Headers = request.environ[RAW_HEADERS]
        now = datetime.now(timezone.utc)
        seconds = int(now.timestamp())
        self._trace_id = self.header("X-Amzn-Trace-Id") or (
            f"Root=1-{seconds:08x}-{secrets.token_hex(12)}"
        )
        self.context: dict[str, Any] = {
            "httpMethod": request.method,
            "extendedRequestId": base64.b64encode(secrets.token_bytes(11)).decode(),
            "requestTime": f"{now:%d/%b/%Y:%H:%M:%S +0000}",
            "path": request.path,  # a stage is in it where it was called
            "accountId": ACCOUNT,
            "protocol": request.environ["SERVER_PROTOCOL"],
            "stage": api.stage,
            "domainPrefix": request.host.split(".")[0],
            "requestTimeEpoch": int(now.timestamp() * 1000),
            "requestId": str(uuid4()),
            "identity": {
                "sourceIp": request.remote_addr,
                "userAgent": self.header("User-Agent"),
            },
            "domainName": request.host,
            "deploymentId": "local",
            "apiId": api.id,
        }

    def header(self, name: str) -> str | None:
        """Return the last value of a request header."""
        return next(reversed(self._headers.getlist(name)), None)

    def response_headers(self) -> dict[str, str]:
        """Return what API Gateway adds to every response."""
        return {
            "x-amzn-RequestId": self.context["requestId"],
            "x-amz-apigw-id": self.context["extendedRequestId"],
            "X-Amzn-Trace-Id": self._trace_id,
        }

    def event(
        self,
        route: Route,
        parameters: Mapping[str, str],
        claims: Mapping[str, str] | None,
        body: bytes,
    ) -> dict[str, Any]:
        """Return the event of the function behind `route`: a REST API's, format 1.0."""
        headers = self._headers.copy()
        headers.remove("Connection")
        headers["X-Amzn-Trace-Id"] = self._trace_id
        headers["X-Forwarded-Port"] = str(self.request.environ["SERVER_PORT"])
        headers["X-Forwarded-Proto"] = self.request.scheme
        headers.add("X-Forwarded-For", str(self.request.remote_addr))
        lists = {name.title(): headers.getlist(name) for name in headers.keys()}  # noqa: SIM118
        query = {name: list(values) for name, values in self.request.args.lists()}
        resource = {
            "resourceId": hashlib.sha256(route.path.encode()).hexdigest()[:6],
            "resourcePath": route.path,
        }
        authorizer = {} if claims is None else {"authorizer": {"claims": dict(claims)}}
        return {
            "resource": route.path,
            "path": self.path,
            "httpMethod": self.request.method,
            "headers": _last(lists),
            "multiValueHeaders": lists,
            "queryStringParameters": _last(query) or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": dict(parameters) or None,
            "stageVariables": None,
            "requestContext": {**resource, **self.context, **authorizer},
            "body": body.decode("utf-8", "replace") if body else None,
            "isBase64Encoded": False,
        }


def response(answer: Any) -> Response:
    """Return a function's answer as the HTTP response that API Gateway makes of it.

    Raises:
        RefusedError: the answer is malformed.
    """
    if not isinstance(answer, dict) or set(answer) - _ANSWER_KEYS:
        raise RefusedError("DEFAULT_5XX", f"malformed answer of the function: {answer!r:.100}")
    try:
        several = answer.get("multiValueHeaders") or {}
        headers = Headers(
            (
                f"x-amzn-Remapped-{name}" if _REMAPPED.fullmatch(name) else name,
                value if isinstance(value, str) else json.dumps(value),
            )
            for name, value in [
                *(answer.get("headers") or {}).items(),
                *((name, value) for name, values in several.items() for value in values),
            ]
        )
        headers.setdefault("Content-Type", "application/json")
        body = answer.get("body") or ""
        content = base64.b64decode(body) if answer.get("isBase64Encoded") else body
        return Response(content, int(answer.get("statusCode") or 200), headers)
    except (AttributeError, TypeError, ValueError) as error:
        raise RefusedError("DEFAULT_5XX", f"malformed answer of the function: {error}") from None


def _last(grouped: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in grouped.items()}
