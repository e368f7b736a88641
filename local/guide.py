"""What to paste: a call of each route, a look into each table."""

import json
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from local.aws import ACCESS_KEY
from local.stack import Api, Function, Route
from local.template import REGION


@dataclass(frozen=True)
class Sample:
    """A call of one route."""

    method: str
    path: str
    query: Mapping[str, str]
    parameters: Mapping[str, str]
    body: str | None

    @property
    def target(self) -> str:
        """The path and the query."""
        path = self.path
        for name, value in self.parameters.items():
            path = path.replace(f"{{{name}}}", quote(value))
        return path + (f"?{urlencode(self.query)}" if self.query else "")

    def knowing(self, values: Mapping[str, Any]) -> "Sample":
        """Return the call with the values of parameters that are known by name."""
        return replace(
            self,
            query={name: values.get(name, value) for name, value in self.query.items()},
            parameters={name: values.get(name, value) for name, value in self.parameters.items()},
        )

    def send(self, url: str, token: str) -> dict[str, Any]:
        """Make the call, once in all; return the object that it answers, empty where it fails."""
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": "sample",  # a store that lasts is not filled by every start
        }
        connection = HTTPConnection(urlsplit(url).netloc)
        connection.request(self.method, self.target, self.body, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        answer = json.loads(text) if response.status in (200, 201) else None
        return answer if isinstance(answer, dict) else {}

    def curl(self, url: str, token: str) -> str:
        """Return the call as a command for a shell."""
        method = "" if self.method == "GET" else f"-X {self.method} "
        break_ = " \\\n    "
        command = f"curl {method}{shlex.quote(url + self.target)}"
        command += f'{break_}-H "Authorization: Bearer {token}"'
        if self.body:
            key = f"order-{secrets.token_hex(4)}"
            command += f'{break_}-H "Content-Type: application/json" -H "Idempotency-Key: {key}"'
            command += f"{break_}-d {shlex.quote(self.body)}"
        return command


def calls(
    api: Api, functions: Mapping[str, Function], events: Path, url: str, token: str
) -> list[str]:
    """Return a call of each route, after making the first: the others may read what it made.

    Those that create something come first. A function's sample event is
    `events/<package of its handler>/default.json`; it may have none.
    """
    samples = [
        _sample(route, functions[route.target], events)
        for route in sorted(api.routes, key=lambda route: route.method != "POST")
        if isinstance(route.target, str)
    ]
    made = samples[0].send(url, token) if samples else {}
    return [sample.knowing(made).curl(url, token) for sample in samples]


def scan(url: str, table: str) -> str:
    """Return a look into a table of the DynamoDB at `url`."""
    keys = f"AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={ACCESS_KEY}"
    return f"{keys} aws --region {REGION} --endpoint-url {url} dynamodb scan --table-name {table}"


def _sample(route: Route, function: Function, events: Path) -> Sample:
    package = function.handler.replace("/", ".").split(".")[0]
    file = events / package / "default.json"
    event = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return Sample(
        method=route.method,
        path=route.path,
        query=event.get("queryStringParameters") or {},
        parameters=event.get("pathParameters") or {},
        body=event.get("body"),
    )
