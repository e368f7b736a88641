"""No call takes as long as its function may: the client gets an answer, not a cut connection."""

import time

import pytest
from samcli.yamlhelper import yaml_parse

from shared.store import dynamodb
from tests.conftest import ROOT, Client
from tests.reliability.conftest import Network
from tests.reliability.proxy import Fault

FUNCTION_TIMEOUT = yaml_parse((ROOT / "template.yaml").read_text())["Globals"]["Function"][
    "Timeout"
]
SPARE = 1  # second, for the rest of the call


# As shipped: read before the fixtures shorten them.
LONGEST_CALL = (
    dynamodb.TRIES * (dynamodb.CONNECT_SECONDS + dynamodb.ANSWER_SECONDS)
    + (dynamodb.TRIES - 1) * dynamodb.LONGEST_PAUSE_SECONDS
)
SHIPPED = {name: getattr(dynamodb, name) for name in ("CONNECT_SECONDS", "ANSWER_SECONDS")}


def test_every_try_of_the_store_fits_in_the_functions_timeout() -> None:
    assert LONGEST_CALL + SPARE <= FUNCTION_TIMEOUT


@pytest.mark.slow
def test_a_silent_store_is_a_503_in_time(
    alice: Client, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.plan(*[Fault.SILENCE] * 10)
    for name, seconds in SHIPPED.items():
        monkeypatch.setattr(dynamodb, name, seconds)

    start = time.monotonic()
    response = alice.create({"amount": 1, "currency": "USD"}, key="order-1")

    assert response.status == 503
    assert time.monotonic() - start < FUNCTION_TIMEOUT - SPARE
    assert network.proxy.calls == dynamodb.TRIES
