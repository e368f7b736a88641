"""Fixtures for every test: an environment like a function's, events like API Gateway's."""

import io
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import hypothesis
import pytest
from botocore.httpsession import URLLib3Session

from check_release import deployment, functions
from create_payment.app import handler as create_payment
from get_payment.app import handler as get_payment
from shared import bus, operations, settings, wiring
from shared.api import log
from shared.payments.cards import has_card_number
from shared.payments.ids import is_payment_id
from shared.store.dynamodb import STORE

ROOT = Path(__file__).parent.parent

# The same cases every time, whatever the machine's speed; `make test` is no place for luck.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("repeatable")

# botocore's descriptions of services are parsed once, not for each client that a test makes.
botocore.session.create_loader = cache(botocore.session.create_loader)


@pytest.fixture(autouse=True)
def function_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give every test a function's environment, and nothing of the machine's."""
    for name in os.environ:
        if name.startswith(("AWS_", "REQUESTS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    for service in ("CODEDEPLOY", "EVENTBRIDGE", "LAMBDA"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:9")
    monkeypatch.setenv("EVENT_BUS_NAME", "payments")
    monkeypatch.setenv("TABLE_NAME", "payments")
    monkeypatch.setenv("ALLOWED_ORIGIN", "*")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "payment-api")
    forget()
    yield
    forget()


def forget() -> None:
    """Let the functions read their environment anew, as after a cold start."""
    settings.settings.cache_clear()
    bus.bus.cache_clear()
    deployment.client.cache_clear()
    functions.client.cache_clear()
    wiring.operations.cache_clear()
    operations.manual_operations.cache_clear()
    STORE.reset()
    STORE.__init__()


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return where the functions' log lines go during the test; a failing test shows them."""
    stream = io.StringIO()
    handler = log.logger().registered_handler
    before = handler.setStream(stream)
    # A metric goes to stdout, which pytest would keep for itself.
    monkeypatch.setattr(log, "sys", SimpleNamespace(stdout=stream))
    yield stream
    handler.setStream(before)
    sys.stdout.write(stream.getvalue())


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Return what puts a fault, or an ear, where the functions' requests leave for the network."""

    def put(fault: Callable[..., Any]) -> None:
        send = URLLib3Session.send

        def faulty(session: URLLib3Session, request: Any) -> Any:
            is_ours = request.headers.get("User-Agent", b"").startswith(b"payment-api")
            return fault(partial(send, session), request) if is_ours else send(session, request)

        monkeypatch.setattr(URLLib3Session, "send", faulty)

    return put


class Context:
    """Lambda's word on the time left, as far as the functions ask for it."""

    def __init__(self, seconds: float = 60) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return round(self._seconds * 1000)


