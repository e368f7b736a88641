"""An access token for a deployed stack: a person's by the browser, a service's by its secret.

A person signs in at Cognito's managed login: authorization code with PKCE (RFC 7636) as a native
app's (RFC 8252), the redirect caught on the registered localhost port or pasted in the terminal.
The token is cached, readable by its owner alone, and refreshed without asking. A service's secret
is read from Cognito with the caller's AWS credentials whenever it is needed, and never kept.
"""

import asyncio
import base64
import errno
import fcntl
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hmac import compare_digest
from html import escape
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from local import LocalError

SCOPE = "payments/read payments/write"
LEEWAY = 60  # seconds that a token which is handed out is still good for, at the least

PAGE = """\
HTTP/1.1 {status}\r
Content-Type: text/html; charset=utf-8\r
Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r
Cache-Control: no-store\r
Referrer-Policy: no-referrer\r
Connection: close\r
\r
<!doctype html><html lang="en"><meta name="color-scheme" content="light dark">
<title>{text}</title><body style="font: 1.2em system-ui; margin: 20vh auto; max-width: 30em">
<h1>{text}</h1><p>You can close this window and go back to the terminal.</p>
"""


def token(
    stack_name: str,
    *,
    time_limit: float,
    service: bool = False,
    scope: str = "",
    fresh: bool = False,
) -> str:
    """Return an access token that the stack's API takes.

    Args:
        stack_name: the CloudFormation stack, in the account and region of the AWS credentials.
        time_limit: seconds that a person has for signing in.
        service: whether it is for the services' client rather than for a person.
        scope: scopes, separated by spaces; by default all that the API has.
        fresh: whether to sign in anew, as somebody else perhaps, whatever is cached.

    Raises:
        LocalError: there is no such stack, no way to it, or nobody who signs in.
    """
    stack = Stack(stack_name)
    scope = " ".join(sorted(set(scope.split()))) or SCOPE
    client_id = stack.output("ServicesClientId" if service else "PeopleClientId")
    client = Client(stack.output("LoginURL"), client_id, scope)
    with Cache(client).held() as cache:
        cached = None if fresh else cache.read()
        if cached and cached.expires_at > time.time() + LEEWAY:
            return cached.access_token
        if service:
            grant = client.credentials_grant(stack.client_secret(client_id))
        else:
            grant = (cached and client.refresh(cached)) or _sign_in(
                client, stack.output("CallbackURL"), fresh=fresh, time_limit=time_limit
            )
        cache.write(grant)
    return grant.access_token


# --- The stack: what CloudFormation and Cognito tell the holder of AWS credentials ---


class Stack:
    """A deployed stack."""

    def __init__(self, name: str) -> None:
        self._name = name
        with _aws_errors():
            described = _session().client("cloudformation").describe_stacks(StackName=name)
        self._outputs = {
            output["OutputKey"]: output["OutputValue"]
            for output in described["Stacks"][0].get("Outputs", [])
        }

    def output(self, key: str) -> str:
        """Return an output's value."""
        if key not in self._outputs:
            raise LocalError(
                f"the stack {self._name} has no output {key}: deploy this template to it first"
            )
        return self._outputs[key]

    def client_secret(self, client_id: str) -> str:
        """Return an app client's secret."""
        with _aws_errors():
            answer = (
                _session()
                .client("cognito-idp")
                .describe_user_pool_client(UserPoolId=self.output("UserPoolId"), ClientId=client_id)
            )
        secret: str = answer["UserPoolClient"]["ClientSecret"]
        return secret


def _session() -> boto3.Session:
    """Return a session in AWS_REGION, which the AWS CLI reads and boto3 does not."""
    return boto3.Session(region_name=os.environ.get("AWS_REGION"))


@contextmanager
def _aws_errors() -> Iterator[None]:
    try:
        yield
    except NoCredentialsError:
        raise LocalError(
            "no AWS credentials: aws configure, aws sso login or AWS_PROFILE"
        ) from None
    except NoRegionError:
        raise LocalError(
            "no AWS region: set AWS_REGION, or AWS_PROFILE to one that has it"
        ) from None
    except ClientError as error:
        reason = error.response["Error"]["Message"]
        raise LocalError(f"AWS in {_session().region_name}: {reason}") from None
    except BotoCoreError as error:
        raise LocalError(f"AWS: {error}") from None


# --- OAuth 2.0 ---


@dataclass(frozen=True)
class Grant:
    """A token as it is cached; `expires_at` in seconds since the epoch."""

    access_token: str
    expires_at: float
    refresh_token: str | None = None


