"""`make token`: tokens from the pool of the API that runs, in the form of OAuth's token endpoint.

RFC 6749, sections 5.1 and 5.2. Unlike Cognito's, it asks for no password; `login.py` does.
"""

import json
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import parse_qsl, urlencode

from werkzeug import Response

from local import LocalError
from local.loopback import HOST, command

DEFAULT_USER = "alice"
PATH = "/_local/token"
LOGIN = "/_local/login"


def page(mint: Callable[..., str]) -> Callable[[bytes], Response]:
    """Return the page; `mint` makes a token for a user, with scopes, expired or not."""

    def answer(body: bytes) -> Response:
        form = dict(parse_qsl(body.decode(errors="replace")))
        try:
            token = mint(
                form.get("as") or form.get("username") or DEFAULT_USER,
                form.get("scope", "").split(),
                expired="expired" in form,
            )
        except LocalError as error:
            return json_of({"error": "invalid_request", "error_description": str(error)}, 400)
        return json_of({"access_token": token, "token_type": "Bearer"})

    return answer


def fetch(port: int, user: str, scope: str, *, expired: bool) -> str:
    """Return a token from the API that runs on a port.

    Raises:
        LocalError: none runs there, or it refuses the user or the scope.
    """
    form = {"as": user, "scope": scope, **({"expired": "true"} if expired else {})}
    return _ask(port, "POST", PATH, form, "access_token")["access_token"]


def login(port: int) -> dict[str, str]:
    """Return what a stack's outputs say of the login, of the API that runs on a port.

    Raises:
        LocalError: none runs there.
    """
    return _ask(port, "GET", LOGIN, {}, "LoginURL")


def _ask(port: int, method: str, path: str, form: Mapping[str, str], needed: str) -> dict[str, str]:
    """Return what the API that runs on a port answers; there is what is needed in it."""
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(
            method, path, urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"}
        )
        answer: dict[str, str] = json.loads(connection.getresponse().read())
        if "error_description" in answer:
            raise LocalError(answer["error_description"])
        return {needed: answer[needed], **answer}
    except (ConnectionRefusedError, OverflowError):
        start = command("run", port)
        raise LocalError(f"nothing answers on port {port}: start the API with {start}") from None
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        raise LocalError(
            f"what answers on port {port} is not make run; make start-api prints a token itself"
        ) from None
    finally:
        connection.close()


def json_of(document: Mapping[str, str], status: int = 200) -> Response:
    """Return a document as a page."""
    return Response(json.dumps(document), status, content_type="application/json")
