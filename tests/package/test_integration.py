"""The integration tests run on what `sam build` makes, instead of on the source."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.package.conftest import BIN, FUNCTIONS
from tools.build import ARCHITECTURE

HOME = ROOT / ".venv/packaged"


@pytest.fixture(scope="module")
def pytest_of_lambdas_python(python: str) -> Path:
    """Return the tests' own tools in an environment with Lambda's Python, which is made once."""
    uv = [BIN / "uv", "--quiet"]
    if not HOME.exists():
        subprocess.run([*uv, "venv", "--python", python, HOME], check=True)
    sync = [*uv, "pip", "sync", "--require-hashes", ROOT / "requirements-dev.txt"]
    subprocess.run(sync, check=True, env={**os.environ, "VIRTUAL_ENV": str(HOME)})
    return HOME / "bin/pytest"


def test_the_integration_tests_pass_on_the_packages(
    builds: dict[str, Path], pytest_of_lambdas_python: Path
) -> None:
    path = " ".join([*(str(builds[ARCHITECTURE] / function) for function in FUNCTIONS), "."])
    command = [pytest_of_lambdas_python, "-q", "-n", "auto", "-o", f"pythonpath={path}"]
    # A package is for Lambda: it lacks what signs a person in on a laptop.
    laptops = "test_on_a_laptop_single_sign_on_fetches_the_keys"
    command += ["--deselect", f"tests/integration/test_dynamodb.py::{laptops}"]
    # The SDK of the first package on the path knows neither the event bus nor Lambda: test_package
    # holds what the packages of these two have of it.
    command += ["-k", "not publish_events and not republish and not check_release"]

    done = subprocess.run(
        [*command, "tests/integration"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
