"""`sam package`, as `sam deploy` runs it: to an S3 that moto serves; then translated and linted."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from local.loopback import listen, serving
from local.template import Template
from tests.conftest import ROOT
from tests.moto import moto
from tests.package.conftest import BIN, FUNCTIONS, largest

BUCKET = "uploads"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", ENVIRONMENT["AWS_DEFAULT_REGION"])


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with serving(moto(), listen(0)) as url:
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name=ENVIRONMENT["AWS_DEFAULT_REGION"],
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture(scope="module")
def packaged(builds: dict[str, Path], s3: Any) -> Path:
    return package(builds, s3, "packaged.yaml")


def package(builds: dict[str, Path], s3: Any, name: str) -> Path:
    """Package one processor's build: nothing here depends on which."""
    build = next(iter(builds.values()))
    packaged = build.parent / name
    command = [BIN / "sam", "package", "--template-file", build / "template.yaml"]
    command += ["--s3-bucket", BUCKET, "--output-template-file", packaged, "--no-progressbar"]
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "AWS_ENDPOINT_URL_S3": s3.meta.endpoint_url,
        "SAM_CLI_TELEMETRY": "0",
    }
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return packaged


def test_the_packaged_template_is_uploaded_whole_and_valid(packaged: Path, s3: Any) -> None:
    template = yaml_parse(packaged.read_text())
    resources = template["Resources"]
    uris = {function: resources[function]["Properties"]["CodeUri"] for function in FUNCTIONS}
    assert len(set(uris.values())) == len(FUNCTIONS)
    for function, uri in uris.items():
        assert uri.startswith(f"s3://{BUCKET}/")
        uploaded = s3.head_object(Bucket=BUCKET, Key=uri.rpartition("/")[2])
        assert 100_000 < uploaded["ContentLength"] <= largest(function)
    assert template["Transform"] == ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]
    assert " &id" not in packaged.read_text()  # CloudFormation knows no YAML alias
    assert Template(packaged, {"Environment": "prod"}).translated["Resources"]
    subprocess.run([BIN / "cfn-lint", packaged], check=True)


def test_the_same_code_is_not_uploaded_twice(
    packaged: Path, builds: dict[str, Path], s3: Any
) -> None:
    assert package(builds, s3, "again.yaml").read_text() == packaged.read_text()
