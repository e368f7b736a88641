"""`sam package`, as `sam deploy` runs it: to an S3 that moto serves; then translated and linted."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from local.loopback import listen, serving
from local.template import Template
from tests.conftest import ROOT
from tests.moto import moto
from tests.package.conftest import BIN, FUNCTIONS

BUCKET = "uploads"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with serving(moto(), listen(0)) as address:
        yield address


def package(build: Path, s3_url: str) -> Path:
    packaged = build.parent / "packaged.yaml"
    command = [BIN / "sam", "package", "--template-file", build / "template.yaml"]
    command += ["--s3-bucket", BUCKET, "--output-template-file", packaged, "--no-progressbar"]
    environment = {
        **os.environ,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL_S3": s3_url,
        "SAM_CLI_TELEMETRY": "0",
    }
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return packaged


def test_the_packaged_template_is_uploaded_whole_and_valid(build: Path, s3_url: str) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        **{name.lower(): value for name, value in CREDENTIALS.items()},
    )
    s3.create_bucket(Bucket=BUCKET)

    packaged = package(build, s3_url)

    template = yaml_parse(packaged.read_text())
    uris = {template["Resources"][function]["Properties"]["CodeUri"] for function in FUNCTIONS}
    assert len(uris) == len(FUNCTIONS)
    for uri in uris:
        assert uri.startswith(f"s3://{BUCKET}/")
        assert s3.head_object(Bucket=BUCKET, Key=uri.rpartition("/")[2])["ContentLength"] > 100_000
    assert template["Transform"] == ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]
    assert " &id" not in packaged.read_text()  # CloudFormation knows no YAML alias
    assert Template(packaged, {"Environment": "prod"}).translated["Resources"]
    subprocess.run([BIN / "cfn-lint", packaged], check=True)


def test_the_same_code_is_not_uploaded_twice(build: Path, s3_url: str) -> None:
    assert package(build, s3_url).read_text() == package(build, s3_url).read_text()
