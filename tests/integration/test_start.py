"""What happens while Lambda starts a function: one call, bounded in time, that cannot fail it."""

import importlib
import socket
import threading
from types import ModuleType
from typing import Any

import pytest

from shared import prime
from shared.store import payments as store_payments

APPS = ["create_payment.app", "get_payment.app"]


def start(app: str, monkeypatch: pytest.MonkeyPatch, seconds: float = 60) -> ModuleType:
    """Import the function anew, as Lambda's runtime does; its first call may take so long."""
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    monkeypatch.setattr(prime, "SECONDS", seconds)
    return importlib.reload(importlib.import_module(app))


@pytest.mark.parametrize("app", APPS)
def test_a_start_stores_nothing(
    app: str, store: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, table = store
    before = client.scan(TableName=table)["Count"]

    start(app, monkeypatch)

    assert store_payments.payments.cache_info().currsize == 1
    assert client.scan(TableName=table)["Count"] == before


@pytest.mark.parametrize(
    ("app", "operation", "answer"),
    [
        ("create_payment.app", "PutItem", "ConditionalCheckFailedException"),
        ("get_payment.app", "GetItem", "{}"),
    ],
)
def test_a_start_makes_the_functions_own_call_and_the_store_takes_it(
    app: str, operation: str, answer: str, edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def record(send: Any, headers: Any, body: bytes) -> Any:
        response = send(headers, body)
        calls.append((headers["x-amz-target"].rpartition(".")[2], response.body.decode()))
        return response

    edge(record)
    start(app, monkeypatch)

    [(called, answered)] = calls
    assert called == operation
    assert answer in answered


@pytest.mark.parametrize("app", APPS)
def test_a_start_survives_a_store_that_refuses(app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "no-such-table")

    assert start(app, monkeypatch).handler


def test_a_start_does_not_wait_for_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        monkeypatch.setenv(
            "AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{hanging.getsockname()[1]}"
        )
        start("get_payment.app", monkeypatch, seconds=0)

        [call] = [thread for thread in threading.enumerate() if thread.name == prime.THREAD]
        assert call.daemon
    call.join()  # the listener is gone, and so is what it did not answer


def test_a_start_waits_and_ends_well_within_the_ten_seconds_of_an_init() -> None:
    assert 0 < prime.SECONDS < 5


@pytest.mark.parametrize("app", APPS)
def test_elsewhere_nothing_is_called(app: str) -> None:
    importlib.reload(importlib.import_module(app))

    assert store_payments.payments.cache_info().currsize == 0
