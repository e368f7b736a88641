"""What API Gateway answers by itself, worded as the template's GatewayResponses say.

API Gateway Developer Guide, "Gateway response types".
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from local.stack import GatewayResponse

# The types that occur here: status and message, where the template says nothing else.
_TYPES = {
    "ACCESS_DENIED": (403, "User is not authorized to access this resource"),
    "BAD_REQUEST_BODY": (400, "Invalid request body"),
    "DEFAULT_5XX": (502, "Internal server error"),
    "EXPIRED_TOKEN": (401, "The incoming token has expired"),
    "INTEGRATION_FAILURE": (503, "Service Unavailable"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "Request Too Long"),
    "THROTTLED": (429, "Too Many Requests"),
    "UNAUTHORIZED": (401, "Unauthorized"),
}
_PLAIN = '{"message":$context.error.messageString}'


class RefusedError(Exception):
    """A call that API Gateway answers by itself; the reason is for the terminal, not the caller."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def render(
    kind: str, responses: Mapping[str, GatewayResponse], context: Mapping[str, Any]
) -> tuple[str, int, Mapping[str, str]]:
    """Return body, status and headers; `context` is what the body's $context variables name."""
    status, message = _TYPES[kind]
    default = responses.get(f"DEFAULT_{status // 100}XX", GatewayResponse())
    response = responses.get(kind, default)
    headers = {"Content-Type": "application/json", **response.headers}
    return body_of(response, context, message, kind), response.status or status, headers


def body_of(
    response: GatewayResponse, context: Mapping[str, Any], message: str, kind: str = ""
) -> str:
    """Return the body, its $context variables filled in."""
    error = {"message": message, "messageString": json.dumps(message), "responseType": kind}

    def value(match: re.Match[str]) -> str:
        found: Any = {**context, "error": error}
        for name in match[1].split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return "" if found is None else str(found)

    return re.sub(r"\$context\.(\w+(?:\.\w+)*)", value, response.template or _PLAIN)
