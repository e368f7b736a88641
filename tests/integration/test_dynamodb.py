"""How the functions speak to DynamoDB: where they find it, whom they trust, how they connect."""

import hashlib
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

import botocore.httpsession
import pytest
from botocore.credentials import SSOProvider
from botocore.exceptions import EndpointConnectionError

from shared.store import dynamodb
from tests.conftest import Client, forget, make_certificate

MISSING = "pay_" + "a" * 32


class Listener(ThreadingHTTPServer):
    """Answers every request with an empty document, and keeps what came."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0
        self.hangs_up = False
        self.is_mute = False
        self.answer = (200, b"{}", str(crc32(b"{}")))
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

    def do_GET(self) -> None:
        """Be single sign-on, which hands out keys."""
        self.server.requests.append(({k.lower(): v for k, v in self.headers.items()}, b""))
        keys = {"accessKeyId": "fetched", "secretAccessKey": "-", "sessionToken": "-"}
        answer = json.dumps({"roleCredentials": {**keys, "expiration": 4_000_000_000_000}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
        if self.server.is_mute:
            self.close_connection = True
            return
        status, answer, checksum = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("x-amz-crc32", checksum)
        self.end_headers()
        self.wfile.write(answer)
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


# --- Where ---


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "https://dynamodb.eu-central-1.amazonaws.com/"),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, "https://dynamodb.cn-north-1.amazonaws.com.cn/"),
        (
            {"AWS_DEFAULT_REGION": "us-east-1", "AWS_USE_FIPS_ENDPOINT": "true"},
            "https://dynamodb-fips.us-east-1.amazonaws.com/",
        ),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://dynamodb.eu-central-1.api.aws/"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9"}, "http://127.0.0.1:9/"),
    ],
)
def test_the_store_is_where_the_sdk_finds_it(
    alice: Client,
    edge: Any,
    environment: dict[str, str],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = set()

    def listen(_: Any, request: Any) -> None:
        asked.add(request.url)
        raise EndpointConnectionError(endpoint_url=request.url)

    edge(listen)
    # As the template declares it, for `sam local` to fill.
    for name, value in {"AWS_ENDPOINT_URL_DYNAMODB": "", **environment}.items():
        monkeypatch.setenv(name, value)

    assert alice.get(MISSING).status == 503
    assert asked == {url}


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes this a laptop whose keys come from a profile."""

    def configure(profile: str) -> None:
        (tmp_path / "config").write_text(f"[profile dev]\nregion=eu-west-1\n{profile}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "dev")

    return configure


def test_on_a_laptop_a_profile_has_the_keys(alice: Client, lead_to: Any, laptop: Any) -> None:
    laptop("aws_access_key_id=laptop\naws_secret_access_key=-\n")
    with listening() as listener:
        lead_to(listener)
        assert alice.get(MISSING).status == 404

    [(headers, _)] = listener.requests
    assert "Credential=laptop/" in headers["authorization"]
    assert "/eu-west-1/dynamodb/" in headers["authorization"]


def test_on_a_laptop_single_sign_on_fetches_the_keys(
    alice: Client, lead_to: Any, laptop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://example.awsapps.com/start"
    laptop(f"sso_start_url={url}\nsso_region=eu-west-1\nsso_account_id=1\nsso_role_name=dev\n")
    token = {"startUrl": url, "accessToken": "a-token", "expiresAt": "2999-01-01T00:00:00Z"}
    (tmp_path / f"{hashlib.sha1(url.encode()).hexdigest()}.json").write_text(json.dumps(token))
    monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path))
    with listening() as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", f"http://127.0.0.1:{listener.server_port}")
        lead_to(listener)
        assert alice.get(MISSING).status == 404

    [(fetch, _), (headers, _)] = listener.requests
    assert fetch["x-amz-sso_bearer_token"] == "a-token"
    assert "Credential=fetched/" in headers["authorization"]


# --- Whom to trust ---


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate for the loopback address, and another one."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "other"):
        make_certificate(folder, name)
    return folder


@pytest.fixture
def tls(certificates: Path, lead_to: Any) -> Iterator[Listener]:
    with listening(certificates / "server-and-key.pem") as listener:
        lead_to(listener, "https")
        yield listener


@pytest.fixture
def trust(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what puts a certificate in the place of Amazon's authorities, or of botocore's."""

    def put(amazons: str = "other", botocores: str = "other", configured: str = "") -> None:
        monkeypatch.setattr(dynamodb.STORE, "_roots", str(certificates / f"{amazons}.pem"))
        bundle = str(certificates / f"{botocores}.pem")
        monkeypatch.setattr(botocore.httpsession, "where", lambda: bundle)
        if configured:
            monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates / f"{configured}.pem"))

    return put


def test_amazons_authorities_are_enough(
    alice: Client, tls: Listener, trust: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trust(amazons="server")

    assert alice.get(MISSING).status == 404
    assert not warnings(caplog)


def test_other_authorities_are_believed_with_one_warning(
    alice: Client, tls: Listener, trust: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trust(botocores="server")

    assert [alice.get(MISSING).status for _ in range(3)] == [404] * 3
    [warning] = warnings(caplog)
    assert f"https://127.0.0.1:{tls.server_port}" in warning
    assert "certificate verify failed" in warning


def test_nobody_else_is_believed(alice: Client, tls: Listener, trust: Any) -> None:
    trust()

    assert [alice.get(MISSING).status for _ in range(2)] == [503] * 2
    assert not tls.requests


def test_a_configured_authority_takes_the_place_of_all(
    alice: Client, tls: Listener, trust: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trust(configured="server")
    assert alice.get(MISSING).status == 404

    forget()
    trust(amazons="server", botocores="server", configured="other")
    assert alice.get(MISSING).status == 503
    assert not warnings(caplog)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


def test_a_port_that_speaks_no_tls_is_a_503_in_time(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        forget()
        assert alice.get(MISSING).status == 503


# --- Connections ---


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
    """As after a pause, and after a restore from a snapshot."""
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


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"{}", "1"),
        (200, b"no JSON", str(crc32(b"no JSON"))),
        (503, b"<html>", "1"),
    ],
)
def test_a_connection_whose_answer_was_bad_is_let_go(
    alice: Client, lead_to: Any, answer: tuple[int, bytes, str]
) -> None:
    with listening() as listener:
        lead_to(listener)
        good, listener.answer = listener.answer, answer
        assert alice.get(MISSING).status == 503
        listener.answer = good
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
