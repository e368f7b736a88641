"""The API and its peers, built: each function a folder as Lambda would have it at /var/task."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tools.build import ARCHITECTURE, ROOT, interpreter

HERE = Path(__file__).parent
BUILT = HERE / ".built"
RUNTIME = BUILT / "runtime"
"""Lambda's runtime client, which every function finds there."""

OURS = "ours"
NAMES = {
    OURS: "**this API**",
    "limit": "the limit: one request signed by hand, no SDK",
    "hello": "SAM hello-world style, boto3.resource",
    "flask": "Flask, serverless-wsgi",
    "fastapi": "FastAPI, Mangum",
    "powertools": "Powertools: resolver, validation, idempotency, tracer",
}
PEERS = [name for name in NAMES if name != OURS]
CALLS = ["create", "read"]

_BIN = Path(sys.executable).parent


class Function(NamedTuple):
    """One route of a stack."""

    task: Path
    handler: str
    event: Path

    def command(self, calls: int) -> list[str]:
        """Return what calls it so often, and nothing else: see driver.py."""
        return [*_driver(), str(self.task), self.handler, str(self.event), str(calls)]


def nothing() -> list[str]:
    """Return what Lambda's runtime does before there is a function."""
    return [*_driver(), "-", "-", "-", "0"]


def _driver() -> list[str]:
    # As -I, but that PYTHONHASHSEED counts: every run has its sets in one order. -B since Lambda's
    # file system is read-only: what comes without bytecode is compiled on each start.
    return [python(), "-P", "-s", "-S", "-B", str(HERE / "driver.py"), str(RUNTIME)]


def function(stack: str, call: str, *, shipped: bool = False) -> Function:
    """Return the stack's function for the call; a peer's with bytecode, or as it is shipped."""
    folder = {"create": "create_payment", "read": "get_payment"}[call]
    event = ROOT / "events" / folder / "default.json"
    if stack == OURS:
        name = {"create": "CreatePaymentFunction", "read": "GetPaymentFunction"}[call]
        return Function(BUILT / OURS / name, f"{folder}.app.handler", event)
    task = BUILT / (f"{stack}-shipped" if shipped else stack)
    # An application for both routes, or a module for each: as the style has it.
    module = call if (HERE / f"peers/{stack}/{call}.py").exists() else "app"
    return Function(task, f"{module}.{call}", event)


def python() -> str:
    """Return an interpreter of the version that Lambda runs."""
    found = interpreter("3.13")
    if found is None:
        sys.exit("python3.13 is needed: it is what Lambda runs")
    return found


def interpreter_build() -> str:
    """Return Python, OpenSSL and C library: counts compare on the same ones alone."""
    code = (
        "import sys, ssl, platform as p; print(sys.version.split()[0], p.python_compiler(),"
        " p.python_build()[1], ssl.OPENSSL_VERSION, *p.libc_ver(), p.machine(), sep=', ')"
    )
    return subprocess.check_output([python(), "-c", code], text=True).strip()


def build(*peers: str) -> None:
    """Build this API, as `sam build` does, and the peers."""
    shutil.rmtree(BUILT, ignore_errors=True)
    overrides = ["--parameter-overrides", f"Architecture={ARCHITECTURE}"]
    run(_BIN / "sam", "build", "--build-dir", BUILT / OURS, *overrides)
    _install(RUNTIME, HERE / "requirements.txt")
    _compile(RUNTIME)
    for peer in peers:
        task = BUILT / f"{peer}-shipped"
        _install(task, HERE / f"peers/{peer}/requirements.txt")
        for module in (HERE / "peers" / peer).glob("*.py"):
            shutil.copy(module, task)
        for cache in list(task.rglob("__pycache__")):
            shutil.rmtree(cache)
        shutil.copytree(task, BUILT / peer)
        _compile(BUILT / peer)


def size(stack: str, call: str) -> int:
    """Return the bytes of the package, zipped, as `sam build` ships it."""
    with tempfile.TemporaryDirectory() as folder:
        task = function(stack, call, shipped=True).task
        return Path(shutil.make_archive(f"{folder}/package", "zip", task)).stat().st_size


def run(*command: str | Path) -> None:
    """Run a tool; show what it said only where it fails."""
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr}")


def _install(target: Path, requirements: Path) -> None:
    target.mkdir(parents=True)
    uv = [str(_BIN / "uv"), "pip", "install", "--quiet", "--no-config", "--python", python()]
    run(*uv, "--target", target, "-r", requirements)


def _compile(task: Path) -> None:
    command = [python(), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    # Some distributions ship templates that are no Python: those fail, and the rest is compiled.
    subprocess.run([*command, str(task)], check=False)
