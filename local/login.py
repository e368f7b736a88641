"""An access token by the login: a person's by the browser, a service's of a stack by its secret.

A person signs in at Cognito's managed login: authorization code with PKCE (RFC 7636) as in a native
app (RFC 8252). The redirect comes to the registered localhost port, or is pasted in the terminal.
The token is cached, readable by its owner alone, and refreshed without asking. A service's secret
is read from Cognito with the AWS credentials of whoever asks, and is stored nowhere.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import token_urlsafe
from threading import Thread
from typing import TextIO
from urllib.parse import parse_qsl, urlsplit

import boto3
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749 import OAuth2Token
from botocore.exceptions import BotoCoreError, ClientError
from requests import RequestException
from werkzeug import Request, Response

from local import LocalError, loopback

SCOPE = "payments/read payments/write"
LEEWAY = 60  # seconds that a token which is handed out is still good for, at the least

PAGE = """\
<!doctype html><html lang="en"><meta name="color-scheme" content="light dark">
<title>{text}</title><body style="font: 1.2em system-ui; margin: 20vh auto; max-width: 30em">
<h1>{text}</h1><p>You can close this window and go back to the terminal.</p>
"""
STRAY = "that is not an address which this sign-in ended at"


def token(
    stack: "str | Mapping[str, str]", time_limit: float, scope: str, *, service: bool, fresh: bool
) -> str:
    """Return an access token that the stack's API takes.

    Args:
        stack: the CloudFormation stack, in the account and region of the AWS credentials; or the
            outputs of one, the laptop's.
        time_limit: seconds that a person has for signing in.
        scope: scopes, separated by spaces; where it is empty, those of SCOPE.
        service: whether it is for a service rather than for a person.
        fresh: whether to sign in anew, as somebody else perhaps, whatever is cached.

    Raises:
        LocalError: there is no such stack, no way to it, or nobody who signs in.
    """
    scope = " ".join(sorted(set(scope.split()))) or SCOPE
    login_url = ""
    try:
        stack = _Stack(stack) if isinstance(stack, str) else stack
        login_url = stack["LoginURL"]
        with _cache(login_url, scope, "service" if service else stack["PeopleClientId"]) as file:
            granted = None if fresh else _cached(file)
            if granted is None or granted.is_expired(LEEWAY):
                if service and isinstance(stack, _Stack):
                    client = _client(login_url, scope, *stack.service_client(scope))
                    granted = client.fetch_token(grant_type="client_credentials")
                else:
                    client = _client(login_url, scope, stack["PeopleClientId"])
                    client.redirect_uri = stack["CallbackURL"]
                    granted = _refreshed(client, granted) or _sign_in(
                        client, f"{login_url}/oauth2/authorize", time_limit, fresh=fresh
                    )
                file.seek(0)
                file.truncate()
                json.dump(_whole(granted), file)
            return str(granted["access_token"])
    except OAuthError as error:
        raise LocalError(f"{login_url} refused: {_printable(error.error)}") from None
    except (RequestException, ValueError) as error:
        raise LocalError(f"{login_url}: {_printable(error)}") from None
    except (BotoCoreError, ClientError) as error:
        raise LocalError(f"AWS: {error}") from None
    except OSError as error:
        raise LocalError(f"the token's cache: {error}") from None


class _Stack(dict[str, str]):
    """The outputs of a deployed stack, as AWS tells them to the holder of credentials."""

    def __init__(self, name: str) -> None:
        self._name = name
        # The AWS CLI reads AWS_REGION, and boto3 does not.
        self._aws = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        try:
            described = self._aws.client("cloudformation").describe_stacks(StackName=name)
        except ClientError as error:
            reason = error.response["Error"]["Message"]
            raise LocalError(f"AWS in {self._aws.region_name}: {reason}") from None
        for output in described["Stacks"][0].get("Outputs", []):
            self[output["OutputKey"]] = output["OutputValue"]

    def __missing__(self, key: str) -> str:
        problem = f"the stack {self._name} has no output {key}"
        raise LocalError(f"{problem}: deploy this template to it first")

    def service_client(self, scope: str) -> tuple[str, str]:
        """Return id and secret of a service's app client that may ask for the scopes."""
        cognito = self._aws.client("cognito-idp")
        for key in sorted(self):
            if key.endswith("ClientId"):
                client = cognito.describe_user_pool_client(
                    UserPoolId=self["UserPoolId"], ClientId=self[key]
                )["UserPoolClient"]
                offered = client.get("AllowedOAuthScopes", [])
                if "ClientSecret" in client and set(scope.split()) <= set(offered):
                    return client["ClientId"], client["ClientSecret"]
        raise LocalError(f"no service's client of the stack {self._name} may ask for {scope}")


# --- OAuth 2.0 ---


