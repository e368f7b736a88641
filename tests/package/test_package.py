"""What `sam build` makes, opened: for both processors, and run from its bytecode alone."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest

from tests.bus import scripted_bus
from tests.conftest import ROOT
from tests.package.conftest import FUNCTIONS, MACHINES, calls_gateways, largest, sam_build

ELF_MACHINES = {"x86_64": 62, "arm64": 183}  # e_machine: EM_X86_64, EM_AARCH64


@pytest.fixture(scope="session", params=list(FUNCTIONS))
def function(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def package(build: Path, function: str) -> Path:
    return build / function


def files(package: Path) -> Iterator[Path]:
    return (path for path in sorted(package.rglob("*")) if path.is_file())


def test_it_holds_its_own_folder_and_nothing_of_the_others(package: Path, function: str) -> None:
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"packaging"}
    assert {path.name for path in package.iterdir()} & ours == {FUNCTIONS[function], "shared"}


OTHER_SERVICES = {
    "CheckReleaseFunction": {"codedeploy", "lambda"},
    "PublishEventsFunction": {"events"},
}


def test_it_holds_no_tests_no_scripts_and_few_of_the_sdks_services(
    package: Path, function: str
) -> None:
    names = [path.relative_to(package).as_posix() for path in files(package)]

    assert not [name for name in names if name.startswith("bin/") or "/tests/" in name]
    assert not [name for name in names if name.endswith((".pyi", "py.typed", "RECORD"))]
    services = {path.name for path in (package / "botocore/data").iterdir() if path.is_dir()}
    of_the_store = {"dynamodb", "ssm"} if calls_gateways(function) else {"dynamodb"}
    assert services == OTHER_SERVICES.get(function, of_the_store)


def takes_a_body(function: str) -> bool:
    return (ROOT / FUNCTIONS[function] / "request.py").is_file()


def test_it_says_what_it_holds(package: Path, function: str) -> None:
    held = {path.parent.name.partition("-")[0] for path in package.glob("*.dist-info/METADATA")}

    pydantic = {"pydantic", "pydantic_core", "annotated_types", "typing_inspection"}
    powertools = {"aws_lambda_powertools", "jmespath", "typing_extensions"}
    boto3 = {"boto3", "botocore", "s3transfer", "urllib3", "python_dateutil", "six"}
    stripe = {"stripe", "requests", "charset_normalizer", "idna", "certifi"}
    assert held == powertools | boto3 | (pydantic if takes_a_body(function) else set()) | (
        stripe if calls_gateways(function) else set()
    )


def test_its_native_modules_are_for_the_processor_asked_for(
    package: Path, architecture: str, function: str
) -> None:
    native = [path for path in files(package) if path.suffix == ".so"]

    names = {path.name.partition(".")[0] for path in native}
    assert names == ({"_pydantic_core"} if takes_a_body(function) else set()) | (
        {"cd", "md"} if calls_gateways(function) else set()  # of charset_normalizer
    )
    for path in native:
        assert int.from_bytes(path.read_bytes()[18:20], "little") == ELF_MACHINES[architecture]
        assert f"cpython-313-{MACHINES[architecture]}" in path.name


@pytest.mark.parametrize("architecture", ["arm64"], scope="session")  # test_deploy zips the other
def test_it_is_small(package: Path, function: str, tmp_path: Path) -> None:
    zipped = Path(shutil.make_archive(str(tmp_path / "package"), "zip", package))

    assert zipped.stat().st_size <= largest(function)


def test_it_trusts_amazons_certificate_authorities_and_no_other(package: Path) -> None:
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.load_verify_locations(package / "shared/store/amazon_roots.pem")
    everybodys = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    everybodys.load_verify_locations(Path(botocore.__file__).with_name("cacert.pem"))

    assert sorted(trusted.get_ca_certs(binary_form=True)) == sorted(
        everybodys.get_ca_certs(binary_form=True)[index]
        for index, ca in enumerate(everybodys.get_ca_certs())
        if re.match("Amazon Root CA [1-4]$|Starfield Services Root ", _common_name(ca))
    )


def _common_name(ca: Any) -> str:
    return dict(pair for part in ca["subject"] for pair in part).get("commonName", "")


ENDPOINTS = """
import json, sys
from boto3.session import Session
from botocore.config import Config

