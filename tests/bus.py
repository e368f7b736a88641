"""A stand-in for EventBridge that fails on purpose; the functions reach it over a socket."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class Fault(Enum):
    """What goes wrong with a call: (does the bus take the events?, what it answers)."""

    NONE = (True, "answer")
    CLOSED_BEFORE = (False, "close")
    CLOSED_AFTER = (True, "close")
    SILENT_BEFORE = (False, "silence")
    SILENT_AFTER = (True, "silence")
    THROTTLED = (False, "ThrottlingException")
    BROKEN = (False, "500")
    BROKEN_AFTER = (True, "500")
    CUT_AFTER = (True, "cut")
    EMPTY_AFTER = (True, "empty")
    PAGE = (False, "page")
    FIRST_FAILS = (True, "first")
    LAST_FAILS = (True, "last")
    ALL_FAIL = (False, "all")
    FORBIDDEN = (False, "AccessDeniedException")
    FIRST_REFUSED = (True, "refused")


FOR_NOW = [each for each in Fault if each not in (Fault.NONE, Fault.FORBIDDEN, Fault.FIRST_REFUSED)]


class ScriptedBus:
    """An event bus.

    Attributes:
        told: every event that was taken, in order, repeats too.
        calls: how many events each call had.
    """

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.calls: list[int] = []
        self.before_call: Callable[[], object] = lambda: None
        self.after_effect: Callable[[], object] = lambda: None
        self._plan: deque[Fault] = deque()
        self._closed = Event()
        bus = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["X-Amz-Target"] == "AWSEvents.PutEvents"
                bus._answer(self, json.loads(body)["Entries"])

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=[0.02], daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def plan(self, *faults: Fault) -> None:
        """Let the coming calls meet these faults, one each, and those after them none."""
        self._plan = deque(faults)

    @property
    def is_over(self) -> bool:
        """Whether every planned fault has happened."""
        return not self._plan

    def end_silence(self) -> None:
        """Cut the connections of the calls that wait for an answer."""
        self._closed.set()

    def close(self) -> None:
        self.end_silence()
        self._server.shutdown()
        self._server.server_close()

    def details(self) -> list[dict[str, Any]]:
        return [json.loads(entry["Detail"]) for entry in self.told]

    def _answer(self, request: BaseHTTPRequestHandler, entries: list[dict[str, Any]]) -> None:
        self.before_call()
        assert 1 <= len(entries) <= 10
        self.calls.append(len(entries))
        fault = self._plan.popleft() if self._plan else Fault.NONE
        takes, answers = fault.value
        failing = {"first": {0}, "refused": {0}, "last": {len(entries) - 1}}.get(answers, set())
        if answers == "all":
            failing = set(range(len(entries)))
        code = "InvalidArgument" if answers == "refused" else "ThrottlingException"
        if takes:
            self.told += [entry for index, entry in enumerate(entries) if index not in failing]
            self.after_effect()
        results = [
            {"ErrorCode": code, "ErrorMessage": "-"} if index in failing else {"EventId": "e"}
            for index in range(len(entries))
        ]
        body = json.dumps({"FailedEntryCount": len(failing), "Entries": results}).encode()
        if answers == "close":
            request.close_connection = True
        elif answers == "silence":
            self._closed.wait(20)
            request.close_connection = True
        elif answers == "cut":
            _send(request, 200, body[: len(body) // 2])
        elif answers == "empty":
            _send(request, 200, b"")
        elif answers == "page":
            _send(request, 200, b"<html>welcome</html>")
        elif answers == "500":
            _send(request, 500, b'{"__type": "InternalException"}')
        elif answers.endswith("Exception"):
            _send(request, 400, json.dumps({"__type": answers}).encode())
        else:
            _send(request, 200, body)


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Type", "application/x-amz-json-1.1")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def scripted_bus() -> Iterator[ScriptedBus]:
    bus = ScriptedBus()
    try:
        yield bus
    finally:
        bus.close()


def deliver(
    records: list[dict[str, Any]],
    invoke: Callable[[dict[str, Any]], dict[str, Any] | None],
    size: int = 100,
) -> int:
    """Send records as Lambda does, until all are done; return how many batches that took.

    A batch goes on from its first failed record; all of it is sent again where the function died,
    which None stands for.
    """
    place = batches = 0
    until = time.monotonic() + 60
    while place < len(records):
        assert time.monotonic() < until, f"at record {place} of {len(records)}"
        batch = records[place : place + size]
        answer = invoke({"Records": batch})
        batches += 1
        if answer is not None:
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
            assert failed <= set(numbers)
            place += next((i for i, each in enumerate(numbers) if each in failed), len(batch))
    return batches