def _client(login_url: str, scope: str, client_id: str, secret: str | None = None) -> OAuth2Session:
    client = OAuth2Session(
        client_id,
        secret,
        scope=scope,
        token_endpoint=f"{login_url}/oauth2/token",
        code_challenge_method="S256",
        default_timeout=10,
    )
    client.max_redirects = 0  # nobody else is to see a secret
    # What boto3 trusts on this machine; a proxy that opens TLS is between it and Cognito as well.
    client.verify = os.environ.get("AWS_CA_BUNDLE") or True
    return client


def _refreshed(client: OAuth2Session, granted: OAuth2Token | None) -> OAuth2Token | None:
    """Return a new token for an old one; None where a person has to sign in again."""
    if granted is None or "refresh_token" not in granted:
        return None
    try:
        return OAuth2Token(client.refresh_token(refresh_token=granted["refresh_token"]))
    except OAuthError as error:
        if error.error != "invalid_grant":
            raise
        return None  # expired or revoked


def _sign_in(client: OAuth2Session, url: str, time_limit: float, *, fresh: bool) -> OAuth2Token:
    verifier, prompt = token_urlsafe(32), "login" if fresh else None
    url, state = client.create_authorization_url(url, code_verifier=verifier, prompt=prompt)
    code = _code(url, client.redirect_uri, state, time_limit)
    return OAuth2Token(client.fetch_token(code=code, code_verifier=verifier))


def _whole(granted: OAuth2Token) -> OAuth2Token:
    if not {"access_token", "expires_at"} <= granted.keys():
        raise ValueError("the answer has no access token, or does not say when it expires")
    return granted


# --- The redirect that ends a sign-in, by the browser or by the terminal ---


def _code(url: str, callback_url: str, state: str, time_limit: float) -> str:
    """Send a person to `url`; return the code that comes back."""
    callback = urlsplit(callback_url)
    answers: SimpleQueue[str | LocalError] = SimpleQueue()

    @Request.application
    def page(request: Request) -> Response:
        answer = _answer(request.url, state) if request.path == callback.path else None
        signed_in = isinstance(answer, str)
        text = "You are signed in" if signed_in else str(answer or STRAY)

        def body() -> Iterator[str]:
            try:
                yield PAGE.format(text=escape(text))
            finally:  # the browser has its page, or is gone
                if answer:
                    answers.put(answer)

        return Response(body(), 200 if signed_in else 400, mimetype="text/html")

    def read_terminal() -> None:
        with suppress(OSError), open(0, "rb", buffering=0, closefd=False) as terminal:
            for line in terminal:
                if answer := _answer(line.decode(errors="replace").strip(), state):
                    answers.put(answer)
                else:
                    _say(f"{STRAY}: it holds code= and state=, and the state of the address above")

    advice = "The sign-in comes back to it"
    with loopback.serving(page, loopback.listen(callback.port or 80, advice)):
        _say(f"Sign in at\n\n  {url}\n")
        _say(f"and the browser comes back to {callback_url}. If it runs on another machine, that")
        _say("page will not load there: copy its address from the browser, and paste it here.")
        Thread(target=read_terminal, daemon=True).start()
        _open_browser(url)
        try:
            answer = answers.get(timeout=time_limit)
        except Empty:
            answer = LocalError(f"nobody has signed in within {time_limit:g} seconds")
    if isinstance(answer, LocalError):
        raise answer
    return answer


def _answer(redirect: str, state: str) -> str | LocalError | None:
    """Return the code that a redirect brings, or why there is none.

    None where it does not belong to the sign-in with this state.
    """
    query = dict(parse_qsl(urlsplit(redirect).query))
    # Cognito leaves the state out of some errors; an error is nothing worth forging.
    if query.get("state", state if "error" in query else None) != state:
        return None
    if "error" in query:
        reason = ": ".join(filter(None, map(query.get, ("error", "error_description"))))
        return LocalError(f"the sign-in was refused: {_printable(reason)}")
    return query.get("code")


def _open_browser(url: str) -> None:
    """Open the browser, where there is one with a window here."""
    has_screen = sys.platform == "darwin" or os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}
    if "BROWSER" not in os.environ and ("SSH_CONNECTION" in os.environ or not has_screen):
        return
    # Apart from this process, whose stdout is the token's: a browser would keep it open.
    options = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    command = [sys.executable, "-m", "webbrowser", url]
    Thread(target=subprocess.run, args=(command,), kwargs=options, daemon=True).start()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _printable(text: object) -> str:
    """Return a stranger's text fit for a terminal."""
    return "".join(filter(str.isprintable, str(text)))[:300]


# --- The cache ---


@contextmanager
def _cache(*key: str) -> Iterator[TextIO]:
    """Hold a token's file: of two runs at once, the second finds what the first has fetched."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "payment-api"
    path = folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.json"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Waiting for the sign-in that another terminal has begun")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _cached(file: TextIO) -> OAuth2Token | None:
    """Return the token that the file holds; None where it holds none that can be read."""
    try:
        return _whole(OAuth2Token(json.load(file)))
    except (ValueError, TypeError, AttributeError):
        return None
