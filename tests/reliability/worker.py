"""The functions in processes of their own: to be killed, and to be many at once.

A worker reads lines of JSON, each with events and an environment, and makes a child for each. The
child writes its process id and then, unless it dies before, the answers; the worker begins with a
null, and ends each child's lines with one. The child handles its events at once, every one in a
thread of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from shared import wiring
from shared.api import log
from shared.gateways import paypal, stripe
from shared.payments import clock, facts
from shared.store import dynamodb, items, payments
from tests.gateways.standins import take_keys
from tests.reliability.gateway import Scripted

CALLS = ("create", "get", "confirm", "capture", "cancel", "refund")
HANDLERS = {call: import_module(f"{call}_payment.app").handler for call in CALLS}
HANDLERS["publish"] = import_module("publish_events.app").handler
HANDLERS["settle"] = import_module("settle_payments.app").handler
ROOT = Path(__file__).parent.parent.parent

Event = dict[str, Any]


class Context:
    """Lambda's word on the time left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def shifted(seconds_ahead: Callable[[], float]) -> type[datetime]:
    """Return a datetime whose clock is ahead, for `shared.payments.clock`."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=seconds_ahead())

    return Shifted


class Worker:
    """A worker, as who started it sees it; its process begins when it is first needed."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open for as long as the worker

    @cached_property
    def _process(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    @cached_property
    def is_ready(self) -> bool:
        """Wait until it has imported what it needs."""
        return self._read() is None

    def begin(self) -> None:
        """Start its process, if it has none."""
        assert self._process

    def start(self, events: list[Event], environment: dict[str, str]) -> int:
        """Begin to handle the events; return the id of the process that does.

        An event names its call, such as `capture`, where that is not create or get. With a
        GATEWAY_URL in the environment, payments may name the scripted gateway, with GATEWAYS and
        GATEWAY_KEYS the stand-ins of others; SECONDS_AHEAD puts the clock on, LOOKS_AT_ONCE makes
        all that is under way due.
        """
        assert self.is_ready
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
        if "_process" in vars(self):
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

    write(None)
    for line in sys.stdin:
        events, environment = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(environment)
            _reach_a_gateway()
            write(os.getpid())
            write(_handle_at_once(events))
            os._exit(0)
        os.waitpid(child, 0)
        write(None)


def _reach_a_gateway() -> None:
    """Do what the fixture `life` does in its own process."""
    if url := os.environ.get("GATEWAY_URL"):
        gateways = {"scripted": Scripted(url)}
        wiring.gateways = lambda: gateways
    elif known := os.environ.get("GATEWAY_KEYS"):
        take_keys(json.loads(known), setattr)
        for adapter in (paypal, stripe):
            vars(adapter).update(CONNECT_SECONDS=60, ANSWER_SECONDS=60)
        stripe.CALL_SECONDS = 60
    else:
        return
    items.DUE_SHARDS = payments.DUE_SHARDS = 1
    if "LOOKS_AT_ONCE" in os.environ:
        facts.FIRST_LOOK_SECONDS = facts.LOOK_AGAIN_SECONDS = facts.PAYER_SECONDS = 0
    ahead = float(os.environ.get("SECONDS_AHEAD", "0"))
    clock.datetime = shifted(lambda: ahead)  # type: ignore[misc]


def _handle_at_once(events: list[Event]) -> list[dict[str, Any]]:
    start = threading.Barrier(len(events))

    def handle(event: Event) -> dict[str, Any]:
        start.wait()
        default = {"POST": "create", "GET": "get"}.get(event.get("httpMethod", ""), "")
        return HANDLERS[event.get("call", default)](event, Context())

    with ThreadPoolExecutor(len(events)) as clients:
        return list(clients.map(handle, events))


if __name__ == "__main__":
    serve()
