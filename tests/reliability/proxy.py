"""A network that fails on purpose, between a function and its store or its gateway.

A real TCP server in front of a real DynamoDB, or of moto in this process: what ships talks to it
over sockets and knows nothing of it. Each request takes the next fault of the plan; an empty plan
lets everything through. Nothing here sleeps: an answer that is late is one that never comes, and a
request that is late is kept until the next one arrives.
"""

import http.client
import socket
import threading
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import closing
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import urlsplit

from werkzeug.test import Client

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Fault(Enum):
    """What befalls a request on its way to the store, or the answer on its way back."""

    NONE = "nothing"
    DROPPED_REQUEST = "the connection closes; the store never saw the request"
    DROPPED_ANSWER = "the store did it; the connection closes without an answer"
    SILENCE = "no answer in time; the store never saw the request"
    SILENCE_AFTER = "no answer in time; the store did it"
    LATE_REQUEST = "no answer in time; the store gets the request just before the next one"
    LATER_REQUEST = "no answer in time; the store gets the request just after the next one"
    TWICE = "the store gets the request twice, and its second answer is passed on"
    CUT_ANSWER = "the store did it; the connection closes in the middle of its answer"
    GARBLED_ANSWER = "the store did it; its answer is no JSON"
    CHANGED_ANSWER = (
        "the store did it; its answer is JSON, but another digit or letter stands there"
    )
    EMPTY_ANSWER = "the store did it; its answer comes without a body"
    FOREIGN_ANSWER = "somebody else's page, with status 200"
    FOREIGN_REFUSAL = "somebody else's page, with status 403"
    THROTTLED = "400 ThrottlingException"
    NO_CAPACITY = "400 ProvisionedThroughputExceededException"
    OVER_QUOTA = "400 RequestLimitExceeded"
    CONFLICT = "400 TransactionConflictException"
    ERROR = "500 InternalServerError; nothing was done"
    ERROR_AFTER = "500 InternalServerError; and yet it was done"
    UNAVAILABLE = "503 with a load balancer's page"


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def encoded(self) -> bytes:
        headers = {**self.headers, "Content-Length": str(len(self.body))}
        lines = [
            f"HTTP/1.1 {self.status} -",
            *(f"{key}: {headers[key]}" for key in headers),
            "",
            "",
        ]
        return "\r\n".join(lines).encode("latin-1") + self.body


def _error(status: int, code: str) -> Answer:
    body = f'{{"__type": "com.amazonaws.dynamodb.v20120810#{code}", "message": "-"}}'.encode()
    return Answer(status, {"x-amz-crc32": str(zlib.crc32(body))}, body)


_PAGE = "<!DOCTYPE html><title>Serviço não disponível</title>".encode("latin-1")

