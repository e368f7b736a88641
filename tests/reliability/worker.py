"""The functions in processes of their own: to be killed, and to be many at once.

A worker reads lines of JSON, each with events and an environment, and makes a child for each. The
child writes its process id and then, unless it dies before, the answers; the worker ends each with
a null. The child handles its events at once, every one in a thread of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from create_payment.app import handler as create_payment
from get_payment.app import handler as get_payment
from shared.api import log
from shared.store import dynamodb
from tests.conftest import Context

HANDLERS = {"POST": create_payment, "GET": get_payment}
ROOT = Path(__file__).parent.parent.parent

Event = dict[str, Any]


class Worker:
    """A worker, as who started it sees it."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open for as long as the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def start(self, events: list[Event], environment: dict[str, str]) -> int:
        """Begin to handle the events; return the id of the process that does."""
        assert self._process.stdin
        print(json.dumps([events, environment]), file=self._process.stdin, flush=True)
        pid: int = self._read()
        return pid

    def answers(self) -> list[dict[str, Any]] | None:
        """Wait for the answers; None where the process died before it had them."""
        answers: list[dict[str, Any]] | None = self._read()
        if answers is not None:
            assert self._read() is None
        return answers

    def close(self) -> str:
        """Let the worker end; return what its functions logged."""
        self._process.communicate()
        with self._log:
            self._log.seek(0)
            return self._log.read()

    def _read(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


def serve() -> None:
    """Be a worker until standard input ends."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where the functions' log lines go
    dynamodb.LONGEST_PAUSE_SECONDS = 0
    # A crowd on one machine may wait for its turn: that is slow, not away.
    dynamodb.CONNECT_SECONDS = dynamodb.ANSWER_SECONDS = 60
    log.logger()  # made once, by one thread, as in a function

    def write(document: object) -> None:
        print(json.dumps(document), file=output, flush=True)

    for line in sys.stdin:
        events, environment = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(environment)
            write(os.getpid())
            write(_handle_at_once(events))
            os._exit(0)
        os.waitpid(child, 0)
        write(None)


def _handle_at_once(events: list[Event]) -> list[dict[str, Any]]:
    start = threading.Barrier(len(events))

    def handle(event: Event) -> dict[str, Any]:
        start.wait()
        return HANDLERS[event["httpMethod"]](event, Context())

    with ThreadPoolExecutor(len(events)) as clients:
        return list(clients.map(handle, events))


if __name__ == "__main__":
    serve()
