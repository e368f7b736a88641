"""`make token STACK=…`: by the command, against an authorization server and AWS's APIs (moto)."""

import json
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from local.__main__ import main
from tests.conftest import ROOT, make_certificate
from tests.local.authorization_server import AuthorizationServer, serve

# What a person's browser does: it follows the redirects, and shows the page that they end at.
BROWSER = """\
import sys, urllib.error, urllib.parse, urllib.request
try:
    page = urllib.request.urlopen(sys.argv[1]).read()
except urllib.error.HTTPError as error:
    page = error.read()
urllib.request.urlopen(urllib.parse.urljoin(sys.argv[1], "/seen"), page)
"""


@pytest.fixture(scope="module")
def deployment() -> Iterator[tuple[AuthorizationServer, str]]:
    """Deploy a stack named `payments`; return its authorization server, and AWS's endpoint."""
    aws = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    aws.start()
    host, port = aws.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as free:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.delenv("AWS_REGION", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        cognito = boto3.client("cognito-idp")
        pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
        people, services, manage = (
            cognito.create_user_pool_client(
                UserPoolId=pool,
                ClientName=name,
                GenerateSecret=name != "people",
                AllowedOAuthScopes=scopes,
            )["UserPoolClient"]
            for name, *scopes in (
                ("people", "payments/read", "payments/write"),
                ("services", "payments/read", "payments/write"),
                ("manage", "payments/manage"),
            )
        )
        server = AuthorizationServer(
            people=people["ClientId"],
            services={client["ClientId"]: client["ClientSecret"] for client in (services, manage)},
            callback=f"http://localhost:{free.getsockname()[1]}/callback",
        )
        with serve(server):
            deploy(
                "payments",
                UserPoolId=pool,
                PeopleClientId=server.people,
                ServicesClientId=services["ClientId"],
                ManageClientId=manage["ClientId"],
                LoginURL=server.url,
                CallbackURL=server.callback,
            )
            free.close()
            yield server, f"http://{host}:{port}"
    aws.stop()


@pytest.fixture
def server(
    deployment: tuple[AuthorizationServer, str], monkeypatch: pytest.MonkeyPatch
) -> AuthorizationServer:
    """Return the deployed stack's authorization server, which nobody has called yet."""
    server, endpoint = deployment
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    server.reset()
    return server


def deploy(name: str, **outputs: str) -> None:
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def outputs(name: str) -> dict[str, str]:
    [stack] = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a cache of its own; return its folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "payment-api"


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a browser."""
    script = tmp_path / "browser.py"
    script.write_text(BROWSER)
    monkeypatch.setenv("BROWSER", f"{shlex.join([sys.executable, str(script)])} %s")


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def token(capfd: pytest.CaptureFixture[str]) -> "Token":
    return Token(capfd)


class Token:
    """Runs `python -m local token --stack payments`; the token, or the error, is what it prints."""

    def __init__(self, output: pytest.CaptureFixture[str]) -> None:
        self._output = output

    def __call__(self, *arguments: str, stack: str = "payments") -> str:
        status = main(["token", "--stack", stack, "--time-limit", "30", *arguments])
        out, err = self._output.readouterr()
        assert status == 0, err
        assert len(out.splitlines()) == 1
        return out.strip()

    def fails(self, *arguments: str, stack: str = "payments") -> str:
        status = main(["token", "--stack", stack, "--time-limit", "30", *arguments])
        out, err = self._output.readouterr()
        assert status == 1
        assert out == ""
        assert "Traceback" not in err
        return err.strip()


@pytest.mark.usefixtures("browser")
def test_a_person_signs_in_by_the_browser(server: AuthorizationServer, token: Token) -> None:
    assert token() == "person-2"
    assert server.log == ["authorize", "authorization_code"]


@pytest.mark.usefixtures("browser")
def test_the_browser_is_told_how_it_went(server: AuthorizationServer, token: Token) -> None:
    token()
    assert "You are signed in" in server.seen.get(timeout=30)


@pytest.mark.usefixtures("browser")
def test_a_token_is_used_until_it_is_about_to_expire(
    server: AuthorizationServer, token: Token
) -> None:
    assert token() == token()
    assert server.log == ["authorize", "authorization_code"]


@pytest.mark.usefixtures("browser")
@pytest.mark.parametrize("rotates", [False, True])
def test_an_expired_token_is_refreshed_without_asking(
    server: AuthorizationServer, token: Token, rotates: bool
) -> None:
    server.expires_in, server.rotates = 30, rotates
    token()

    assert [token(), token()] == ["refreshed-3", "refreshed-4"]
    assert server.log[2:] == ["refresh_token", "refresh_token"]


@pytest.mark.usefixtures("browser")
def test_who_was_signed_out_signs_in_again(server: AuthorizationServer, token: Token) -> None:
    server.expires_in = 30
    token()
    server.refresh_tokens.clear()

    assert token() == "person-5"
    assert server.log[2:] == ["refresh_token", "authorize", "authorization_code"]


@pytest.mark.usefixtures("browser")
def test_somebody_else_can_sign_in(server: AuthorizationServer, token: Token) -> None:
    first = token()

    assert token("--fresh") != first
    assert server.prompts == ["", "login"]


@pytest.mark.usefixtures("browser")
def test_other_scopes_are_another_token(server: AuthorizationServer, token: Token) -> None:
    both = token("--scope", "payments/write payments/read")

    assert token("--scope", "payments/read payments/write") == both == token()
    assert token("--scope", "payments/read") != both


@pytest.mark.usefixtures("browser")
def test_the_cache_is_for_its_owner_alone(
    server: AuthorizationServer, token: Token, cache: Path
) -> None:
    token()

    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in cache.iterdir()} == {0o600}


@pytest.mark.usefixtures("browser")
@pytest.mark.parametrize("content", ["{", '{"access_token": "x"}', "\xff"])
def test_a_broken_cache_is_no_cache(
    server: AuthorizationServer, token: Token, cache: Path, content: str
) -> None:
    token()
    [file] = cache.glob("*.json")
    file.write_bytes(content.encode("latin-1"))

    assert token() == "person-4"


@pytest.mark.usefixtures("browser")
def test_two_runs_at_once_sign_in_once(server: AuthorizationServer, cache: Path) -> None:
    run = [sys.executable, "-m", "local", "token", "--stack", "payments"]
    with ThreadPoolExecutor() as threads:
        answers = list(
            threads.map(lambda _: subprocess.check_output(run, cwd=ROOT, text=True), range(2))
        )

    assert answers == ["person-2\n", "person-2\n"]
    assert len(list(cache.iterdir())) == 1


@pytest.mark.usefixtures("browser")
@pytest.mark.parametrize("forgets_state", [False, True])
def test_a_refused_consent_ends_the_sign_in(
    server: AuthorizationServer, token: Token, forgets_state: bool
) -> None:
    server.denies = {"error": "access_denied", "error_description": "<b>no</b>\x1b[2J"}
    server.forgets_state = forgets_state

    assert token.fails().endswith("the sign-in was refused: access_denied: <b>no</b>[2J")
    assert "access_denied: &lt;b&gt;no&lt;/b&gt;[2J" in server.seen.get(timeout=30)


@pytest.mark.usefixtures("no_browser")
def test_nobody_signs_in_within_the_time_limit(server: AuthorizationServer, token: Token) -> None:
    assert "nobody has signed in within 0 seconds" in token.fails("--time-limit", "0")


class Terminal:
    """A run of the command with a person at its terminal, and no browser on its machine."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local", "token", "--stack", "payments"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.read("/oauth2/authorize")
        self.read("paste it here")

    def read(self, text: str) -> str:
        """Read what it says until a line with the text."""
        assert self._process.stderr
        for line in self._process.stderr:
            if text in line:
                return line.strip()
        raise AssertionError(f"it never said {text}")

    def type(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def end(self) -> str:
        out, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0
        return out.strip()


@pytest.fixture
def terminal(server: AuthorizationServer, no_browser: None) -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal._process.kill()
    terminal._process.communicate()


def redirect(server: AuthorizationServer, url: str) -> str:
    """Sign in at the URL; return where the browser is sent."""
    query = parse_qs(urlsplit(url).query)
    return server.authorize({name: value for name, [value] in query.items()})


def test_over_ssh_the_redirect_is_pasted(server: AuthorizationServer, terminal: Terminal) -> None:
    terminal.type(redirect(server, terminal.url))

    assert terminal.end() == "person-2"


def test_a_wrong_paste_is_told_and_can_be_made_good(
    server: AuthorizationServer, terminal: Terminal
) -> None:
    good = redirect(server, terminal.url)
    terminal.type("what?")
    terminal.read("that is not an address which this sign-in ended at")
    terminal.type(good.partition("&state=")[0] + "&state=x")
    terminal.read("that is not an address which this sign-in ended at")
    terminal.type(good)

    assert terminal.end() == "person-2"


def test_only_this_sign_ins_redirect_is_taken(
    server: AuthorizationServer, terminal: Terminal
) -> None:
    port = urlsplit(server.callback).port or 0
    with socket.create_connection(("127.0.0.1", port)):  # as browsers do, for later
        for odd in (b"\r\n\r\n", b"\x00" * 100_000, b"POST /callback HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(odd)
        for stray in ("?code=x&state=y", "?code=x", "?error=x&state=y", "", "?state=", "/more"):
            with pytest.raises(HTTPError) as caught:
                urlopen(server.callback + stray)
            caught.value.close()
            assert caught.value.code in (400, 404)
        assert server.log == []

        urlopen(redirect(server, terminal.url)).close()
        assert terminal.end() == "person-2"


@pytest.mark.usefixtures("browser")
def test_a_port_in_use_is_named(server: AuthorizationServer, token: Token) -> None:
    port = urlsplit(server.callback).port
    with socket.create_server(("127.0.0.1", port or 0)):
        assert f"port {port}: Address already in use. The sign-in comes" in token.fails()


def test_a_service_needs_no_browser(server: AuthorizationServer, token: Token, cache: Path) -> None:
    assert token("--service") == token("--service") == "service-1"
    assert server.log == ["client_credentials"]
    assert token("--service", "--scope", "payments/read") == "service-2"


def test_a_services_secret_is_kept_nowhere(
    server: AuthorizationServer, token: Token, cache: Path
) -> None:
    token("--service")

    [file] = cache.iterdir()
    assert all(secret not in file.read_text() for secret in server.services.values())


def test_a_services_token_is_fetched_again_when_it_expires(
    server: AuthorizationServer, token: Token
) -> None:
    server.expires_in = 30

    assert [token("--service"), token("--service")] == ["service-1", "service-2"]


def test_a_refused_service_is_told_why(server: AuthorizationServer, token: Token) -> None:
    assert token.fails("--service", "--scope", "x") == (
        "no service's client of the stack payments may ask for x"
    )
    server.knows_services = False
    assert token.fails("--service") == f"{server.url} refused: invalid_client"


def test_a_services_client_is_chosen_by_the_scopes(
    server: AuthorizationServer, token: Token
) -> None:
    assert token("--service") == "service-1"
    assert token("--service", "--scope", "payments/manage") == "service-2"
    assert server.served == list(server.services)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ((302, b'{"access_token": "x", "expires_in": 1}'), "Exceeded 0 redirects."),
        ((200, b"<html>"), "Token endpoint response is not a JSON object (HTTP 200)."),
        ((200, b"[]"), "Token endpoint response is not a JSON object (HTTP 200)."),
        ((200, b'{"access_token": "x"}'), "the answer has no access token, or does not say when"),
        ((200, b'{"expires_in": 1}'), "the answer has no access token, or does not say when"),
    ],
)
def test_an_odd_answer_is_told_and_a_redirect_not_followed(
    server: AuthorizationServer, token: Token, answer: tuple[int, bytes], line: str
) -> None:
    server.broken = answer

    assert token.fails("--service").startswith(f"{server.url}: {line}")


def test_a_proxy_that_opens_tls_is_trusted_as_by_the_aws_cli(
    server: AuthorizationServer, token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificate(tmp_path, "proxy")
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    behind = AuthorizationServer(server.people, server.services, server.callback)
    with serve(behind, tmp_path / "proxy-and-key.pem"):
        deploy("behind", **{**outputs("payments"), "LoginURL": behind.url})

        assert "certificate" in token.fails("--service", stack="behind")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "proxy.pem"))
        assert token("--service", stack="behind") == "service-1"


