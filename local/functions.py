"""Lambda: each function in processes of its own, one event at a time in each.

As in Lambda, the first call starts a process, an idle one is used again, and a concurrent call
gets another one. Unlike there, a process whose code was edited is replaced before the next call,
and a function with a schedule runs every few seconds, whatever its schedule says.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from tempfile import TemporaryFile
from threading import BoundedSemaphore, Event, Lock, Thread, Timer
from typing import Any, NamedTuple
from weakref import WeakSet

from local.aws import ACCESS_KEY
from local.refusal import RefusedError
from local.stack import Function
from local.template import ACCOUNT, REGION

SCHEDULE_SECONDS = 5  # between the runs of a function with a schedule

_WORKER = Path(__file__).with_name("worker.py")
_MAX_PROCESSES = 10  # of one function; further calls wait
_INIT_SECONDS = 30
_INTEGRATION_SECONDS = 29  # API Gateway's quota
# What differs between the log lines of two runs that did the same.
_VOLATILE = re.compile(r'"(timestamp|durationMs|records)": *("[^"]*"|[\d.]+)', re.IGNORECASE)


class Run(NamedTuple):
    """A run of a function that nobody waits for.

    Attributes:
        is_done: it answered; else it failed.
        news: what it wrote, where the last run did not.
    """

    is_done: bool
    answer: Any
    news: str


class Functions:
    """The functions of a stack, by name."""

    def __init__(self, functions: Iterable[Function], endpoints: Mapping[str, str]) -> None:
        """Prepare the functions; `endpoints` are variables that lead them to AWS's stand-ins."""
        self._pools = {function.name: _Pool(function, endpoints) for function in functions}
        self._stopped = Event()

    def start(self) -> None:
        """Start the schedules."""
        Thread(target=self._keep_running_schedules, daemon=True).start()

    def invoke(self, name: str, event: Mapping[str, Any]) -> Any:
        """Return the function's answer to an event.

        Raises:
            RefusedError: it does not import, failed, crashed, or took too long.
        """
        return self._pools[name].invoke(event, _INTEGRATION_SECONDS)

    def stop(self) -> None:
        """Kill every process, busy or not."""
        self._stopped.set()
        for pool in self._pools.values():
            pool.stop()

    def run(self, name: str, event: Any) -> Run:
        """Run a function that nobody waits for."""
        return self._pools[name].run(event)

    def run_schedules(self) -> str:
        """Run each function with a schedule once; return what they wrote, where it is news."""
        return "".join(pool.run_schedule() for pool in self._pools.values())

    def _keep_running_schedules(self) -> None:
        while not self._stopped.wait(SCHEDULE_SECONDS):
            news = self.run_schedules()
            if not self._stopped.is_set():
                print(news, end="", file=sys.stderr, flush=True)


class _Pool:
    def __init__(self, function: Function, endpoints: Mapping[str, str]) -> None:
        self._function = function
        self._environment = _environment(function, endpoints)
        self._places = BoundedSemaphore(_MAX_PROCESSES)
        self._idle: deque[_Process] = deque()
        self._all: WeakSet[_Process] = WeakSet()
        # Kept as long as the pool: what a function that nobody waits for writes, instead of the
        # terminal.
        is_quiet = function.schedule is not None or function.stream is not None
        self._log = TemporaryFile("w+") if is_quiet else None  # noqa: SIM115
        self._last_run = ""
        self._running = Lock()

    def invoke(self, event: Any, limit: int) -> Any:
        """Return the answer to an event; `limit` is how many seconds the caller waits for it."""
        with self._places:
            process = self._take()
            try:
                return process.call(event, limit)
            finally:
                self._idle.append(process)

    def _take(self) -> "_Process":
        while self._idle:
            process = self._idle.pop()
            if process.is_usable():
                return process
            process.end()
        process = _Process(self._function, self._environment, self._log)
        self._all.add(process)
        process.wait_until_ready()
        return process

    def run_schedule(self) -> str:
        """Run the function if it has a schedule; return what it wrote, if the last run did not."""
        return "" if self._function.schedule is None else self.run(self._function.schedule).news

    def run(self, event: Any) -> Run:
        assert self._log  # noqa: S101 - nobody waits for the function
        answer, failure = None, ""
        with self._running:
            if self._log.closed:
                return Run(is_done=False, answer=None, news="")
            try:
                answer = self.invoke(event, self._function.timeout)
            except RefusedError as error:
                failure = f"{error}\n"
            self._log.seek(0)  # the function's processes share this place in the file
            written = self._log.read() + failure
            self._log.seek(0)
            self._log.truncate()
        last, self._last_run = self._last_run, _VOLATILE.sub("", written)
        return Run(not failure, answer, written if self._last_run != last else "")

    def stop(self) -> None:
        for process in list(self._all):
            process.kill()
        with self._running:  # a run ends when its process does
            while self._idle:
                self._idle.pop().end()
            if self._log:
                self._log.close()


