"""`make start-api`: the real `sam local start-api`, with a store that its containers reach.

A container does not reach the loopback address of a Linux host, and nothing of this project listens
anywhere else. So the store runs in a container as well, of the image that SAM runs functions in.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection

from docker.client import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from local import LocalError, aws, guide, loopback, tokens
from local.stack import api, functions
from local.template import REGION, Template

_STORE_PORT = 8000  # in its container
# One call at a time: moto checks a write's condition in one step and writes in another.
_STORE_PROGRAM = f"""
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("0.0.0.0", {_STORE_PORT}, DomainDispatcherApplication(create_backend_app))
"""
# Docker's word for a processor → Lambda's. Functions run here on this machine's, not emulated.
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_PLATFORMS = {"x86_64": "x86_64-manylinux2014", "arm64": "aarch64-manylinux2014"}
_START_SECONDS = 30


@dataclass(frozen=True)
class _Runtime:
    """The image that SAM runs functions in, and the Python in it."""

    image: str
    python: str  # 3.13
    architecture: str


@dataclass(frozen=True)
class _Store:
    """Where a store answers: to this process, and to the functions in their network."""

    url: str
    inner_url: str


def start_api(path: Path, port: int, dynamodb_url: str | None) -> None:
    """Build the template at `path` and serve it with SAM CLI until SIGINT or SIGTERM.

    `dynamodb_url` is a store that containers reach; without one, one is made for the time being.

    Raises:
        LocalError: no Docker answers, the port is taken, no store answers, or SAM CLI fails.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    loopback.listen(port).close()
    template = Template(path)
    folder = path.parent / ".local"
    folder.mkdir(exist_ok=True)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        engine = stack.enter_context(_docker())
        runtime = _runtime(engine, template)
        network = stack.enter_context(_network(engine, f"sam-local-{port}"))
        store = (
            _Store(dynamodb_url, dynamodb_url)
            if dynamodb_url
            else _start_store(engine, network, runtime, folder / "store")
        )
        processor = ["--parameter-overrides", f"Architecture={runtime.architecture}"]
        with _sam(path, "build", *processor) as build:  # while the store starts
            if build.wait():
                raise LocalError("sam build failed")
        tables = _create_tables(template, store.url)
        variables = folder / "environment.json"
        parameters = {"AWS_ENDPOINT_URL_DYNAMODB": store.inner_url}
        variables.write_text(json.dumps({"Parameters": parameters}), encoding="utf-8")
        options = ["--port", str(port), "--env-vars", str(variables), "--skip-pull-image"]
        options += ["--docker-network", network]
        process = stack.enter_context(_sam(path, "local", "start-api", *processor, *options))
        _wait_for_port(port, process)
        _print_guide(template, f"http://{loopback.HOST}:{port}", store.url, tables)
        if process.wait():
            raise LocalError("sam local start-api failed")


@contextmanager
def _docker() -> Iterator[DockerClient]:
    try:
        engine = DockerClient.from_env()  # type: ignore[no-untyped-call]
        engine.ping()
    except DockerException:
        raise LocalError("no Docker answers: start it, or do without: make run") from None
    with closing(engine):
        try:
            yield engine
        except APIError as error:
            raise LocalError(f"Docker: {error.explanation}") from None


def _runtime(engine: DockerClient, template: Template) -> _Runtime:
    properties = next(iter(template.resources("AWS::Lambda::Function", ["Runtime"]).values()))
    python = properties["Runtime"].removeprefix("python")
    processor = engine.version()["Arch"]  # type: ignore[no-untyped-call]
    architecture = _ARCHITECTURES[processor]
    image = f"public.ecr.aws/lambda/python:{python}-{architecture}"
    try:
        engine.images.get(image)
    except ImageNotFound:
        print(f"Pulling {image} (once)", file=sys.stderr)
        try:
            engine.images.pull(image)
        except APIError as error:
            raise LocalError(f"{image} cannot be pulled: {error.explanation}") from None
    return _Runtime(image, python, architecture)


@contextmanager
def _network(engine: DockerClient, name: str) -> Iterator[str]:
    """Have a network as long as the context, and no container in it after that."""
    _remove_network(engine, name)  # what a killed process left
    engine.networks.create(name)
    try:
        yield name
    finally:
        _remove_network(engine, name)


def _remove_network(engine: DockerClient, name: str) -> None:
    with suppress(NotFound):
        network = engine.networks.get(name)
        for container in network.containers:  # the store, and what SAM CLI forgot when interrupted
            with suppress(APIError):  # it is going already
                container.remove(force=True)
        network.remove()


def _start_store(engine: DockerClient, network: str, runtime: _Runtime, packages: Path) -> _Store:
    """Start moto in a container that is named as its network is."""
    install = [_tool("uv"), "pip", "install", "--quiet", "--only-binary", ":all:"]
    install += ["--target", str(packages), "--python-version", runtime.python]
    install += ["--python-platform", _PLATFORMS[runtime.architecture]]
    install += ["--constraint", "requirements-dev.txt", "moto[dynamodb,server]"]
    if subprocess.run(install, cwd=packages.parent.parent, check=False).returncode:
        raise LocalError("the store's packages cannot be installed: see above")
    container = engine.containers.run(
        runtime.image,
        ["-c", _STORE_PROGRAM],
        entrypoint="/var/lang/bin/python3",
        environment={"PYTHONPATH": "/store"},
        volumes={str(packages): {"bind": "/store", "mode": "ro"}},
        ports={f"{_STORE_PORT}/tcp": (loopback.HOST, None)},
        name=network,
        network=network,
        auto_remove=True,
        detach=True,
    )
    container.reload()
    [published] = container.ports[f"{_STORE_PORT}/tcp"]
    url = f"http://{loopback.HOST}:{published['HostPort']}"
    return _Store(url, f"http://{network}:{_STORE_PORT}")


def _create_tables(template: Template, url: str) -> list[str]:
    """Create the tables as soon as the store answers."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return aws.create_tables(template, url)
        except LocalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def _sam(path: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run SAM CLI as long as the context. It ends its containers when it is interrupted."""
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    regions = ("AWS_REGION", "AWS_DEFAULT_REGION")
    ours = {**dict.fromkeys(keys, aws.ACCESS_KEY), **dict.fromkeys(regions, REGION)}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("AWS_PROFILE", "AWS_SESSION_TOKEN")
    }
    process = subprocess.Popen(
        [_tool("sam"), *arguments],
        cwd=path.parent,
        env={**kept, **ours, "SAM_CLI_TELEMETRY": "0"},
        start_new_session=True,  # Ctrl-C comes to it from here, once
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait()


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with suppress(ConnectionRefusedError), create_connection((loopback.HOST, port)):
            return
        time.sleep(0.2)
    raise LocalError("sam local start-api failed")


def _print_guide(template: Template, url: str, store_url: str, tables: list[str]) -> None:
    # Under SAM CLI nobody verifies a token: one of a pool that nobody else knows will do.
    users = aws.UserPool(template, aws.serve(loopback.listen(0)))
    token = users.token(tokens.DEFAULT_USER)
    events = template.path.parent / "events"
    lines = [
        f"\n{url} is up, by SAM CLI. .venv/bin/sam build brings edits in; Ctrl-C ends it all.\n",
        *(f"  {c}\n" for c in guide.calls(api(template), functions(template), events, url, token)),
        f"SAM CLI verifies no token.   DynamoDB: {store_url}",
        *(f"  {guide.scan(store_url, table)}" for table in tables),
    ]
    print("\n".join(lines), end="\n\n", flush=True)