class Sent(Exception):
    pass

def send(request, **_):
    raise Sent(request.url)

def client(region, **variant):
    keys = {"aws_access_key_id": "-", "aws_secret_access_key": "-"}
    return Session(region_name=region, **keys).client("dynamodb", config=Config(**variant))

found = {}
for region in sys.argv[1:]:
    for variant in ({}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}):
        try:
            made = client(region, **variant)
            made.meta.events.register("before-send.dynamodb", send)
            made.get_item(TableName="-", Key={})
        except Exception as error:
            found[f"{region} {variant}"] = repr(error)
operations = client(sys.argv[1]).meta.method_to_api_mapping
print(json.dumps([found, operations], sort_keys=True))
"""


def test_its_sdk_finds_every_endpoint_of_the_store_and_knows_every_operation(
    build: Path, python: str
) -> None:
    package = build / next(iter(FUNCTIONS))  # they hold the same SDK
    endpoints = json.loads((Path(botocore.__file__).parent / "data/endpoints.json").read_text())
    regions = [next(iter(partition["regions"])) for partition in endpoints["partitions"]]
    assert len(regions) > 5

    def run(*command: str | Path) -> str:
        return subprocess.check_output([*command, ENDPOINTS, *regions], text=True)

    path = f"import sys; sys.path.insert(0, {str(package)!r}); exec(sys.argv.pop(1))"
    assert run(python, "-I", "-S", "-c", path) == run(sys.executable, "-c")


def test_every_module_has_unchecked_bytecode_for_where_lambda_unpacks_it(package: Path) -> None:
    sources = [path for path in files(package) if path.suffix == ".py"]
    assert sources
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        content = compiled.read_bytes()
        assert int.from_bytes(content[4:8], "little") == 0b01  # PEP 552: by hash, not checked
        assert f"/var/task/{source.relative_to(package)}".encode() in content


def test_it_runs_from_its_bytecode_alone(
    package: Path, architecture: str, function: str, python: str, tmp_path: Path
) -> None:
    if architecture == "arm64" and os.uname().machine not in {"arm64", "aarch64"}:
        pytest.skip("native modules of another processor")
    copy = shutil.copytree(package, tmp_path / "task")
    for source in copy.rglob("*.py"):
        source.write_text("this is no Python")

    app = f"{FUNCTIONS[function]}.app"
    code = f"import {app} as app; print(app.handler.__name__)"
    # -I and -S: nothing of this machine but the standard library is on the path.
    command = [python, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(copy)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stdout == "handler\n", done.stderr


PUBLISH = """
import json, sys
from publish_events.app import handler

class Context:
    def get_remaining_time_in_millis(self):
        return 30_000

print(json.dumps(handler(json.load(open(sys.argv[1])), Context())))
"""


def test_the_publisher_reaches_the_bus_with_what_it_holds(build: Path, python: str) -> None:
    package = build / "PublishEventsFunction"
    path = f"import sys; sys.path.insert(0, {str(package)!r}); exec(sys.argv.pop(1))"
    with scripted_bus() as bus:
        environment = {
            **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing"),
            **dict.fromkeys(("EVENT_BUS_NAME", "POWERTOOLS_SERVICE_NAME"), "payments"),
            **dict.fromkeys(("TABLE_NAME", "ALLOWED_ORIGIN"), "-"),
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_EVENTBRIDGE": bus.url,
        }
        command = [python, "-I", "-S", "-c", path, PUBLISH]
        command.append(str(ROOT / "events/publish_events/default.json"))
        said = subprocess.check_output(command, env=environment, text=True)

        assert json.loads(said.splitlines()[-1]) == {"batchItemFailures": []}
        assert len(bus.told) == 1


def test_the_same_input_makes_the_same_bytes(builds: dict[str, Path], tmp_path: Path) -> None:
    architecture, build = next(iter(builds.items()))
    shutil.rmtree(ROOT / ".aws-sam/site")  # what builds share
    sam_build(tmp_path / "build", architecture)

    def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
        return {
            str(path.relative_to(directory)): (path.stat().st_mode, path.read_bytes())
            for name in FUNCTIONS
            for path in files(directory / name)
        }

    assert contents(tmp_path / "build") == contents(build)
