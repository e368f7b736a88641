"""No call takes as long as its function may: the client gets an answer, not a cut connection."""

import time
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from shared import repository
from tests.conftest import ROOT, Client
from tests.reliability.conftest import Network
from tests.reliability.proxy import Fault

CLIENT_CONFIG: Any = repository.CLIENT_CONFIG
FUNCTION_TIMEOUT = yaml_parse((ROOT / "template.yaml").read_text())["Globals"]["Function"][
    "Timeout"
]
SPARE = 1  # second, for the rest of the call


def longest_backoff(tries: int) -> int:
    """Return how long botocore's standard retry mode may sleep between so many tries."""
    return sum(2**retry for retry in range(tries - 1))


def test_every_try_of_the_store_fits_in_the_functions_timeout() -> None:
    tries = CLIENT_CONFIG.retries["total_max_attempts"]
    a_try = CLIENT_CONFIG.connect_timeout + CLIENT_CONFIG.read_timeout

    assert tries * a_try + longest_backoff(tries) + SPARE <= FUNCTION_TIMEOUT


@pytest.mark.slow
def test_a_silent_store_is_a_503_in_time(
    alice: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.plan(*[Fault.SILENCE] * 10)
    monkeypatch.setattr(repository, "CLIENT_CONFIG", CLIENT_CONFIG)
    monkeypatch.setattr("botocore.endpoint.time", time)

    start = time.monotonic()
    response = alice.create({"amount": 1, "currency": "USD"}, key="order-1")

    assert response.status == 503
    assert time.monotonic() - start < FUNCTION_TIMEOUT - SPARE
    assert network.proxy.calls == CLIENT_CONFIG.retries["total_max_attempts"]
