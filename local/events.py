"""What is put on the event bus, shown as it happens: a line for each event."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Of an event's detail, what a line has room for.
SHOWN = ("paymentId", "status", "amount", "currency")


def heard(services: "WSGIApplication", tell: Callable[[str], None]) -> "WSGIApplication":
    """Return AWS's services, with a line told for each event that its bus took."""

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") != "AWSEvents.PutEvents":
            return services(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        answer = b"".join(services(environ, start_response))
        for line in lines(json.loads(body), json.loads(answer)):
            tell(line)
        return [answer]

    return app


def lines(call: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each event of a call that was taken."""
    results = answer.get("Entries", [{}] * len(call["Entries"]))
    for entry, result in zip(call["Entries"], results, strict=True):
        if "EventId" in result:
            detail = json.loads(entry["Detail"], parse_float=str)  # digit by digit
            shown = [str(detail[name]) for name in SHOWN if name in detail]
            time = str(detail.get("updatedAt", ""))[11:23]
            yield " ".join(filter(None, (time, entry["DetailType"], *shown)))
