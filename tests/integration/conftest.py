"""A real store for the handlers: moto's server, and DynamoDB Local where one answers."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from tests.conftest import ROOT
from tests.moto import moto
from tests.reliability.proxy import FaultProxy

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

TABLE = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
DYNAMODB_LOCAL_URL = os.environ.get("DYNAMODB_LOCAL_URL")


@pytest.fixture(scope="session", params=["moto", *(["dynamodb-local"] * bool(DYNAMODB_LOCAL_URL))])
def emulator(request: pytest.FixtureRequest) -> "str | WSGIApplication":
    """Return what speaks DynamoDB: moto in this process, or DynamoDB Local's URL."""
    return moto() if request.param == "moto" else DYNAMODB_LOCAL_URL


@pytest.fixture(scope="session")
def store_url(emulator: "str | WSGIApplication") -> Iterator[str]:
    """Return the endpoint of the store, on which nothing fails."""
    with closing(FaultProxy(emulator)) as store:
        yield store.url


def new_client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@cache
def properties() -> Any:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    return template["Resources"]["PaymentsTable"]["Properties"]


@contextmanager
def new_table(store_url: str, *, stream: bool = False) -> Iterator[tuple[Any, str]]:
    """Create the table from the template's own properties; return a client and its name."""
    client = new_client("dynamodb", store_url)
    name = f"payments-{uuid.uuid4()}"
    table = {key: properties()[key] for key in TABLE}
    if stream:
        told = properties()["StreamSpecification"]
        table["StreamSpecification"] = {"StreamEnabled": True, **told}
    client.create_table(TableName=name, **table)
    yield client, name
    client.delete_table(TableName=name)


@pytest.fixture(scope="session")
def table(store_url: str) -> Iterator[tuple[Any, str]]:
    """Create the table without its stream, which no other test reads."""
    with new_table(store_url) as made:
        yield made


@pytest.fixture(autouse=True)
def store(
    function_environment: None,
    table: tuple[Any, str],
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Any, str]:
    """Point the functions at the store, as a deployment's environment does."""
    monkeypatch.setenv("TABLE_NAME", table[1])
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", store_url)
    return table
