"""No call takes as long as its function may: the client gets an answer, not a cut connection."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from shared.api import deadline
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
SHIPPED = (dynamodb.CONNECT_SECONDS, dynamodb.ANSWER_SECONDS)


def test_every_try_of_the_store_fits_in_the_functions_timeout() -> None:
    assert LONGEST_CALL + SPARE <= FUNCTION_TIMEOUT


@pytest.mark.slow
def test_a_silent_store_is_a_503_in_time(alice: Client, network: Network) -> None:
    network.plan(*[Fault.SILENCE] * 10)
    network.wait(*SHIPPED)

    start = time.monotonic()
    response = alice.create({"amount": 1, "currency": "USD"}, key="order-1")

    assert response.status == 503
    assert time.monotonic() - start < FUNCTION_TIMEOUT - SPARE
    assert network.proxy.calls == dynamodb.TRIES


@pytest.fixture
def hurried(alice: Client, network: Network) -> Iterator[Client]:
    """Return a client of functions that end soon, if no single wait for the store takes 100 ms."""
    network.wait(0.1, 0.1)
    alice.seconds = deadline.SPARE_SECONDS + 0.3
    yield alice
    for thread in threading.enumerate():
        if isinstance(thread, deadline._Worker):  # it goes on behind the answer
            thread.join()


@pytest.fixture
def drip(monkeypatch: pytest.MonkeyPatch, hurried: Client) -> Iterator[Any]:
    """Return what makes the store answer with a start, and then with a drop every 10 ms."""
    is_over = threading.Event()

    def serve(listener: socket.socket, start: bytes, drop: bytes) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(start)
                while not is_over.wait(0.01):
                    connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        yield lambda *answer: threading.Thread(target=serve, args=(listener, *answer)).start()
        is_over.set()
        listener.shutdown(socket.SHUT_RDWR)


def assert_503_in_time(client: Client) -> None:
    start = time.monotonic()
    response = client.create({"amount": 1, "currency": "USD"}, key="order-1")

    assert time.monotonic() - start < client.seconds
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "header", "100 Continue"],
)
def test_a_store_that_drips_is_a_503_in_time(
    hurried: Client, drip: Any, start: bytes, drop: bytes
) -> None:
    """No single wait is long enough to end it: the deadline of the whole call does."""
    drip(start, drop)

    assert_503_in_time(hurried)


def test_a_slow_name_look_up_is_a_503_in_time(
    hurried: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_over = threading.Event()
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *name: is_over.wait() and look_up(*name))

    assert_503_in_time(hurried)
    is_over.set()
