"""`make start-api`: the real `sam local start-api`, with a store that its containers reach.

A container does not reach the loopback address of a Linux host, and nothing of this project listens
anywhere else. So the store, AWS's DynamoDB Local, runs in a container as well.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from local import LocalError, aws, guide, loopback
from local.template import REGION, Template
from local.tokens import DEFAULT_USER
from local.users import UserPool

# Apart from .aws-sam/build, which `sam deploy` takes: this build is for Docker's processor.
BUILD = ".aws-sam/local"
VARIABLES = ".aws-sam/local.json"
STORE = "amazon/dynamodb-local"
THIS_MACHINE = "host.docker.internal"  # to Docker Desktop's containers; the machine itself lacks it
NO_DOCKER = "no Docker answers: start it, or do without: make run"


def start_api(path: Path, port: int, dynamodb_url: str | None) -> None:
    """Build the template at `path` and serve it with SAM CLI until SIGINT or SIGTERM.

    `dynamodb_url` is a store that containers reach; without one, one is made for the time being.

    Raises:
        LocalError: no Docker answers, the port is taken, no store answers, or SAM CLI fails.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    loopback.listen(port, "Choose another with PORT=").close()
    template = Template(path)
    with suppress(KeyboardInterrupt), _network(f"sam-local-{port}") as network:
        store_url = (dynamodb_url or _start_store(network)).replace(THIS_MACHINE, loopback.HOST)
        processor = _docker("version", "--format", "{{.Server.Arch}}").strip()
        processor = processor.replace("amd64", "x86_64")
        parameters = ["--parameter-overrides", f"Architecture={processor}"]
        build = ["build", "--build-dir", BUILD, *parameters]
        _sam(path, build)
        tables = _create_tables(template, store_url)
        inner_url = dynamodb_url or f"http://{network}:8000"
        variables = json.dumps({"Parameters": {"AWS_ENDPOINT_URL_DYNAMODB": inner_url}})
        (path.parent / VARIABLES).write_text(variables, encoding="utf-8")
        options = ["--template", f"{BUILD}/template.yaml", *parameters, "--env-vars", VARIABLES]
        options += ["--docker-network", network, "--skip-pull-image"]
        functions = template.resources("AWS::Lambda::Function", "Handler")
        function, declared = next(iter(functions.items()))
        event = f"events/{declared['Handler'].split('.')[0]}/default.json"
        invoke = ["local", "invoke", function, "--event", event, *options]
        lines = [
            "\nSAM CLI verifies no token; take this one for the calls of README.md:",
            f"  TOKEN={UserPool(template).token(DEFAULT_USER)}",
            "To bring edits in, and to send this or another function one of its sample events:",
            *(f"  .venv/bin/sam {' '.join(each)}" for each in (build, invoke)),
            f"DynamoDB: {store_url}",
            *(f"  {guide.scan(store_url, table)}" for table in tables),
        ]
        print("\n".join(lines), end="\n\n", flush=True)
        start = ["local", "start-api", "--port", str(port), "--warm-containers", "EAGER"]
        _sam(path, [*start, *options])


@contextmanager
def _network(name: str) -> Iterator[str]:
    """Have a Docker network as long as the context, and no container in it after that."""

    def remove() -> None:
        containers = _docker("ps", "--all", "--quiet", "--filter", f"network={name}").split()
        with suppress(LocalError):  # they are going already, or were never there
            _docker("rm", "--force", *containers)
        with suppress(LocalError):
            _docker("network", "rm", name)

    remove()  # what a killed process left
    _docker("network", "create", name)
    try:
        yield name
    finally:
        remove()  # the store, and what SAM CLI forgets when it is interrupted


def _start_store(network: str) -> str:
    """Start DynamoDB Local in a container that is named as its network is; return its URL here."""
    print(f"Starting {STORE}, which Docker pulls once", file=sys.stderr)
    place = ["--name", network, "--network", network, "--publish", f"{loopback.HOST}::8000"]
    # Shared: `sam local invoke` may come with other keys than ours.
    program = ["-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb"]
    _docker("run", "--detach", "--rm", *place, STORE, *program)
    return f"http://{_docker('port', network, '8000').split()[0]}"


def _create_tables(template: Template, url: str) -> list[str]:
    """Create the tables as soon as the store answers."""
    for _ in range(60):
        with suppress(LocalError):
            return aws.create_tables(template, url)
        time.sleep(0.5)
    return aws.create_tables(template, url)


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise LocalError(NO_DOCKER) from None
    except subprocess.CalledProcessError as error:
        why = f"docker {arguments[0]}: {error.stderr.strip()}"
        raise LocalError(NO_DOCKER if "Cannot connect to" in why else why) from None
    return done.stdout


def _sam(path: Path, arguments: list[str]) -> None:
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), aws.ACCESS_KEY)
    ours = {**keys, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "SAM_CLI_TELEMETRY": "0"}
    kept = os.environ.keys() - {"AWS_PROFILE", "AWS_SESSION_TOKEN"}
    environment = {**{name: os.environ[name] for name in kept}, **ours}
    command = [str(Path(sys.executable).with_name("sam")), *arguments]
    if subprocess.run(command, cwd=path.parent, env=environment, check=False).returncode:
        raise LocalError(f"sam {arguments[0]} failed")
