"""A gateway's keys: read from SSM, kept for a while, never guessed."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local.loopback import listen, serving
from shared.errors import GatewayKeysRefused, GatewayUnavailable
from shared.gateways import keys as module
from shared.gateways.keys import keys
from tests.moto import moto

NAME = "/payment-api/gateways/stripe"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(moto(), listen(0)) as address:
        yield address


@pytest.fixture
def ssm(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
    module._parameters.cache_clear()
    client = boto3.client("ssm")
    yield client
    client.delete_parameters(Names=[NAME])
    module._parameters.cache_clear()


def put(ssm: Any, value: object) -> None:
    text = json.dumps(value)
    ssm.put_parameter(Name=NAME, Value=text, Type="SecureString", Overwrite=True)


def test_they_are_read_once_in_a_while_and_again_where_it_is_asked_for(ssm: Any) -> None:
    put(ssm, {"secretKey": "old"})
    assert keys("stripe") == {"secretKey": "old"}

    put(ssm, {"secretKey": "new"})

    assert keys("stripe") == {"secretKey": "old"}
    assert keys("stripe", fresh=True) == {"secretKey": "new"}
    assert keys("stripe") == {"secretKey": "new"}


@pytest.mark.parametrize("value", [["a list"], "text", None])
def test_what_is_no_json_object_is_no_keys(ssm: Any, value: object) -> None:
    put(ssm, value)

    with pytest.raises(GatewayKeysRefused):
        keys("stripe")


def test_a_silent_ssm_is_not_taken_for_missing_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    module._parameters.cache_clear()

    with pytest.raises(GatewayUnavailable) as caught:
        keys("stripe")

    assert not isinstance(caught.value, GatewayKeysRefused)
    module._parameters.cache_clear()


def test_missing_keys_and_a_text_that_is_no_json_are_told_from_a_silent_gateway(ssm: Any) -> None:
    with pytest.raises(GatewayKeysRefused):
        keys("stripe")
    ssm.put_parameter(Name=NAME, Value="{", Type="SecureString")

    with pytest.raises(GatewayKeysRefused):
        keys("stripe", fresh=True)
