"""The functions that are measured, this API's and its peers', as `sam build` makes them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from local.stack import functions
from local.template import Template
from tools.build import ARCHITECTURE, ROOT, interpreter

HERE = Path(__file__).parent
BUILT = HERE / ".built"
RUNTIME = BUILT / "runtime"
"""Lambda's runtime client, which every function finds there."""

_BIN = Path(sys.executable).parent


class Function(NamedTuple):
    """A built function."""

    name: str  # of its folder, or a peer's in peers/template.yaml
    task: Path
    handler: str
    variables: Mapping[str, str]
    event: Path = Path("-")
    is_python: bool = True  # else it is of Node

    def command(self, calls: int) -> list[str]:
        """Return what loads the function and calls it so often: see driver.py."""
        return [*self._driver(), str(self.task), self.handler, str(self.event), str(calls)]

    def _driver(self) -> list[str]:
        if not self.is_python:
            return ["node", str(HERE / "driver.cjs")]
        # As -I, but PYTHONHASHSEED counts: a set has the same order in every run. -B since Lambda's
        # file system is read-only: what comes without bytecode is compiled at each start.
        return [python(), "-P", "-s", "-S", "-B", str(HERE / "driver.py"), str(RUNTIME)]


NO_FUNCTION = {
    "Python": Function("Python", Path("-"), "-", {}),
    "Node": Function("Node", Path("-"), "-", {}, is_python=False),
}
"""What there is before a function is loaded, for each language."""


STACKS = {"Stripe": "manual,stripe", "Stripe and PayPal": "manual,stripe,paypal"}
"""The gateways whose clients a function imports, in stacks that have them."""


def ours() -> list[Function]:
    """Build this API; return its functions, create first: see standin.py."""
    shutil.rmtree(BUILT, ignore_errors=True)
    install = ["uv", "pip", "install", "--quiet", "--no-config", "--python", python()]
    _run(*install, "--target", str(RUNTIME), "-r", str(HERE / "requirements.txt"))
    _compile(RUNTIME)
    found = [
        function._replace(name=folder, event=_event(folder))
        for function in _build(ROOT / "template.yaml", BUILT / "ours/functions")
        for folder in [function.handler.partition(".")[0]]
        if folder != "check_release"  # no caller waits for it
    ]
    found.sort(key=lambda function: function.name != "create_payment")
    captures = [function for function in found if function.name == "capture_payment"]
    return found + [
        function._replace(name=f"{function.name} in a stack with {name}", variables=variables)
        for function in captures
        for name, gateways in STACKS.items()
        for variables in [{**function.variables, "GATEWAYS": gateways}]
    ]


def peers() -> list[tuple[Function, Function]]:
    """Build the peers; return each function with bytecode, and as `sam build` ships it."""
    found = []
    for function in _build(HERE / "peers/template.yaml", BUILT / "peers/as-shipped"):
        call = "create_payment" if function.name.endswith("Create") else "get_payment"
        as_shipped = function._replace(event=_event(call))
        compiled = as_shipped._replace(task=BUILT / "peers" / function.name)
        shutil.copytree(function.task, compiled.task)
        _compile(compiled.task)
        found.append((compiled, as_shipped))
    return found


def size(function: Function) -> int:
    """Return the bytes of the package, zipped."""
    with tempfile.TemporaryDirectory() as folder:
        return Path(shutil.make_archive(f"{folder}/zip", "zip", function.task)).stat().st_size


def python() -> str:
    """Return an interpreter of the version that Lambda runs."""
    return interpreter("3.13") or sys.exit("there is no Python 3.13 here: Lambda runs it")


def interpreter_build() -> str:
    """Return Python, OpenSSL and C library: counts compare only where these are the same."""
    code = (
        "import sys, ssl, platform as p; print('Python ' + sys.version.split()[0],"
        " p.python_compiler(), p.python_build()[1], ssl.OPENSSL_VERSION, ' '.join(p.libc_ver()),"
        " p.machine(), sep=', ')"
    )
    return subprocess.check_output([python(), "-c", code], text=True).strip()


def _build(template: Path, target: Path) -> Iterator[Function]:
    build = ["sam", "build", "--template", str(template), "--build-dir", str(target)]
    _run(*build, "--parameter-overrides", f"Architecture={ARCHITECTURE}")
    for name, built in functions(Template(target / "template.yaml")).items():
        is_python = not (built.code / "app.js").exists()
        yield Function(name, built.code, built.handler, built.environment, is_python=is_python)


def _event(folder: str) -> Path:
    return ROOT / f"events/{folder}/default.json"


def _run(*command: str) -> None:
    """Run a tool of this environment or of Python 3.13's; show its words only where it fails."""
    path = os.pathsep.join([str(_BIN), str(Path(python()).parent), os.environ["PATH"]])
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PATH": path}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def _compile(task: Path) -> None:
    command = [python(), "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash"]
    # Some distributions ship templates that are not valid Python: they fail, the rest is compiled.
    subprocess.run([*command, str(task)], check=False)