class Response(SimpleNamespace):
    """A function's answer, as the client sees it."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def errors(self) -> dict[str, str]:
        return {error["field"]: error["message"] for error in self.json["errors"]}


class Client:
    """Calls the handlers as API Gateway does, for one signed-in user.

    Attributes:
        seconds: how long the functions may run.
    """

    def __init__(self, user: str | None = None, scope: str = "payments/write") -> None:
        self.user = user or str(uuid.uuid4())
        self.scope = scope
        self.seconds: float = 60

    def create(
        self, body: object = None, key: str | None = None, headers: dict[str, Any] | None = None
    ) -> Response:
        event = proxy_event("create_payment", self.user)
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        event["body"] = text
        event["multiValueHeaders"].pop("Idempotency-Key")
        if key is not None:
            event["multiValueHeaders"]["idempotency-key"] = [key]
        for name, value in (headers or {}).items():
            event["multiValueHeaders"].pop("Content-Type", None)
            event["multiValueHeaders"][name] = value if isinstance(value, list) else [value]
        return call(create_payment, event, self.seconds)

    def do(
        self,
        action: str,
        payment_id: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Call a function that changes a payment, such as `capture`."""
        event = self.event(payment_id, body, headers)
        return call(import_module(f"{action}_payment.app").handler, event, self.seconds)

    def event(
        self, payment_id: str, body: object = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the event of a call that changes a payment."""
        event = proxy_event("create_payment", self.user)
        event["requestContext"]["authorizer"]["claims"]["scope"] = self.scope
        event["pathParameters"] = {"paymentId": payment_id}
        event["body"] = None if body is None else json.dumps(body)
        event["multiValueHeaders"].pop("Idempotency-Key")
        for name, value in (headers or {}).items():
            event["multiValueHeaders"][name] = [value]
        return event

    def list(self, **query: str) -> Response:
        event = proxy_event("get_payment", self.user)
        event["requestContext"]["authorizer"]["claims"]["scope"] = self.scope
        event["queryStringParameters"] = query or None
        event["multiValueQueryStringParameters"] = {key: [query[key]] for key in query} or None
        return call(import_module("list_payments.app").handler, event, self.seconds)

    def get(self, *payment_ids: str) -> Response:
        event = proxy_event("get_payment", self.user)
        event["requestContext"]["authorizer"]["claims"]["scope"] = self.scope
        event["queryStringParameters"] = {"paymentId": payment_ids[-1]} if payment_ids else None
        event["multiValueQueryStringParameters"] = (
            {"paymentId": list(payment_ids)} if payment_ids else None
        )
        return call(get_payment, event, self.seconds)


def proxy_event(function: str, user: str | None = None, name: str = "default") -> dict[str, Any]:
    """Return a sample event of the function, from `user` where one is named."""
    event: dict[str, Any] = json.loads((ROOT / f"events/{function}/{name}.json").read_text())
    if user:
        event["requestContext"]["authorizer"]["claims"]["sub"] = user
    return event


def call(handler: Callable[..., Any], event: dict[str, Any], seconds: float = 60) -> Response:
    """Send the event through JSON, as Lambda does, and return what API Gateway would send.

    Every line that the call logs is searched, in every test.
    """
    written: io.StringIO = log.logger().registered_handler.stream
    start = len(written.getvalue())
    answer = json.loads(json.dumps(handler(json.loads(json.dumps(event)), Context(seconds))))
    assert_nothing_private(written.getvalue()[start:], event)
    assert answer["statusCode"] < 400 or not has_card_number(answer["body"]), answer
    assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert answer["isBase64Encoded"] is False
    return Response(status=answer["statusCode"], headers=answer["headers"], text=answer["body"])


def assert_no_secret(lines: str) -> None:
    """Check that log lines hold no card number and no token."""
    # A caller's hash may have a card number's digits by chance, as one in thousands did.
    for line in re.sub('"user":"[0-9a-f]{16}"', "", lines).splitlines():
        assert not has_card_number(line), line
        assert not TOKEN.search(line), line


def assert_nothing_private(lines: str, event: dict[str, Any]) -> None:
    """Check that log lines hold no secret, and nothing that the event brought."""
    assert_no_secret(lines)
    lines = re.sub(r'"code":"[A-Za-z]\w*"', "", lines)  # a gateway's, which webhooks have as well
    for text in brought(event):
        assert text not in lines, lines
        assert json.dumps(text)[1:-1] not in lines, lines


TOKEN = re.compile(r"eyJ[\w-]{6}|Bearer \S")


def brought(event: dict[str, Any]) -> Iterator[str]:
    """Return what the caller sent and is, but for payment ids and texts too short to tell."""
    # Hypothesis takes short words from the code itself, which a log line may hold as well.
    shortest = 21 if hypothesis.currently_in_test_context() else 8
    body = event["body"] or ""
    fields = strings(json.loads(body)) if is_json(body) else ()
    headers = (event["multiValueHeaders"] or {}).values()
    query = (event["multiValueQueryStringParameters"] or {}).values()
    claims = (event["requestContext"].get("authorizer") or {}).get("claims") or {}
    for text in (body, *fields, *chain(*headers, *query), *claims.values()):
        if isinstance(text, str) and len(text) >= shortest and not is_payment_id(text):
            yield text


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def strings(document: object) -> Iterator[str]:
    """Return every string of the document but its objects' keys, which it has in common with us."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, (list, dict)):
        members = document.values() if isinstance(document, dict) else document
        for member in members:
            yield from strings(member)


@pytest.fixture
def alice() -> Client:
    return Client()


@pytest.fixture
def office() -> Client:
    """Return the merchant's back office."""
    return Client(scope="payments/manage")


@pytest.fixture
def bob() -> Client:
    return Client()


def make_certificate(folder: Path, name: str) -> None:
    """Write a certificate for the loopback address, NAME.pem, and NAME-and-key.pem with its key."""
    key, certificate = folder / f"{name}-key.pem", folder / f"{name}.pem"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    new += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*new, *files], capture_output=True, check=True)
    (folder / f"{name}-and-key.pem").write_text(key.read_text() + certificate.read_text())
