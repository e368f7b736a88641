"""The commands, and what they say when something is wrong: one line, and a status."""

import json
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from joserfc import jws

from local import aws, sam
from local.__main__ import main
from local.functions import Functions
from local.refusal import RefusedError
from local.stack import Function
from tests.conftest import ROOT
from tests.local.conftest import Stack


def _token(stack: Stack, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """Return the claims of what the command prints."""
    assert main(["token", "--port", str(stack.port), *options]) == 0
    [token] = capsys.readouterr().out.splitlines()
    claims: dict[str, Any] = json.loads(jws.extract_compact(token.encode()).payload)
    return claims


def test_a_token_is_alices_and_may_all_that_the_app_may(
    payments: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = _token(payments, capsys)

    assert claims["token_use"] == "access"
    assert claims["scope"].split() == ["openid", "payments/read", "payments/write"]
    assert claims["exp"] > time.time()
    assert claims["sub"] == _token(payments, capsys, "--as", "alice")["sub"]


def test_the_options_of_a_token_combine(
    payments: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = "payments/read aws.cognito.signin.user.admin"

    claims = _token(payments, capsys, "--as", "bob", "--scope", scope, "--expired")

    assert claims["scope"] == scope
    assert claims["exp"] < time.time()
    assert claims["sub"] == _token(payments, capsys, "--as", "bob")["sub"]
    assert claims["sub"] != _token(payments, capsys)["sub"]


def test_a_scope_that_only_a_services_client_offers_makes_a_token_of_that_client(
    machinery: tuple[Stack, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    stack, _ = machinery

    claims = _token(stack, capsys, "--scope", "things/manage")

    assert claims["scope"] == "things/manage"
    assert claims["sub"] == claims["client_id"]
    assert "username" not in claims


def test_scopes_of_two_clients_make_no_token(
    machinery: tuple[Stack, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    stack, _ = machinery

    assert main(["token", "--port", str(stack.port), "--scope", "things/manage openid"]) == 1

    assert "no app client offers all of these: things/manage openid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scope", "payments/none"], "no such scope: payments/none. There are: aws.cognito."),
        (["--as", "no body"], "no user can be named 'no body': "),
    ],
)
def test_a_token_that_cannot_be_had_is_explained(
    payments: Stack, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["token", "--port", str(payments.port), *options]) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(message)
    assert printed.err.count("\n") == 1


def test_a_token_needs_an_api_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        assert main(["token", "--port", str(port)]) == 1

    message = f"nothing answers on port {port}: start the API with make run PORT={port}\n"
    assert capsys.readouterr().err == message


def test_a_token_of_another_server_is_not_to_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as another:
        Thread(target=another.handle_request).start()

        assert main(["token", "--port", str(another.server_port)]) == 1

    message = f"what answers on port {another.server_port} is not make run; make start-api prints"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ([], []),
        (["AS=bob"], ["--as", "bob"]),
        (["EXPIRED=1", "SCOPE=a b", "AS=bob"], ["--scope", "a b", "--expired", "--as", "bob"]),
    ],
)
def test_make_hands_over_what_was_set(settings: list[str], options: list[str]) -> None:
    make = ["make", "--no-print-directory", "--dry-run", "--always-make", "token", *settings]
    # The shell shows what it would run with: make's own AS is no user.
    recipe = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    command = recipe[recipe.index("-m local token") :]
    shown = subprocess.run(
        ["sh", "-c", f"printf '%s\n' {command}"], capture_output=True, text=True, check=True
    )

    assert shown.stdout.splitlines() == ["-m", "local", "token", "--port", "3000", *options]


def _run(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "local", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stderr


def test_a_port_in_use_is_one_line(payments: Stack) -> None:
    port = payments.port

    assert _run("serve", "--port", str(port)) == (
        1,
        f"port {port}: Address already in use. Choose another: make run PORT=3010\n",
    )


def test_start_api_without_docker_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")

    assert _run("start-api", "--port", "0") == (
        1,
        "no Docker answers: start it, or do without: make run\n",
    )


def _start_api(
    folder: Path, patch: pytest.MonkeyPatch, processor: str = "amd64", store: str | None = None
) -> tuple[list[list[str]], list[str]]:
    """Run start-api by stand-ins; return how docker and sam were called, and whose tables made."""
    (folder / ".aws-sam").mkdir()
    (folder / "template.yaml").write_bytes((ROOT / "template.yaml").read_bytes())
    commands: list[list[str]] = []
    stores: list[str] = []
    answers = {"version": f"{processor}\n", "port": "127.0.0.1:32768\n"}

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, answers.get(command[1], ""))

    def create_tables(_: object, url: str) -> list[str]:
        stores.append(url)
        return []

    patch.setattr(subprocess, "run", run)
    patch.setattr(aws, "create_tables", create_tables)
    sam.start_api(folder / "template.yaml", 0, store)
    return commands, stores


@pytest.mark.parametrize(("docker", "lambdas"), [("amd64", "x86_64"), ("arm64", "arm64")])
def test_start_api_leaves_no_build_that_sam_deploy_would_take(
    docker: str,
    lambdas: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands, _ = _start_api(tmp_path, monkeypatch, docker)

    build, start = [command[1:] for command in commands if command[0].endswith("/sam")]
    printed = capsys.readouterr().out
    assert build[:3] == ["build", "--build-dir", ".aws-sam/local"]
    assert build[-1] == f"Architecture={lambdas}"  # Docker's processor, whatever Python's
    assert start[start.index("--template") + 1] == ".aws-sam/local/template.yaml"
    assert f"sam {' '.join(build)}\n" in printed
    options = " ".join(start[start.index("--template") :])
    sample = "CreatePaymentFunction --event events/create_payment/default.json"
    assert f"sam local invoke {sample} {options}\n" in printed
    ours = [command for command in commands if "sam-local-0" in command]
    assert ours[-1] == ["docker", "network", "rm", "sam-local-0"]


def test_start_api_finds_a_store_of_this_machine_that_containers_name_by_dockers_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://host.docker.internal:8000"

    commands, stores = _start_api(tmp_path, monkeypatch, store=url)

    assert stores == ["http://127.0.0.1:8000"]
    assert url in (tmp_path / sam.VARIABLES).read_text()
    assert not any(command[:2] == ["docker", "run"] for command in commands)


def test_a_store_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    status, error = _run(
        "serve", "--port", "0", "--dynamodb", "http://127.0.0.1:9", "--folder", str(tmp_path)
    )

    assert status == 1
    assert error.startswith("DynamoDB at http://127.0.0.1:9: Could not connect")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import nowhere", "Broken: broken.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("\n\ndef handler(:", "Broken: broken.py:3: SyntaxError: invalid syntax"),
        (
            "x = 1",
            "Broken: broken.py:1: AttributeError: module 'broken' has no attribute 'handler'",
        ),
        ("raise SystemExit(3)", "Broken: broken.py:1: SystemExit: 3"),
        ("def f(): raise ValueError('a\\nb')\nf()", "Broken: broken.py:1: ValueError: a b"),
    ],
)
def test_why_a_handler_does_not_import_is_told_by_file_and_line(
    tmp_path: Path, source: str, line: str
) -> None:
    (tmp_path / "broken.py").write_text(source)
    function = Function("Broken", "broken.handler", tmp_path, {}, timeout=1, memory=128)

    with pytest.raises(RefusedError) as raised:
        Functions([function], {}).invoke("Broken", {})

    assert str(raised.value) == line
