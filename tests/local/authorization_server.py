"""An authorization server on a loopback port, which holds a client to what Cognito holds it to."""

import base64
import hashlib
import json
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


class Refusal(Exception):
    """An error of RFC 6749, section 5.2."""


class AuthorizationServer:
    """Its people sign in at once, unless `denies` says which error they come back with."""

    scopes = frozenset({"payments/read", "payments/write", "payments/manage"})
    url: str

    def __init__(self, people: str, services: dict[str, str], callback: str) -> None:
        """Serve the client of people, and those of services: secrets by id."""
        self.people = people
        self.services = services
        self.callback = callback
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self.expires_in = 3600
        self.denies: dict[str, str] = {}
        self.forgets_state = False
        self.rotates = False
        self.knows_services = True
        self.broken: tuple[int, bytes] | None = None
        self.log: list[str] = []  # what was asked for: `authorize`, and the grant types
        self.served: list[str] = []  # the clients of services that got a token
        self.prompts: list[str] = []
        self.refresh_tokens: set[str] = set()
        self.seen: Queue[str] = Queue()  # the pages that browsers have ended at
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser is sent."""
        assert query["response_type"] == "code"
        assert query["client_id"] == self.people
        assert query["redirect_uri"] == self.callback
        assert query["code_challenge_method"] == "S256"
        assert set(query["scope"].split()) <= self.scopes
        self.log.append("authorize")
        self.prompts.append(query.get("prompt", ""))
        answer = dict(self.denies)
        if not answer:
            answer["code"] = secrets.token_urlsafe()
            self._codes[answer["code"]] = query
        if not self.forgets_state:
            answer["state"] = query["state"]
        return f"{self.callback}?{urlencode(answer)}"

    def token(self, form: dict[str, str], authorization: str | None) -> dict[str, object]:
        """Return the answer to a token request."""
        grant = form.get("grant_type", "")
        self.log.append(grant)
        if grant == "client_credentials":
            basic = (authorization or "").removeprefix("Basic ")
            client, _, secret = base64.b64decode(basic).decode().partition(":")
            if self.services.get(client) != secret or not self.knows_services:
                raise Refusal("invalid_client")
            if not set(form["scope"].split()) <= self.scopes:
                raise Refusal("invalid_scope")
            self.served.append(client)
            return self._tokens("service", refreshes=False)
        if form.get("client_id") != self.people or authorization is not None:
            raise Refusal("invalid_client")
        if grant == "authorization_code":
            asked = self._codes.pop(form["code"], None)  # good for one exchange
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if (
                asked is None
                or not 43 <= len(form["code_verifier"]) <= 128
                or not secrets.compare_digest(challenge, asked["code_challenge"])
                or form["redirect_uri"] != asked["redirect_uri"]
            ):
                raise Refusal("invalid_grant")
            return self._tokens("person", refreshes=True)
        if grant == "refresh_token":
            if form["refresh_token"] not in self.refresh_tokens:
                raise Refusal("invalid_grant")
            if self.rotates:
                self.refresh_tokens.discard(form["refresh_token"])
            return self._tokens("refreshed", refreshes=self.rotates)
        raise Refusal("unsupported_grant_type")

    def _tokens(self, name: str, *, refreshes: bool) -> dict[str, object]:
        answer: dict[str, object] = {
            "access_token": f"{name}-{len(self.log)}",
            "expires_in": self.expires_in,
            "token_type": "Bearer",
        }
        if refreshes:
            answer["refresh_token"] = secrets.token_urlsafe()
            self.refresh_tokens.add(str(answer["refresh_token"]))
        return answer


@contextmanager
def serve(server: AuthorizationServer, certificate: Path | None = None) -> Iterator[None]:
    """Serve the authorization server on a free port; over TLS with a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            assert url.path == "/oauth2/authorize"
            self._answer(302, b"", server.authorize(_single(url.query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path == "/seen":
                server.seen.put(body)
                self._answer(204, b"")
                return
            assert self.path == "/oauth2/token"
            if server.broken is not None:
                self._answer(*server.broken, "http://127.0.0.1:9/elsewhere")
                return
            try:
                answer = server.token(_single(body), self.headers["Authorization"])
                self._answer(200, json.dumps(answer).encode())
            except Refusal as refusal:
                self._answer(400, json.dumps({"error": str(refusal)}).encode())

        def _answer(self, status: int, body: bytes, location: str | None = None) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        http.socket = context.wrap_socket(http.socket, server_side=True)
        server.url = server.url.replace("http", "https")
    Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield
    finally:
        http.shutdown()
        http.server_close()


def _single(query: str) -> dict[str, str]:
    """Return parameters that are each given once."""
    return {name: value for name, [value] in parse_qs(query, strict_parsing=True).items()}
