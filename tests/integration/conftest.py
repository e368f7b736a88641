"""A real store for the handlers: moto's server, and DynamoDB Local where one answers."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from local.loopback import listen, serving
from tests.conftest import ROOT
from tests.moto import moto

TABLE = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
DYNAMODB_LOCAL_URL = os.environ.get("DYNAMODB_LOCAL_URL")


@pytest.fixture(scope="session", params=["moto", *(["dynamodb-local"] * bool(DYNAMODB_LOCAL_URL))])
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the endpoint of a store that speaks DynamoDB."""
    if request.param == "moto":
        with serving(moto(), listen(0)) as url:
            yield url
        return
    yield DYNAMODB_LOCAL_URL


def new_client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@contextmanager
def new_table(store_url: str, *, stream: bool = False) -> Iterator[tuple[Any, str]]:
    """Create the table from the template's own properties; return a client and its name."""
    client = new_client("dynamodb", store_url)
    properties = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["PaymentsTable"][
        "Properties"
    ]
    name = f"payments-{uuid.uuid4()}"
    table = {key: properties[key] for key in TABLE}
    if stream:
        table["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
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
