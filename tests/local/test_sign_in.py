"""The laptop's sign-in: the login page, by code with PKCE, and the password that is printed."""

import base64
import hashlib
import re
import shlex
import sys
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from local.__main__ import main
from tests.local.conftest import Client, Response, Stack

VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
FORM = [("Content-Type", "application/x-www-form-urlencoded")]


class Login:
    """The login page of a running stack, as a browser and an application meet it."""

    def __init__(self, guide: str) -> None:
        [url] = re.findall(r"^  (http\S+/oauth2/authorize\S+)$", guide, re.MULTILINE)
        [self.password] = re.findall(r"password (\S+):$", guide, re.MULTILINE)
        parts = urlsplit(url)
        assert parts.port
        self._client = Client(parts.port)
        self.asked = dict(parse_qsl(parts.query))

    def submit(self, username: str, password: str) -> Response:
        pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256", "state": "s-1"}
        query = urlencode({**self.asked, **pkce})
        page = self._client.call("GET", f"/oauth2/authorize?{query}")
        assert page.status == 200, page.text
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        form = urlencode({**hidden, "username": username, "password": password})
        return self._client.call("POST", "/login", body=form.encode(), headers=FORM)

    def exchange(self, code: str, verifier: str) -> Response:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.asked["client_id"],
            "redirect_uri": self.asked["redirect_uri"],
            "code": code,
            "code_verifier": verifier,
        }
        return self._client.call(
            "POST", "/oauth2/token", body=urlencode(form).encode(), headers=FORM
        )


@pytest.fixture
def login(payments: Stack) -> Login:
    return Login(payments.guide)


def test_a_person_signs_in_at_the_page(payments: Stack, login: Login) -> None:
    signed_in = login.submit("alice@example.com", login.password)
    back = urlsplit(signed_in.headers["Location"])
    answer = parse_qs(back.query)
    tokens = login.exchange(answer["code"][0], VERIFIER).json

    assert signed_in.status == 302
    assert signed_in.headers["Location"].startswith(f"{login.asked['redirect_uri']}?")
    assert answer["state"] == ["s-1"]
    created = payments.call(
        "POST", "/payment", tokens["access_token"], {"amount": 1, "currency": "USD"}
    )
    assert created.status == 201
    # The same person as by `make token`.
    path = f"/payment?paymentId={created.json['paymentId']}"
    assert payments.call("GET", path, payments.token()).status == 200
    assert payments.call("GET", path, payments.token("bob")).status == 404


def test_a_wrong_password_is_refused(login: Login) -> None:
    refused = login.submit("alice@example.com", "Wrong-password-1")

    assert refused.headers["Location"] is None
    assert 'name="password"' in refused.text  # the page again


def test_a_code_is_of_no_use_without_its_verifier(login: Login) -> None:
    signed_in = login.submit("bob@example.com", login.password)
    [code] = parse_qs(urlsplit(signed_in.headers["Location"]).query)["code"]

    assert login.exchange(code, "x" * 43).status == 400


# What a person does in a browser: they type a name and a password, and see the page that follows.
PERSON = """\
import re, sys, urllib.parse, urllib.request
page = urllib.request.urlopen(sys.argv[1]).read().decode()
form = dict(re.findall(r'type="hidden" name="(\\w+)" value="([^"]*)"', page))
form |= {"username": "bob@example.com", "password": sys.argv[2]}
to = urllib.parse.urljoin(sys.argv[1], "/login")
urllib.request.urlopen(to, urllib.parse.urlencode(form).encode())
"""


def test_make_token_takes_the_way_by_the_login(
    payments: Stack,
    login: Login,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "person.py").write_text(PERSON)
    person = shlex.join([sys.executable, str(tmp_path / "person.py")])
    monkeypatch.setenv("BROWSER", f"{person} %s {login.password}")
    command = ["token", "--port", str(payments.port), "--login", "--time-limit", "20"]

    def token() -> str:
        assert main(command) == 0
        return capfd.readouterr().out.strip()

    by_login = token()
    monkeypatch.setenv("BROWSER", "false")  # the next one is cached

    assert token() == by_login
    payment = payments.call("POST", "/payment", by_login, {"amount": 1, "currency": "USD"})
    path = payment.headers["Location"]
    assert payments.call("GET", path, payments.token("bob")).status == 200