class Refused(LocalError):
    """The authorization server says no; `code` is OAuth's word for why (RFC 6749, 5.2)."""

    def __init__(self, url: str, code: str) -> None:
        self.code = code
        super().__init__(f"{url} refused: {code}")


# Nothing but HTTP, and no redirects: nobody else is to see a secret.
_HTTP = OpenerDirector()
for _handler in (ProxyHandler, HTTPHandler, HTTPSHandler, UnknownHandler):
    _HTTP.add_handler(_handler())


@dataclass(frozen=True)
class Client:
    """An app client at its authorization server, and the scopes that it asks for."""

    server: str
    id: str
    scope: str

    def authorize_url(self, **parameters: str) -> str:
        """Return where a person signs in."""
        query = {
            "response_type": "code",
            "client_id": self.id,
            "scope": self.scope,
            "code_challenge_method": "S256",
            **parameters,
        }
        return f"{self.server}/oauth2/authorize?{urlencode(query)}"

    def code_grant(self, code: str, verifier: str, redirect_uri: str) -> Grant:
        """Exchange an authorization code."""
        return self._token(
            {
                "grant_type": "authorization_code",
                "client_id": self.id,
                "code": code,
                "code_verifier": verifier,
                "redirect_uri": redirect_uri,
            }
        )

    def refresh(self, grant: Grant) -> Grant | None:
        """Return a new grant for an old one; None where a person has to sign in again."""
        if grant.refresh_token is None:
            return None
        try:
            return self._token(
                {
                    "grant_type": "refresh_token",
                    "client_id": self.id,
                    "refresh_token": grant.refresh_token,
                },
                refresh_token=grant.refresh_token,  # kept, unless the server rotates it
            )
        except Refused as refusal:
            if refusal.code != "invalid_grant":
                raise
            return None  # expired or revoked

    def credentials_grant(self, secret: str) -> Grant:
        """Exchange the client's own credentials."""
        basic = base64.b64encode(f"{self.id}:{secret}".encode()).decode()
        form = {"grant_type": "client_credentials", "scope": self.scope}
        return self._token(form, {"Authorization": f"Basic {basic}"})

    def _token(
        self,
        form: dict[str, str],
        headers: dict[str, str] | None = None,
        refresh_token: str | None = None,
    ) -> Grant:
        url = f"{self.server}/oauth2/token"
        request = Request(url, urlencode(form).encode(), headers or {})  # noqa: S310 - see _HTTP
        try:
            with _HTTP.open(request, timeout=10) as response:
                status, text = response.status, response.read()
            answer: dict[str, Any] = json.loads(text)
            if status != 200:
                raise Refused(url, _printable(answer["error"]))
            return Grant(
                access_token=answer["access_token"],
                expires_at=time.time() + answer["expires_in"],
                refresh_token=answer.get("refresh_token", refresh_token),
            )
        except (OSError, HTTPException) as error:
            raise LocalError(f"{url}: {getattr(error, 'reason', error)}") from None
        except (ValueError, LookupError, TypeError):
            raise LocalError(f"{url} answered {status}, and not as OAuth 2.0 says") from None


# --- Signing in ---


class _Stray(LocalError):
    """A redirect that is not this sign-in's."""


def _sign_in(client: Client, callback_url: str, *, fresh: bool, time_limit: float) -> Grant:
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    url = client.authorize_url(
        redirect_uri=callback_url,
        state=state,
        code_challenge=challenge.decode(),
        **({"prompt": "login"} if fresh else {}),
    )
    try:
        code = asyncio.run(asyncio.wait_for(_code(url, callback_url, state), timeout=time_limit))
    except asyncio.TimeoutError:
        raise LocalError(f"nobody has signed in within {time_limit:g} seconds") from None
    return client.code_grant(code, verifier, callback_url)


async def _code(url: str, callback_url: str, state: str) -> str:
    """Send a person to `url`; return the code that comes back by the browser or by the terminal."""
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def settle(answer: str | LocalError) -> None:
        if code.done():
            return
        if isinstance(answer, LocalError):
            code.set_exception(answer)
        else:
            code.set_result(answer)

    try:
        server = await _listen(callback_url, state, settle)
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        port = urlsplit(callback_url).port
        raise LocalError(f"port {port}, which the sign-in comes back to: {reason}") from None
    _say(f"Sign in at\n\n  {url}\n")
    _say(f"and the browser comes back to {callback_url}. If it runs on another machine, that page")
    _say("will not load there: copy its address from the browser, and paste it here.")
    stop_reading = _read_lines(sys.stdin, state, settle)
    try:
        _open_browser(url)
        return await code
    finally:
        stop_reading()
        server.close()


