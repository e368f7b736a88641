"""AWS's services by moto, for the tests."""

from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def moto() -> "WSGIApplication":
    """Return AWS's services as an application that answers one call at a time.

    moto checks a write's condition in one step and writes in another.
    """
    services: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = Lock()

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with one_at_a_time:
            return services(environ, start_response)

    return app
