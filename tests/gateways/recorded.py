"""What goes to and from a gateway's stand-in."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

from werkzeug import Request, Response

from local.standin import StandIn


class Exchange(NamedTuple):
    """A request of the API, and what it was answered.

    Attributes:
        headers: of the request, in lower case, but for the credentials.
        asked: the body, or else the query.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    asked: bytes
    status: int
    answer: Any


class Recorded:
    """A stand-in whose exchanges are kept (WSGI)."""

    def __init__(self, app: StandIn) -> None:
        self._app = app
        self.exchanges: list[Exchange] = []

    def __call__(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        asked = request.get_data() or request.query_string
        environ["wsgi.input"] = BytesIO(request.get_data())
        answer = Response.from_app(self._app, environ, buffered=True)
        if answer.is_json and request.path != "/ledger":
            headers = {name.lower(): value for name, value in request.headers.items()}
            headers.pop("authorization", None)
            made = (request.method, request.path, headers, asked, answer.status_code, answer.json)
            self.exchanges.append(Exchange(*made))
        return answer(environ, start)
