"""A package is filled on machines that lack something: an interpreter like Lambda's, or uv."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.package.conftest import MACHINES

FUNCTION = "CreatePaymentFunction"


def fill(tmp_path: Path, runtime: str, architecture: str, python: Path, **env: str) -> str:
    """Run the build as SAM does, with a record of what was asked for; return what it said."""
    (tmp_path / "build.toml").write_text(
        f"[function_build_definitions.1]\n"
        f'functions = ["{FUNCTION}"]\nruntime = "{runtime}"\narchitecture = "{architecture}"\n'
    )
    command = [python, ROOT / "tools/build.py", FUNCTION, tmp_path / "build" / FUNCTION]
    done = subprocess.run(
        command, env={**os.environ, **env}, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_without_an_interpreter_like_lambdas_it_says_what_a_cold_start_will_cost(
    tmp_path: Path,
) -> None:
    other = "3.12" if sys.version_info[:2] == (3, 13) else "3.13"
    nowhere = {"PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path)}

    said = fill(tmp_path, f"python{other}", "x86_64", Path(sys.executable), **nowhere)

    assert f"WARNING: no Python {other} found, so the package ships no bytecode" in said
    assert f"Put python{other} on PATH and build again" in said
    package = tmp_path / "build" / FUNCTION
    assert (package / "create_payment/app.py").exists()
    assert not list(package.rglob("*.pyc"))


def test_it_does_not_guess_the_processor(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "tools/build.py", FUNCTION, tmp_path / "build" / FUNCTION]

    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 1
    assert "does not tell CreatePaymentFunction's runtime and architecture" in done.stderr


@pytest.fixture(scope="module")
def python_without_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=True, symlinks=True)
    return home / "bin/python"


def test_without_uv_pip_fills_it_with_the_same(
    build: Path, architecture: str, python_without_uv: Path, tmp_path: Path
) -> None:
    # No uv is found; nor, perhaps, an interpreter like Lambda's, so that bytecode is left out here.
    path = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not shutil.which("uv", path=folder)
    )

    said = fill(tmp_path, "python3.13", architecture, python_without_uv, PATH=path)

    def sources(package: Path) -> dict[str, bytes]:
        return {
            str(file.relative_to(package)): file.read_bytes()
            for file in package.rglob("*")
            if file.is_file() and file.suffix != ".pyc"
        }

    assert f"on {MACHINES[architecture]}" in said
    assert sources(tmp_path / "build" / FUNCTION) == sources(build / FUNCTION)
