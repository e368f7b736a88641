"""`sam build`, run once for each processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

from tests.conftest import ROOT
from tools.build import folder_of, interpreter
from tools.functions import handlers

BIN = Path(sys.executable).parent
FUNCTIONS = {function: folder_of(function) for function in handlers()}
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the recipe's copy to one process, and the builds, which are made once, to another."""
    for item in items:
        is_recipe = "project" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("recipe" if is_recipe else "builds"))


@pytest.fixture(scope="session", params=list(MACHINES))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the build directory of `sam build`, run for each architecture."""
    made = {name: tmp_path_factory.mktemp(name) / "build" for name in MACHINES}
    for name, directory in made.items():
        sam_build(directory, name)
    return made


@pytest.fixture(scope="session")
def build(architecture: str, builds: dict[str, Path]) -> Path:
    """Return the build directory of the architecture: pytest may ask for one twice."""
    return builds[architecture]


@pytest.fixture(scope="session")
def python() -> str:
    """Return an interpreter like Lambda's."""
    runtime = yaml_parse((ROOT / "template.yaml").read_text())["Globals"]["Function"]["Runtime"]
    found = interpreter(runtime.removeprefix("python"))
    return found or pytest.skip(f"no {runtime} on this machine")


def calls_gateways(function: str) -> bool:
    code = "".join(file.read_text() for file in (ROOT / FUNCTIONS[function]).glob("*.py"))
    return "shared.wiring" in code or "shared.webhooks" in code


def largest(function: str) -> int:
    """Return how many bytes its package may have."""
    return 16_000_000 if calls_gateways(function) else 8_000_000


def sam_build(directory: Path, architecture: str) -> str:
    command = [BIN / "sam", "build", "--build-dir", directory]
    command += ["--parameter-overrides", f"Architecture={architecture}"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stderr
