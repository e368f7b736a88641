"""API Gateway: a WSGI application that routes, authorizes, and calls the functions."""

import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from local import seen
from local.authorizer import authorize
from local.pages import Page, Pages, is_own
from local.proxy import Call, response
from local.refusal import RefusedError, render
from local.stack import Api, GatewayResponse, Route
from local.trouble import HEADER, Answer, Answers
from local.users import UserPool

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Invoke = Callable[[str, Mapping[str, Any]], Any]

MAX_BODY = 10 * 1024 * 1024  # bytes; API Gateway's quota


class Gateway:
    """A REST API at the root of a local port, and under its stage's name as well."""

    def __init__(
        self,
        api: Api,
        users: UserPool,
        invoke: Invoke,
        pages: Pages,
        note: seen.Note | None = None,
    ) -> None:
        """Serve `api`, and `pages`: what only the laptop has.

        `invoke` calls a function by name with an event and returns its answer. `note` keeps in a
        book what was called.
        """
        self._api = api
        self._users = users
        self._invoke = invoke
        self._pages = pages
        self._note = note
        self._planned = Answers()
        self._map = Map(merge_slashes=False)
        for index, route in sorted(enumerate(api.routes), key=lambda each: each[1].method == "ANY"):
            path = re.sub(r"\{(\w+)}", r"<\1>", re.sub(r"\{(\w+)\+}", r"<path:\1>", route.path))
            rule = Rule(
                path, endpoint=index, methods=None if route.method == "ANY" else [route.method]
            )
            if rule.methods and route.method != "HEAD":
                rule.methods.discard("HEAD")  # which comes with GET, and not on API Gateway
            self._map.add(rule)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a call, and write a line about it: method, path, status, time, why not.

        What reads a page has no line: the dashboard asks for news every second.
        """
        at, started = datetime.now(timezone.utc), time.perf_counter()
        request = Request(environ)
        call = Call(request, self._api)
        reason, body, planned = "", b"", None
        page = self._pages.get((request.method, request.path))
        try:
            body = _body(request)
            planned = self._planned.next(request)
            answer = _shown(page, request, body) if page else self._answer(call, body, planned)
        except RefusedError as refusal:
            reason = f"  {refusal}"
            answer = Response(*render(refusal.kind, self._api.responses, call.context))
        except Exception as error:  # noqa: BLE001 - a defect here: the client gets an answer
            traceback.print_exception(error)
            answer = Response(*render("DEFAULT_5XX", self._api.responses, call.context))
        answer.headers.extend(call.response_headers())
        milliseconds = (time.perf_counter() - started) * 1000
        is_lost = planned is not None and planned.kind is None
        reason += f"  lost, as {HEADER} asks" if is_lost else ""
        path = environ["RAW_URI"].partition("?")[0]  # percent-encoded: no control characters
        line = f"{request.method} {path} {answer.status_code} {milliseconds:.0f} ms{reason}"
        if not page or request.method != "GET":
            print(line, file=sys.stderr, flush=True)
        if self._note and not page:
            seen.call(self._note, request, body, answer, at)
        if is_lost:
            raise ConnectionAbortedError
        return answer(environ, start_response)

    def _answer(self, call: Call, body: bytes, planned: Answer | None) -> Response:
        if planned and planned.kind and not planned.is_done:
            raise RefusedError(planned.kind, f"as {HEADER} asks")
        route, parameters = self._route(call)
        if isinstance(route.target, GatewayResponse):
            mock = route.target
            return Response(mock.template, mock.status, mock.headers, mimetype="application/json")
        claims = None
        if route.scopes is not None:
            claims = authorize(call.header("Authorization"), route.scopes, self._users)
        answer = response(self._invoke(route.target, call.event(route, parameters, claims, body)))
        if planned and planned.kind:
            raise RefusedError(
                planned.kind, f"as {HEADER} asks, after the function's {answer.status_code}"
            )
        return answer

    def _route(self, call: Call) -> tuple[Route, Mapping[str, str]]:
        try:
            index, parameters = self._map.bind("").match(call.path, call.request.method)
        except HTTPException:
            raise RefusedError("MISSING_AUTHENTICATION_TOKEN", "no such route") from None
        return self._api.routes[index], parameters


def _shown(page: Page, request: Request, body: bytes) -> Response:
    if not is_own(request):
        raise RefusedError("ACCESS_DENIED", "a page of another web site asks")
    return page(body or request.query_string)


def _body(request: Request) -> bytes:
    if not request.headers.get("Content-Length", "0").isdecimal():
        raise RefusedError("BAD_REQUEST_BODY", "Content-Length is not a number")
    try:
        body = BufferedReader(request.stream).read(MAX_BODY + 1)  # type: ignore[type-var]
    except (OSError, ValueError, HTTPException) as error:
        raise RefusedError("BAD_REQUEST_BODY", f"the body cannot be read: {error}") from None
    if len(body) > MAX_BODY:
        raise RefusedError("REQUEST_TOO_LARGE", "the body is larger than 10 MB")
    return body
