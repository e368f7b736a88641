"""Run the integration tests on what `sam build` makes, instead of on the source.

    python -m tools.packaged

The tests' own tools come from an environment with Lambda's Python, made once.
"""

import os
import subprocess
import sys
from pathlib import Path

from tools.build import ARCHITECTURE, ROOT, interpreter
from tools.functions import handlers

BIN = Path(sys.executable).parent
HOME = ROOT / ".venv/packaged"


LAPTOPS_TEST = "test_on_a_laptop_single_sign_on_fetches_the_keys"


def main() -> None:
    """Build for this machine's processor; put the packages ahead of everything on the path."""
    python = interpreter("3.13")
    if python is None:
        print("skipped: no Python 3.13, on which the packages run")
        return
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0", "VIRTUAL_ENV": str(HOME)}
    if not HOME.exists():
        subprocess.run([BIN / "uv", "venv", "--quiet", "--python", python, HOME], check=True)
    sync = [str(BIN / "uv"), "pip", "sync", "--quiet", "--require-hashes"]
    sync.append(str(ROOT / "requirements-dev.txt"))
    subprocess.run(sync, check=True, env=environment)

    build = ROOT / ".aws-sam/packaged/build"
    sam = [str(BIN / "sam"), "build", "--build-dir", str(build)]
    sam += ["--parameter-overrides", f"Architecture={ARCHITECTURE}"]
    subprocess.run(sam, check=True, cwd=ROOT, env=environment, capture_output=True)

    path = " ".join([*(str(build / function) for function in handlers()), "."])
    tests = [str(HOME / "bin/pytest"), "-n", "auto", "-o", f"pythonpath={path}"]
    # A package is for Lambda: it lacks what signs a person in on a laptop.
    tests += ["--deselect", "tests/integration/test_dynamodb.py::" + LAPTOPS_TEST]
    # The SDK of the first package on the path knows neither the event bus nor Lambda: tests/package
    # holds what the packages of these two have of it.
    tests += ["-k", "not publish_events and not republish and not check_release"]
    sys.exit(subprocess.run([*tests, "tests/integration"], check=False, cwd=ROOT).returncode)


if __name__ == "__main__":
    main()
