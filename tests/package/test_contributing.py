"""A route is added in a copy of the project, by what CONTRIBUTING.md says alone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.local.conftest import running
from tests.package.conftest import BIN, MACHINES

RECIPE = (ROOT / "CONTRIBUTING.md").read_text().split("## Add a route")[1]
NOTE = {"text": "Sent by post"}


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache"),  # of the packages, most of its time
        "SAM_CLI_TELEMETRY": "0",
    }
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def contents(project: Path) -> dict[str, bytes]:
    files = (path.relative_to(project) for path in project.rglob("*") if path.is_file())
    ours = (file for file in files if not file.parts[0].startswith(".") and file.suffix != ".pyc")
    return {str(file): (project / file).read_bytes() for file in ours}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """Follow the recipe in a copy; return it, and the files that are new or changed then."""
    copy = tmp_path_factory.mktemp("recipe") / "project"
    listed = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.stdout.splitlines():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    before = contents(copy)

    commands = "".join(re.findall(r"```sh\n(.*?)```", RECIPE, re.DOTALL)).splitlines()
    assert commands[-2:] == ["make lint", "make test"]
    assert run(copy, "sh", "-euc", "\n".join(commands[:-3])).returncode == 0
    for name, text in re.findall(r"`([\w/.]+)`:\n\n```\w+\n(.*?)```", RECIPE, re.DOTALL):
        (copy / name).write_text(text)
    [function] = re.findall(r"```yaml\n(  \w+Function:\n.*?)```", RECIPE, re.DOTALL)
    template = (copy / "template.yaml").read_text()
    after = "  FunctionLogs:\n"
    assert template.count(after) == 1
    (copy / "template.yaml").write_text(template.replace(after, f"{function}\n{after}"))
    assert run(copy, "make", commands[-3].removeprefix("make ")).returncode == 0

    return copy, {name for name, text in contents(copy).items() if before.get(name) != text}


def test_nothing_else_is_touched(project: tuple[Path, set[str]]) -> None:
    _, touched = project

    assert touched == {
        *(f"add_note/{name}" for name in ("__init__.py", "app.py", "request.py", "operation.yaml")),
        "events/add_note/default.json",
        "tests/integration/test_add_note.py",
        "template.yaml",
        "docs/openapi.json",
        "docs/postman/collection.json",
    }


def test_lint_passes(project: tuple[Path, set[str]]) -> None:
    done = run(project[0], "make", "lint")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "check", "told"),
    [
        ("import local", ["python", "-m", "tools.functions"], "add_note.more -> local"),
        (
            "import create_payment.app",
            ["python", "-m", "tools.functions"],
            "add_note.more -> create_payment.app",
        ),
        ('number: int = "1"', ["mypy"], "add_note/more.py:1: error"),
    ],
)
def test_a_part_of_lint_notices_a_mistake_in_the_new_folder(
    line: str, check: list[str], told: str, project: tuple[Path, set[str]]
) -> None:
    more = project[0] / "add_note/more.py"
    more.write_text(line)

    done = run(project[0], str(BIN / check[0]), *check[1:])
    more.unlink()

    assert done.returncode
    assert told in done.stdout


def test_the_tests_pass(project: tuple[Path, set[str]]) -> None:
    tests = ["tests/infra", "tests/unit/test_openapi.py", "tests/unit/test_functions.py"]
    tests += ["tests/integration/test_events.py", "tests/integration/test_add_note.py"]

    done = run(project[0], str(BIN / "python"), "-m", "pytest", "-q", "-n", "auto", *tests)

    assert done.returncode == 0, done.stdout


def test_the_route_answers_on_this_machine(
    project: tuple[Path, set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with running(project[0] / "template.yaml", tmp_path / "log") as stack:
        token = stack.token()
        payment = stack.call("POST", "/payment", token, {"amount": 1, "currency": "USD"}).json
        path = f"/payment/{payment['paymentId']}/note"

        answer = stack.call("POST", path, token, NOTE)
        read_only = stack.call("POST", path, stack.token(scope="payments/read"), NOTE)

        assert (answer.status, answer.json) == (200, payment)
        assert read_only.status == 403
        assert "/note" in stack.guide


def test_its_package_is_built(project: tuple[Path, set[str]]) -> None:
    machine = next(iter(MACHINES))

    done = run(
        project[0],
        *(str(BIN / "sam"), "build", "--parameter-overrides", f"Architecture={machine}"),
    )

    assert done.returncode == 0, done.stderr
    package = project[0] / ".aws-sam/build/AddNoteFunction"
    assert (package / "add_note/app.py").is_file()
    assert not (package / "add_note/operation.yaml").exists()
