"""Processor time, memory, and the wall time to the first answer; every stack once a round.

Times are good for comparisons within a round: what slows one stack slows the others next to it.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.stacks import NAMES, OURS, RUNTIME, Function, function, python
from benchmarks.standin import StandIn
from tools.build import ARCHITECTURE

ROUNDS = 7


def processor(store: StandIn) -> dict[str, Any]:
    """Measure a cold create: processor time in spins, this API's share of it, megabytes at most."""
    spins: dict[str, list[float]] = {stack: [] for stack in NAMES}
    memory = dict.fromkeys(NAMES, 0)
    for _ in range(ROUNDS):
        for stack in NAMES:
            unit = _spin()
            seconds, megabytes = _run(function(stack, "create"), store)
            spins[stack].append(seconds / unit)
            memory[stack] = max(memory[stack], megabytes)
    return {
        stack: {
            "spins": statistics.median(spins[stack]),
            "ratios": _ratios(spins[OURS], spins[stack]),
            "memory": memory[stack],
        }
        for stack in NAMES
    }


def starts(store: StandIn) -> dict[str, Any]:
    """Measure the milliseconds to the first and second answer under Lambda's own runtime client."""
    first: dict[str, list[float]] = {stack: [] for stack in NAMES}
    second: dict[str, list[float]] = {stack: [] for stack in NAMES}
    for _ in range(ROUNDS):
        for stack in NAMES:
            created = function(stack, "create")
            with _emulator(created, store.environment(created)) as url:
                first[stack].append(_answer(url, created))
                second[stack].append(_answer(url, created))
    return {
        stack: {
            "first": statistics.median(first[stack]),
            "second": statistics.median(second[stack]),
            "ratios": _ratios(first[OURS], first[stack]),
        }
        for stack in NAMES
    }


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return sorted(own / other for own, other in zip(ours, theirs, strict=True))


def _spin() -> float:
    """Return the processor seconds of work that is always the same."""
    began = time.process_time()
    sum(range(10_000_000))
    return time.process_time() - began


def _run(called: Function, store: StandIn) -> tuple[float, int]:
    child = subprocess.Popen(
        called.command(1), env=store.environment(called), stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{called.task}: a create failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


@contextmanager
def _emulator(called: Function, env: dict[str, str]) -> Iterator[str]:
    """Start AWS's runtime interface emulator, which inits the function on its first call."""
    with tempfile.TemporaryDirectory() as folder:
        emulator = shutil.copy(_rapid() / f"aws-lambda-rie-{ARCHITECTURE}", folder)
        Path(emulator).chmod(0o755)
        front, runtime = (f"127.0.0.1:{_free_port()}" for _ in range(2))
        command = [emulator, "--runtime-interface-emulator-address", front]
        command += ["--runtime-api-address", runtime]
        command += [python(), "-S", "-m", "awslambdaric", called.handler]
        env = {**env, "PYTHONPATH": f"{called.task}:{RUNTIME}"}
        none = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=called.task, env=env, stdout=none, stderr=none
        ) as process:
            try:
                _await(front)
                yield f"http://{front}/2015-03-31/functions/function/invocations"
            finally:
                process.terminate()


def _rapid() -> Path:
    """Return where SAM CLI has its emulators; imported, it would weigh on what is measured here.

    A process begins as a copy of this one, and this one's memory counts as the copy's.
    """
    spec = find_spec("samcli")
    return Path(spec.origin or "").parent / "local/rapid" if spec else Path()


def _answer(url: str, called: Function) -> float:
    began = time.perf_counter()
    request = urllib.request.Request(url, called.event.read_bytes())
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    taken = (time.perf_counter() - began) * 1000
    if json.loads(text).get("statusCode") != 201:
        raise SystemExit(f"{called.task}: {text}")
    return taken


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _await(address: str) -> None:
    host, _, port = address.partition(":")
    for _ in range(200):
        with suppress(OSError), socket.create_connection((host, int(port))):
            return
        time.sleep(0.02)
    raise SystemExit("the runtime interface emulator did not start")
