"""What to paste: a call of each route, a look into each table."""

import json
import re
import secrets
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from local.aws import ACCESS_KEY
from local.loopback import HOST, command
from local.stack import Api, Function, Route
from local.template import REGION
from local.tokens import DEFAULT_USER
from local.users import UserPool


def calls(
    api: Api, functions: Mapping[str, Function], events: Path, users: UserPool, port: int
) -> list[str]:
    """Return shell commands: the tokens as variables, and a call of each route.

    The first call, which creates something, is made here as well: the others may read what it made.
    A function's sample event is `events/<its folder>/default.json`; it may have none. The API runs
    on the port.
    """
    url, make = f"http://{HOST}:{port}", command("-s token", port)
    tokens: dict[str, str] = {}
    curls: list[str] = []
    known: dict[str, Any] = {}
    routes = {route.target: route for route in api.routes if isinstance(route.target, str)}
    ordered = [routes[name] for name in functions if name in routes]  # as the template has them
    ordered.sort(key=lambda each: (each.method != "POST", each.scopes is None, "{" in each.path))
    for route in ordered:
        if route.scopes is None and route.method == "POST":  # its sender signs
            continue
        event = _event(functions[str(route.target)].handler, events)
        target, body = _target(route, event, known), event.get("body")
        headers, scope = [], _scope(route, users)
        if scope is not None:
            variable = re.sub(r"\W", "_", scope).upper() or "TOKEN"
            tokens[variable] = f"{variable}=$({make}{scope and f' SCOPE={scope}'})"
            headers.append(f'-H "Authorization: Bearer ${variable}"')
        if "Idempotency-Key" in (event.get("headers") or {}):
            headers.append(f'-H "Idempotency-Key: order-{secrets.token_hex(4)}"')
        if body:
            headers.append(f'-H "Content-Type: application/json" -d {shlex.quote(body)}')
        method = "" if route.method == "GET" else f"-X {route.method} "
        curls.append(" ".join([f"curl {method}{shlex.quote(url + target)}", *headers]))
        if len(curls) == 1:
            token = users.token(DEFAULT_USER, (scope or "").split())
            known = _send(route.method, url + target, body, token)
    return [*tokens.values(), *curls]


def scan(url: str, table: str) -> str:
    """Return a look into a table of the DynamoDB at `url`."""
    keys = f"AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={ACCESS_KEY}"
    return f"{keys} aws --region {REGION} --endpoint-url {url} dynamodb scan --table-name {table}"


def _event(handler: str, events: Path) -> dict[str, Any]:
    file = events / handler.replace("/", ".").split(".")[0] / "default.json"
    event: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return event


def _target(route: Route, event: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return path and query of a sample event, with the ids that are known by name."""
    values = {**(event.get("pathParameters") or {}), **known}
    path = re.sub(r"\{(\w+)\+?}", lambda name: quote(str(values.get(name[1], name[0]))), route.path)
    query = event.get("queryStringParameters") or {}
    query = {name: known.get(name, value) for name, value in query.items()}
    return path + (f"?{urlencode(query)}" if query else "")


def _scope(route: Route, users: UserPool) -> str | None:
    """Return the scope to ask for, which is empty where people's do; None for an open route."""
    if not route.scopes:
        return None if route.scopes is None else ""
    return "" if users.scopes & set(route.scopes) else route.scopes[0]


def _send(method: str, url: str, body: str | None, token: str) -> dict[str, Any]:
    """Make a call, once in all; return the object that it answers, empty where it fails."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": "sample",  # a store that lasts is not filled by every start
    }
    request = Request(url, (body or "").encode(), headers, method=method)  # noqa: S310 - our own
    with suppress(HTTPError, TypeError, ValueError), urlopen(request) as answer:  # noqa: S310
        return dict(json.load(answer))
    return {}