# Faults that keep the store from seeing the request, and what is answered; None: nothing, ever.
INSTEAD: dict[Fault, Answer | None] = {
    Fault.DROPPED_REQUEST: None,
    Fault.SILENCE: None,
    Fault.LATE_REQUEST: None,
    Fault.LATER_REQUEST: None,
    Fault.FOREIGN_ANSWER: Answer(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"),
    Fault.FOREIGN_REFUSAL: Answer(403, {"Content-Type": "text/html"}, b"<html>No</html>"),
    Fault.THROTTLED: _error(400, "ThrottlingException"),
    Fault.NO_CAPACITY: _error(400, "ProvisionedThroughputExceededException"),
    Fault.OVER_QUOTA: _error(400, "RequestLimitExceeded"),
    Fault.CONFLICT: _error(400, "TransactionConflictException"),
    Fault.ERROR: _error(500, "InternalServerError"),
    Fault.UNAVAILABLE: Answer(503, {"Content-Type": "text/html"}, _PAGE),
}

# Faults that befall the answer of a store that did as it was asked.
DAMAGE: dict[Fault, Callable[[Answer], bytes]] = {
    Fault.NONE: Answer.encoded,
    Fault.TWICE: Answer.encoded,
    Fault.DROPPED_ANSWER: lambda _: b"",
    Fault.SILENCE_AFTER: lambda _: b"",
    Fault.CUT_ANSWER: lambda answer: answer.encoded()[: -(len(answer.body) + 1) // 2],
    Fault.GARBLED_ANSWER: lambda answer: _with_body(answer, b"\xff" + answer.body[1:]),
    Fault.CHANGED_ANSWER: lambda answer: _with_body(answer, _changed(answer.body)),
    Fault.EMPTY_ANSWER: lambda answer: _with_body(answer, b""),
    Fault.ERROR_AFTER: lambda _: _error(500, "InternalServerError").encoded(),
}

SILENT = {Fault.SILENCE, Fault.SILENCE_AFTER, Fault.LATE_REQUEST, Fault.LATER_REQUEST}
CLOSING = {Fault.DROPPED_REQUEST, Fault.DROPPED_ANSWER, Fault.CUT_ANSWER}


def _with_body(answer: Answer, body: bytes) -> bytes:
    return answer._replace(body=body).encoded()


def _changed(body: bytes) -> bytes:
    """Turn every 1 into a 7; an answer without one ({}) names a member that DynamoDB does not."""
    return body.replace(b"1", b"7") if b"1" in body else b'{"Itme": {}}'


class Request(NamedTuple):
    """An HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class FaultProxy:
    """Listens on 127.0.0.1 and hands one request after another to the store.

    Attributes:
        url: where it listens.
        calls: how many requests came since the plan was made.
        before: called when a request has come, before the store sees it.
        after: called when the store has answered, before the function sees that.
    """

    def __init__(self, store: "str | WSGIApplication") -> None:
        """Stand before a store: at a URL, or one that is called in this process."""
        self._store = store
        self._lock = threading.Lock()
        self._plan: deque[Fault] = deque()
        self._late: tuple[Fault, Request] | None = None
        self._silent: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.plan()
        threading.Thread(target=self._accept, daemon=True).start()

    def plan(
        self,
        *faults: Fault,
        before: Callable[[], object] = lambda: None,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """Let the coming requests meet these faults, one each, and those after them none."""
        with self._lock:
            self._settle()
            self._plan = deque(faults)
            self.calls = 0
            self.before, self.after = before, after

    def close(self) -> None:
        """Stop listening."""
        self.plan()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _settle(self) -> None:
        """Let a late request arrive, and hang up where nothing was ever answered."""
        for connection in self._silent:
            connection.close()
        self._silent = []
        if self._late:
            self._forward(self._late[1])
            self._late = None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection.makefile("rb") as stream:
                while request := _read(stream):
                    fault, answer = self._handle(request)
                    if fault in SILENT:
                        with self._lock:
                            self._silent.append(connection)
                        return
                    connection.sendall(answer)
                    if fault in CLOSING:
                        break
        except OSError:
            pass  # the function hung up
        connection.close()

    def _handle(self, request: Request) -> tuple[Fault, bytes]:
        with self._lock:
            self.calls += 1
            fault = self._next_fault(request)
            self.before()
            late, self._late = self._late, None
            if late and late[0] is Fault.LATE_REQUEST:
                self._forward(late[1])
            if fault in INSTEAD:
                instead = INSTEAD[fault]
                answer = instead.encoded() if instead else b""
            else:
                if fault is Fault.TWICE:
                    self._forward(request)
                answer = DAMAGE[fault](self._forward(request))
            if late and late[0] is Fault.LATER_REQUEST:
                self._forward(late[1])
            if fault in {Fault.LATE_REQUEST, Fault.LATER_REQUEST}:
                self._late = (fault, request)
            self.after()
            return fault, answer

    def _next_fault(self, request: Request) -> Fault:
        return self._plan.popleft() if self._plan else Fault.NONE

    def _forward(self, request: Request) -> Answer:
        status, answered, body = self._ask(request)
        kept = ("content-type", "x-amz-crc32", "x-amzn-requestid")
        headers = {key.lower(): value for key, value in answered.items() if key.lower() in kept}
        # DynamoDB sends it with every answer, DynamoDB Local with none that is an error.
        headers.setdefault("x-amz-crc32", str(zlib.crc32(body)))
        return Answer(status, headers, body)

    def _ask(self, request: Request) -> Answer:
        method, path, headers, body = request
        if not isinstance(self._store, str):
            store = Client(self._store, use_cookies=False)
            with store.open(path, method=method, headers=headers, data=body) as answer:
                return Answer(answer.status_code, dict(answer.headers), answer.data)
        connection = http.client.HTTPConnection(urlsplit(self._store).netloc, timeout=30)
        with closing(connection):
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())


def _read(stream: BinaryIO) -> Request | None:
    """Read the next request; None where the other side has hung up."""
    if not (line := stream.readline().decode("latin-1")):
        return None
    method, path, _ = line.split()
    headers = http.client.parse_headers(stream)
    body = stream.read(int(headers["Content-Length"] or 0))
    return Request(method, path, dict(headers.items()), body)
