"""API Gateway: a WSGI application that routes, authorizes, and calls the functions."""

import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from joserfc.jwk import KeySet
from werkzeug import Request, Response

from local.authorizer import authorize
from local.proxy import Call, response
from local.refusal import RefusedError, render
from local.stack import Api, Mock, Route

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Invoke = Callable[[str, Mapping[str, Any]], Any]
Page = Callable[[Request], Response]

MAX_BODY = 10 * 1024 * 1024  # bytes; API Gateway's quota


class Gateway:
    """A REST API at the root of a local port, and under its stage's name as well."""

    def __init__(
        self, api: Api, keys: KeySet, invoke: Invoke, pages: Mapping[tuple[str, str], Page]
    ) -> None:
        """Serve `api`, and `pages`: what only the laptop has, by method and path.

        `invoke` calls a function by name with an event and returns its answer.
        """
        self._api = api
        self._keys = keys
        self._invoke = invoke
        self._pages = pages
        # A literal segment comes before a variable one: "{" sorts after every letter.
        self._routes = [
            (_pattern(route.path), route)
            for route in sorted(api.routes, key=lambda route: (route.path, route.method == "ANY"))
        ]

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a call, and write a line about it: method, path, status, time, why not."""
        started = time.perf_counter()
        request = Request(environ)
        reason = ""
        if page := self._pages.get((request.method, request.path)):
            answer = page(request)
        else:
            call = Call(request, self._api)
            try:
                answer = self._answer(call)
            except RefusedError as refusal:
                reason = f"  {refusal}"
                status, headers, body = render(refusal.kind, self._api.responses, call.context)
                answer = Response(body, status, headers)
            answer.headers.extend(call.response_headers())
        milliseconds = (time.perf_counter() - started) * 1000
        path = environ["RAW_URI"].partition("?")[0]  # percent-encoded: no control characters
        line = f"{request.method} {path} {answer.status_code} {milliseconds:.0f} ms{reason}"
        print(line, file=sys.stderr, flush=True)
        return answer(environ, start_response)

    def _answer(self, call: Call) -> Response:
        route, parameters = self._route(call)
        body = call.request.stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise RefusedError("REQUEST_TOO_LARGE", "the body is larger than 10 MB")
        if isinstance(route.target, Mock):
            return Response(
                route.target.body,
                route.target.status,
                route.target.headers,
                content_type="application/json",
            )
        claims = None
        if route.auth:
            claims = authorize(call.header(route.auth.header), route.auth, self._keys)
        return response(self._invoke(route.target, call.event(route, parameters, claims, body)))

    def _route(self, call: Call) -> tuple[Route, dict[str, str]]:
        for pattern, route in self._routes:
            if route.method in (call.request.method, "ANY") and (
                match := pattern.fullmatch(call.path)
            ):
                names = re.findall(r"\{([^}+]+)\+?}", route.path)
                return route, dict(zip(names, match.groups(), strict=True))
        raise RefusedError("MISSING_AUTHENTICATION_TOKEN", "no such route")


def _pattern(path: str) -> re.Pattern[str]:
    """Return what matches a template's path: {one} segment, {all+} the rest."""
    parts = re.split(r"(\{[^}]+})", path)
    return re.compile(
        "".join(
            re.escape(part) if not part.startswith("{") else "(.+)" if "+" in part else "([^/]+)"
            for part in parts
        )
    )
