"""A store for the handlers, moto's alone, and a look for secrets in what they store and log."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from shared.store.dynamodb import DynamoDB
from tests.integration.conftest import store, store_url, table  # noqa: F401
from tests.moto import moto
from tests.reliability.conftest import life  # noqa: F401

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SECRETS = re.compile(r"[sr]k_(test|live)_|whsec_|_secret_|client_secret|clientSecret|Bearer ")


@pytest.fixture(scope="session", params=["moto"])
def emulator() -> "WSGIApplication":
    """Return what speaks DynamoDB; the tests of the store itself try more than one."""
    return moto()


class Quiet:
    """A network between the functions and their store on which nothing fails."""

    def plan(self) -> None:
        """Let nothing happen, as ever."""


@pytest.fixture
def network() -> Quiet:
    return Quiet()


@pytest.fixture(autouse=True)
def nothing_secret_is_kept(
    logs: io.StringIO, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Check that no item and no log line of a test holds a secret of a gateway."""
    kept: list[str] = []
    send = DynamoDB._try

    def spy(self: DynamoDB, operation: str, parameters: Mapping[str, object]) -> Any:
        kept.append(json.dumps(parameters))
        return send(self, operation, parameters)

    monkeypatch.setattr(DynamoDB, "_try", spy)
    has_paypal = "paypal_shop" in request.fixturenames
    others = [request.getfixturevalue("paypal_shop").paypal.client_secret] if has_paypal else []
    if "life" in request.fixturenames:
        keys = request.getfixturevalue("life").stand_in.keys
        others += [keys[name] for name in ("clientSecret", "secretKey") if name in keys]
    yield
    text = "\n".join([*kept, logs.getvalue()])
    assert not SECRETS.search(text)
    assert not [secret for secret in others if secret in text]
