"""A real store for the handlers, and a look for secrets in what they store and log."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from shared.store.dynamodb import DynamoDB
from tests.integration.conftest import store, store_url, table  # noqa: F401

SECRETS = re.compile(r"[sr]k_(test|live)_|whsec_|_secret_|client_secret|clientSecret|Bearer ")


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
    yield
    text = "\n".join([*kept, logs.getvalue()])
    assert not SECRETS.search(text)
    assert not [secret for secret in others if secret in text]