class _Process(subprocess.Popen[str]):
    """A process of worker.py."""

    def __init__(self, function: Function, environment: Mapping[str, str], log: Any) -> None:
        self._function = function
        self._started = time.time_ns()
        self._sources: dict[str, tuple[int, int] | None] = {}
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function.name}"
        # -I: none of this process's PYTHON variables. A session of its own: Ctrl-C in the terminal
        # is not for the worker, whose stdin ends when this process does.
        super().__init__(
            [sys.executable, "-I", "-u", _WORKER, arn, str(function.timeout)],
            cwd=function.code,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            bufsize=1,
            start_new_session=True,
        )

    def wait_until_ready(self) -> None:
        """Wait until the handler is imported.

        Raises:
            RefusedError: it does not import.
        """
        try:
            self._hear(_INIT_SECONDS)
        except RefusedError:
            self.end()
            raise

    def call(self, event: Any, limit: int) -> Any:
        assert self.stdin  # noqa: S101 - a pipe, as asked for
        with suppress(BrokenPipeError):  # then there is nothing to hear either
            self.stdin.write(json.dumps(event) + "\n")
        return self._hear(min(self._function.timeout, limit))

    def _hear(self, seconds: int) -> Any:
        """Return the worker's next answer; kill it when there is none in time."""
        assert self.stdout  # noqa: S101
        name = self._function.name
        deadline = time.monotonic() + seconds
        timer = Timer(seconds, self.kill)
        timer.start()
        line = self.stdout.readline()
        timer.cancel()
        if not line.endswith("\n"):
            status = self.wait()
            if time.monotonic() < deadline:
                raise RefusedError("DEFAULT_5XX", f"{name}: exited with status {status}")
            gave_up_first = seconds < self._function.timeout
            kind = "INTEGRATION_TIMEOUT" if gave_up_first else "DEFAULT_5XX"
            raise RefusedError(kind, f"{name}: timed out after {seconds} s")
        reply = json.loads(line)
        for file in reply.get("sources", []):
            self._sources.setdefault(file, _stamp(file))
        if "error" in reply:
            raise RefusedError("DEFAULT_5XX", f"{name}: {reply['error']}")
        return reply.get("answer")

    def is_usable(self) -> bool:
        """Tell whether the process runs, and runs the code as it is now."""
        edited = [
            file
            for file, stamp in self._sources.items()
            # Newer than the process: edited while it was imported, perhaps after it was read.
            if _stamp(file) != stamp or not stamp or stamp[0] > self._started
        ]
        for file in edited:
            # Python tells a stale .pyc by whole seconds and size: too coarse for quick edits.
            Path(cache_from_source(file)).unlink(missing_ok=True)
        return not edited and self.poll() is None

    def end(self) -> None:
        """Kill the process, and let go of what it held."""
        self.kill()
        self.communicate()


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - for every file on every call
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _environment(function: Function, endpoints: Mapping[str, str]) -> dict[str, str]:
    """Return all that the function sees: the template's variables and Lambda's own."""
    ours = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return {
        **ours,
        **function.environment,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "LAMBDA_TASK_ROOT": str(function.code),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": function.handler,
        **endpoints,
    }