def test_a_login_domain_that_is_away_is_named(server: AuthorizationServer, token: Token) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    deploy("away", **{**outputs("payments"), "LoginURL": url})

    error = token.fails("--service", stack="away")

    assert error.startswith(f"{url}: ")
    assert "refused" in error


def test_a_stack_that_is_not_there_is_named(server: AuthorizationServer, token: Token) -> None:
    assert token.fails(stack="nowhere") == (
        "AWS in eu-central-1: Stack with id nowhere does not exist"
    )


def test_a_stack_of_something_else_is_named(server: AuthorizationServer, token: Token) -> None:
    deploy("something-else")

    assert token.fails(stack="something-else") == (
        "the stack something-else has no output LoginURL: deploy this template to it first"
    )


def test_missing_credentials_are_told(
    server: AuthorizationServer, token: Token, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    assert token.fails() == "AWS: Unable to locate credentials"


def test_the_region_may_be_named_as_for_the_aws_cli(
    server: AuthorizationServer, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert "does not exist" in token.fails()

    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert token("--service")


def test_a_missing_region_is_told(
    server: AuthorizationServer, token: Token, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    assert token.fails() == "AWS: You must specify a region."


def test_an_unknown_profile_is_told(
    server: AuthorizationServer, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    assert token.fails() == "AWS: The config profile (nobody) could not be found"


def test_a_cache_that_cannot_be_written_is_told(
    server: AuthorizationServer, token: Token, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    assert "Not a directory" in token.fails()
