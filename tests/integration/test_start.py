"""What happens while Lambda starts a function: one call, bounded in time, that cannot fail it.

A function has its keys from its environment or, with SnapStart, from an endpoint (AWS SDKs and
Tools Reference Guide, "Container credential provider").
"""

import importlib
import json
import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest
from botocore.utils import ContainerMetadataFetcher

from shared import prime
from shared.store.dynamodb import STORE
from tests.conftest import Client

APPS = ["create_payment.app", "get_payment.app", "list_payments.app", "capture_payment.app"]


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
    before = client.scan(TableName=table, Select="COUNT")["Count"]

    start(app, monkeypatch)

    assert client.scan(TableName=table, Select="COUNT")["Count"] == before


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

    def record(send: Any, request: Any) -> Any:
        response = send(request)
        target = request.headers["X-Amz-Target"].decode()
        calls.append((target.rpartition(".")[2], response.text))
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
def test_elsewhere_nothing_is_called(app: str, edge: Any) -> None:
    calls: list[Any] = []
    edge(lambda _, request: calls.append(request))

    importlib.reload(importlib.import_module(app))

    assert not calls


# --- Keys from the endpoint ---


class KeyServer(ThreadingHTTPServer):
    """Hands out keys that are numbered and valid for some minutes; with none left, it fails."""

    def __init__(self) -> None:
        self.minutes = [360]
        self.fetches: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        super().__init__(("127.0.0.1", 0), KeyHandler)


class KeyHandler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.fetches.append(self.headers["Authorization"])
        assert self.server.may_answer.wait(10)
        minutes = self.server.minutes
        self.send_response(200 if minutes else 500)
        self.end_headers()
        if minutes:
            expiration = datetime.now(timezone.utc) + timedelta(minutes=minutes.pop(0))
            keys = {
                "AccessKeyId": f"KEY{len(self.server.fetches)}",
                "SecretAccessKey": "-",
                "Token": f"token-{len(self.server.fetches)}",
                "Expiration": expiration.isoformat(),
            }
            self.wfile.write(json.dumps(keys).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def key_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    """Give the functions their keys as Lambda does with SnapStart."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a-token")
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    with KeyServer() as server:
        url = f"http://127.0.0.1:{server.server_port}/credentials"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def signed_by(edge: Any) -> list[tuple[str, str]]:
    """Return the key and token of each request to the store."""
    found = []

    def listen(send: Any, request: Any) -> Any:
        key = request.headers["Authorization"].decode().partition("Credential=")[2].split("/")[0]
        found.append((key, request.headers["X-Amz-Security-Token"].decode()))
        return send(request)

    edge(listen)
    return found


def get(alice: Client) -> int:
    return alice.get("pay_" + "a" * 32).status


@pytest.mark.parametrize("app", APPS)
def test_a_start_without_keys_in_the_environment_fetches_them_once(
    app: str,
    alice: Client,
    key_server: KeyServer,
    signed_by: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start(app, monkeypatch)

    assert get(alice) == 404
    assert signed_by == [("KEY1", "token-1")] * 2
    assert key_server.fetches == ["a-token"]


def test_keys_are_renewed_before_they_expire(
    alice: Client, key_server: KeyServer, signed_by: list[tuple[str, str]]
) -> None:
    key_server.minutes = [5, 360]

    assert [get(alice), get(alice)] == [404, 404]
    assert signed_by == [("KEY2", "token-2")] * 2


@pytest.mark.parametrize("minutes", [[], [5], [5, -1, -1]], ids=["none", "no new ones", "expired"])
def test_without_keys_a_call_is_a_503_until_there_are_some(
    alice: Client, key_server: KeyServer, minutes: list[int]
) -> None:
    key_server.minutes = minutes
    assert get(alice) == 503

    key_server.minutes = [360]
    assert get(alice) == 404


def test_a_slow_start_and_the_first_call_share_one_client(
    alice: Client, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_lock = threading.Semaphore(0)
    lock = STORE._making

    class Turnstile:
        def __enter__(self) -> None:
            at_the_lock.release()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    monkeypatch.setattr(STORE, "_making", Turnstile())
    key_server.may_answer.clear()
    start("get_payment.app", monkeypatch, seconds=0)
    statuses: list[int] = []
    first_call = threading.Thread(target=lambda: statuses.append(get(alice)))
    first_call.start()
    for _ in range(2):
        assert at_the_lock.acquire(timeout=10)
    key_server.may_answer.set()
    first_call.join()

    assert statuses == [404]
    assert key_server.fetches == ["a-token"]
