"""What is made of docs/openapi.json takes payments through their life. `make clients` makes it."""

import os
import subprocess

import pytest

from tests.conftest import ROOT
from tests.local.conftest import Stack

MADE = ".aws-sam/clients"
UV = ".venv/bin/uv run --quiet --no-project --python >=3.11"
NEWMAN = f"{MADE}/node_modules/.bin/newman run docs/postman/collection.json"

CLIENTS = {
    "Python": f"{UV} --with httpx==0.28.1 --with attrs==26.1.0 python tests/clients/life.py",
    "TypeScript": f"node {MADE}/life.mjs",
    "TypeScript of docs/clients.md": f"node {MADE}/page.mjs",
    "Postman's collection": f"{NEWMAN} -e docs/postman/laptop.json --env-var url={{URL}} --bail",
    "Postman's collection, without gateways": (
        f"{NEWMAN} -e docs/postman/stack.json --env-var url={{URL}} --bail"
        " --env-var token={TOKEN} --env-var manageToken={MANAGE}"
    ),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_takes_payments_through_their_life(payments: Stack, client: str) -> None:
    given = {
        "URL": f"http://127.0.0.1:{payments.port}",
        "TOKEN": payments.token(),
        "MANAGE": payments.token(scope="payments/manage"),
    }
    done = subprocess.run(
        CLIENTS[client].format_map(given).split(),
        cwd=ROOT,
        env={**os.environ, **given, "PYTHONPATH": f"{MADE}/python"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
