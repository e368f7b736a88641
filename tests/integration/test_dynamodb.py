"""How the functions speak to DynamoDB: signed, over few connections, and to nobody else."""

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shared.store import dynamodb
from tests.conftest import Client, forget

MISSING = "pay_" + "a" * 32


class Listener(ThreadingHTTPServer):
    """Answers every request with an empty document, and keeps what came."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0
        self.hangs_up = False
        self.is_mute = False
        self.ended = threading.Semaphore(0)
        super().__init__(("127.0.0.1", 0), Handler)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.ended.release()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
        if self.server.is_mute:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("x-amz-crc32", str(crc32(b"{}")))
        self.end_headers()
        self.wfile.write(b"{}")
        self.close_connection = self.server.hangs_up

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(trusting: Path | None = None) -> Iterator[Listener]:
    with Listener() as listener:
        if trusting:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(trusting)
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, args=[0.01])
        thread.start()
        yield listener
        forget()
        listener.shutdown()
        thread.join()


@pytest.fixture
def lead_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def lead(listener: Listener, scheme: str = "http") -> None:
        url = f"{scheme}://127.0.0.1:{listener.server_port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        forget()

    return lead


@pytest.mark.parametrize("token", ["a/session+token==", None])
def test_a_request_is_signed_as_botocore_would_sign_it(
    alice: Client, lead_to: Any, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    else:
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    with listening() as listener:
        lead_to(listener)
        alice.create({"amount": 1, "currency": "USD", "description": "Ünïcödé ☃ 𝄞"}, key="order-1")
        alice.get(MISSING)

    assert len(listener.requests) == 2
    for headers, body in listener.requests:
        signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
        assert set(signed.split(";")) >= {"host", "x-amz-date", "x-amz-target"}
        assert headers.get("x-amz-security-token") == token
        assert headers["content-type"] == "application/x-amz-json-1.0"
        assert headers["user-agent"] == "payment-api"
        request = AWSRequest(
            "POST",
            f"http://{headers['host']}/",
            {name: headers[name] for name in signed.split(";")},
            body,
        )
        sent = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        monkeypatch.setattr(auth, "get_current_datetime", partial(lambda sent: sent, sent))
        auth.SigV4Auth(
            Credentials("testing", "testing", token), "dynamodb", "eu-central-1"
        ).add_auth(request)
        assert request.headers["Authorization"] == headers["authorization"]


def test_calls_share_a_connection(alice: Client, lead_to: Any) -> None:
    with listening() as listener:
        lead_to(listener)
        start = perf_counter()
        for _ in range(5):
            assert alice.get(MISSING).status == 404

    assert listener.connections == 1
    assert perf_counter() - start < 3  # none of them waited for the connection to say something


def test_a_connection_that_was_closed_meanwhile_costs_no_try(
    alice: Client, lead_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "TRIES", 1)
    with listening() as listener:
        listener.hangs_up = True
        lead_to(listener)
        for _ in range(3):
            assert alice.get(MISSING).status == 404
            assert listener.ended.acquire(timeout=10)

    assert listener.connections == 3


def test_a_connection_that_ends_without_an_answer_is_let_go(alice: Client, lead_to: Any) -> None:
    with listening() as listener:
        lead_to(listener)
        listener.is_mute = True
        assert alice.get(MISSING).status == 503
        listener.is_mute = False
        assert alice.get(MISSING).status == 404

    assert listener.connections == dynamodb.TRIES + 1


def test_calls_at_once_never_share_a_connection(lead_to: Any) -> None:
    with listening() as listener:
        lead_to(listener)
        alice, start, statuses = Client(), threading.Barrier(8), []

        def get() -> None:
            start.wait()
            statuses.extend(alice.get(MISSING).status for _ in range(5))

        threads = [threading.Thread(target=get) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [404] * 40
    bodies = [json.loads(body) for _, body in listener.requests]
    assert bodies == [bodies[0]] * 40


def test_nobody_but_amazons_authorities_is_believed(
    alice: Client, lead_to: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "certificate.pem"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    new += [*named, "-keyout", tmp_path / "key.pem", "-out", certificate]
    subprocess.run(new, capture_output=True, check=True)
    both = tmp_path / "both.pem"
    both.write_text((tmp_path / "key.pem").read_text() + certificate.read_text())
    with listening(both) as listener:
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        lead_to(listener, "https")
        assert alice.get(MISSING).status == 503
        assert not listener.requests

        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        lead_to(listener, "https")
        assert alice.get(MISSING).status == 404

        monkeypatch.delenv("AWS_CA_BUNDLE")
        monkeypatch.setattr(dynamodb, "AMAZON_ROOTS", certificate)
        lead_to(listener, "https")
        assert alice.get(MISSING).status == 404


def test_a_port_that_speaks_no_tls_is_a_503_in_time(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        forget()
        assert alice.get(MISSING).status == 503
