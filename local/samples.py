"""Calls to paste: one for each route, from the sample event of the function behind it."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from local.stack import Api, Function

_HEADERS = ("content-type", "idempotency-key")  # of an event's: what its client chose


@dataclass(frozen=True)
class Sample:
    """A call of one route."""

    method: str
    path: str
    query: Mapping[str, str]
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
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
        """Make the call; return the object that it answers, empty where it fails."""
        connection = HTTPConnection(urlsplit(url).netloc)
        headers = {**self.headers, "Authorization": f"Bearer {token}"}
        connection.request(self.method, self.target, self.body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read() or "null")
        connection.close()
        return answer if response.status < 300 and isinstance(answer, dict) else {}

    def curl(self, url: str, token: str) -> str:
        """Return the call as a command for a shell, to be repeated at will: no Idempotency-Key."""
        method = "" if self.method == "GET" else f"-X {self.method} "
        lines = [f"curl {method}{shlex.quote(url + self.target)}"]
        lines.append(f'-H "Authorization: Bearer {token}"')
        lines += [
            f'-H "{name}: {value}"'
            for name, value in self.headers.items()
            if name.lower() != "idempotency-key"
        ]
        if self.body:
            lines[-1] += f" -d {shlex.quote(self.body)}"
        return " \\\n    ".join(lines)


def samples(api: Api, functions: Mapping[str, Function], events: Path) -> list[Sample]:
    """Return a call of each route, those that create something first.

    A route's sample event is `events/<package of its handler>.json`; it may have none.
    """
    found = []
    for route in api.routes:
        if not isinstance(route.target, str):
            continue
        package = functions[route.target].handler.replace("/", ".").split(".")[0]
        file = events / f"{package}.json"
        event = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        headers = event.get("headers") or {}
        found.append(
            Sample(
                method=route.method,
                path=route.path,
                query=event.get("queryStringParameters") or {},
                parameters=event.get("pathParameters") or {},
                headers={name: headers[name] for name in headers if name.lower() in _HEADERS},
                body=event.get("body"),
            )
        )
    return sorted(found, key=lambda sample: sample.method != "POST")
