"""Whatever the network between function and store does, a client that repeats its call gets there.

A case is one call of the API, the two faults that its requests to the store meet, one each, and a
client that repeats the call for as long as it is told to, as the README says. `make test` runs each
fault twice in a row, `make reliability` every pair, a fault and none included.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import product
from typing import Any

import pytest

from tests.conftest import Client, Response
from tests.reliability.conftest import Network
from tests.reliability.proxy import Fault

REQUEST = {"amount": 117, "currency": "USD", "description": "Order 1001"}
OTHER = {**REQUEST, "amount": 1}

FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
TWICE = [(fault, fault) for fault in FAULTS]  # so that the client sees it, and repeats the call
PAIRS = [pair for pair in product(FAULTS, Fault) if pair not in TWICE]

Items = Callable[..., list[dict[str, Any]]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "faults" in metafunc.fixturenames:
        cases = [pytest.param(case, id=case[0].name) for case in TWICE] + [
            pytest.param(case, id=f"{case[0].name}-{case[1].name}", marks=pytest.mark.slow)
            for case in PAIRS
        ]
        metafunc.parametrize("faults", cases)


def until_answered(call: Callable[[], Response]) -> Response:
    """Repeat the call while the answer is a 503, and hold every answer to the contract."""
    for _ in range(20):  # two faults need three; a busy machine where silence is planned needs more
        response = call()
        if response.status != 503:
            return response
        assert response.headers["Retry-After"] == "1"
        assert response.headers["Content-Type"] == "application/problem+json"
    raise AssertionError("the fault has long passed, and there is still no answer")


def test_a_create_with_a_key_happens_once(
    alice: Client, network: Network, items: Items, faults: tuple[Fault, ...]
) -> None:
    network.plan(*faults)
    response = until_answered(lambda: alice.create(REQUEST, key="order-1"))
    network.plan()

    assert response.status == 201, response.text
    assert [item["paymentId"]["S"] for item in items(alice.user)] == [response.json["paymentId"]]
    assert alice.get(response.json["paymentId"]).text == response.text
    assert alice.create(REQUEST, key="order-1").text == response.text


def test_a_create_without_a_key_happens_at_most_once_for_each_call(
    alice: Client, network: Network, items: Items, faults: tuple[Fault, ...]
) -> None:
    network.plan(*faults)
    response = alice.create(REQUEST)
    network.plan()

    stored = items(alice.user)
    assert response.status in {201, 503}, response.text
    if response.status == 201:
        assert [item["paymentId"]["S"] for item in stored] == [response.json["paymentId"]]
        assert alice.get(response.json["paymentId"]).text == response.text
        assert "Idempotent-Replayed" not in response.headers
    assert len(stored) <= 1


def test_a_replay_is_the_first_payment(
    alice: Client, network: Network, items: Items, faults: tuple[Fault, ...]
) -> None:
    first = alice.create(REQUEST, key="order-1")
    network.plan(*faults)
    response = until_answered(lambda: alice.create(REQUEST, key="order-1"))
    network.plan()

    assert (response.status, response.text) == (201, first.text)
    assert response.headers["Idempotent-Replayed"] == "true"
    assert len(items(alice.user)) == 1


def test_a_used_key_is_a_422_and_changes_nothing(
    alice: Client, network: Network, items: Items, faults: tuple[Fault, ...]
) -> None:
    first = alice.create(REQUEST, key="order-1")
    network.plan(*faults)
    response = until_answered(lambda: alice.create(OTHER, key="order-1"))
    network.plan()

    assert response.status == 422, response.text
    assert len(items(alice.user)) == 1
    assert alice.get(first.json["paymentId"]).text == first.text


def test_a_payment_is_read_as_it_is_or_not_at_all(
    alice: Client, bob: Client, network: Network, faults: tuple[Fault, ...]
) -> None:
    payment = alice.create(REQUEST)
    missing = bob.get("pay_" + "a" * 32)
    network.plan(*faults)
    response = until_answered(lambda: alice.get(payment.json["paymentId"]))
    network.plan(*faults)
    foreign = until_answered(lambda: bob.get(payment.json["paymentId"]))

    assert (response.status, response.text) == (200, payment.text)
    assert (foreign.status, foreign.text) == (404, missing.text)


def refused(stack: ExitStack) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def never_accepted(stack: ExitStack) -> str:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):  # with its queue full, the system answers no further connection
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def not_tls(stack: ExitStack) -> str:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def hang_up() -> None:
        with suppress(OSError):
            while True:
                listener.accept()[0].close()

    threading.Thread(target=hang_up, daemon=True).start()
    stack.callback(listener.shutdown, socket.SHUT_RDWR)
    return f"https://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("where", [refused, never_accepted, not_tls])
def test_a_store_that_no_connection_reaches_is_a_503(
    alice: Client, monkeypatch: pytest.MonkeyPatch, where: Callable[[ExitStack], str]
) -> None:
    with ExitStack() as stack:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", where(stack))
        responses = alice.create(REQUEST, key="order-1"), alice.get("pay_" + "a" * 32)

    for response in responses:
        assert response.status == 503, response.text
        assert response.headers["Retry-After"] == "1"