def _answer_in(redirect: str, state: str) -> str | LocalError:
    """Return the authorization code that a redirect brings, or why there is none to be had.

    Raises:
        _Stray: it does not belong to the sign-in with this state.
    """
    answer = dict(parse_qsl(urlsplit(redirect).query))
    is_ours = compare_digest(answer.get("state", "").encode(), state.encode())
    # Cognito leaves the state out of some errors; an error is nothing worth forging.
    if "error" in answer and (is_ours or "state" not in answer):
        reason = ": ".join(filter(None, map(answer.get, ("error", "error_description"))))
        return LocalError(f"the sign-in was refused: {_printable(reason)}")
    if not is_ours or "code" not in answer:
        raise _Stray("that is not an address which this sign-in ended at")
    return answer["code"]


async def _listen(
    callback_url: str, state: str, settle: Callable[[str | LocalError], None]
) -> asyncio.Server:
    """Answer the browser that comes back to `callback_url`.

    Browsers open connections that they may never use, so each is served beside the others.
    """
    callback = urlsplit(callback_url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = None
        status, text = "200 OK", "You are signed in"
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
            if method != "GET" or urlsplit(target).path != callback.path:
                status, text = "404 Not Found", "There is nothing here"
            else:
                answer = _answer_in(target, state)
            if isinstance(answer, LocalError):
                status, text = "400 Bad Request", str(answer)
        except _Stray as stray:
            status, text = "400 Bad Request", str(stray)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            status, text = "400 Bad Request", "This is not HTTP"
        finally:
            writer.write(PAGE.format(status=status, text=escape(text)).encode())
            writer.close()
        with suppress(OSError):  # the browser is gone, which changes nothing
            await writer.wait_closed()
        if answer is not None:
            settle(answer)  # last, because it ends this server

    return await asyncio.start_server(serve, "127.0.0.1", callback.port)


def _read_lines(
    stream: Any, state: str, settle: Callable[[str | LocalError], None]
) -> Callable[[], object]:
    """Take redirects that are pasted; return what ends it."""
    loop = asyncio.get_running_loop()
    pending = b""

    def read() -> None:
        nonlocal pending
        chunk = os.read(descriptor, 65536)
        if not chunk:
            loop.remove_reader(descriptor)
        *lines, pending = (pending + chunk + b"\n" * (not chunk)).split(b"\n")
        for line in filter(None, map(bytes.strip, lines)):
            try:
                settle(_answer_in(line.decode(errors="replace"), state))
            except _Stray as stray:
                _say(
                    f"{stray}: that address holds code= and state=, and the state of the one above"
                )

    try:
        descriptor = stream.fileno()
        loop.add_reader(descriptor, read)
    except (AttributeError, OSError, ValueError):
        return lambda: None  # closed, or a file: nobody types there
    return lambda: loop.remove_reader(descriptor)


def _open_browser(url: str) -> None:
    """Open the browser, where there is one with a window here."""
    has_screen = (
        sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    )
    if "BROWSER" not in os.environ and ("SSH_CONNECTION" in os.environ or not has_screen):
        return
    # Apart from this process, whose stdout is the token's: a browser would keep it open.
    browser = subprocess.Popen(
        [sys.executable, "-m", "webbrowser", url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    Thread(target=browser.wait, daemon=True).start()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _printable(text: object) -> str:
    """Return a stranger's text fit for a terminal."""
    return "".join(filter(str.isprintable, str(text)))[:200]


# --- The cache ---


class Cache:
    """A client's token on disk, held by one process at a time."""

    def __init__(self, client: Client) -> None:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "payment-api"
        name = hashlib.sha256(json.dumps(asdict(client)).encode()).hexdigest()[:32]
        self._path = folder / f"{name}.json"

    @contextmanager
    def held(self) -> Iterator["Cache"]:
        """Hold the cache: of two runs at once, the second finds what the first has fetched."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LocalError(f"{self._path.parent}: {error.strerror}") from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("Waiting for the sign-in that another terminal has begun")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield self
        finally:
            os.close(lock)

    def read(self) -> Grant | None:
        """Return what is cached, if it can be read."""
        try:
            return Grant(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, grant: Grant) -> None:
        """Keep a grant, whole or not at all."""
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent)  # for the owner alone
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(grant), file)
        Path(temporary).replace(self._path)
