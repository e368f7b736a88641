"""The one place that opens a port: on the loopback address, and nowhere else."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from threading import Thread
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers
from werkzeug.serving import WSGIRequestHandler, make_server

from local import LocalError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
DEFAULT_PORT = 3000
RAW_HEADERS = "local.raw_headers"


class _RequestHandler(WSGIRequestHandler):
    # What is not HTTP is answered with a problem document (RFC 9457) as well.
    default_request_version = "HTTP/1.0"
    error_content_type = "application/problem+json"
    error_message_format = (
        '{"type": "about:blank", "title": "The request is not HTTP", "status": %(code)d,'
        ' "detail": "%(explain)s"}'
    )

    def make_environ(self) -> "WSGIEnvironment":
        environ = super().make_environ()
        environ[RAW_HEADERS] = Headers(self.headers.items())  # WSGI joins repeated ones
        if "wsgi.input_terminated" in environ:
            # Werkzeug's reader takes a chunk that is cut off for a whole one, and Python crashes.
            environ["wsgi.input"] = BufferedReader(environ["wsgi.input"])
        return environ

    def run_wsgi(self) -> None:
        try:
            super().run_wsgi()
        except ValueError:  # a request target that is no URL
            self.send_error(400)

    def connection_dropped(
        self,
        error: BaseException,  # noqa: ARG002
        environ: "WSGIEnvironment | None" = None,  # noqa: ARG002
    ) -> None:
        """Close the connection: an application raised a ConnectionError instead of answering."""
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the access log to the application, which knows more."""


def command(target: str, port: int) -> str:
    """Return what to type for one of make's targets where the API runs on the port."""
    return f"make {target}" if port == DEFAULT_PORT else f"make {target} PORT={port}"


def listen(port: int, advice: str = "") -> socket.socket:
    """Return a socket that listens on `port`, or on a free one where it is 0.

    Raises:
        LocalError: the port is taken, or may not be had; with `advice` on what to do.
    """
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((HOST, port))
        server.listen()
    except (OSError, OverflowError) as error:
        server.close()
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise LocalError(f"port {port}: {reason}. {advice}") from None
    return server


def free(port: int) -> int:
    """Return the port, or another one where it is taken."""
    try:
        listen(port).close()
    except LocalError:
        with listen(0) as server:
            return int(server.getsockname()[1])
    return port


@contextmanager
def serving(app: "WSGIApplication", server: socket.socket) -> Iterator[str]:
    """Answer calls on the socket, in threads, as long as the context; give the URL."""
    port = server.getsockname()[1]
    with server:  # make_server takes a copy; left to itself, it exits where a port is taken
        wsgi = make_server(
            HOST, port, app, threaded=True, request_handler=_RequestHandler, fd=server.fileno()
        )
    thread = Thread(target=wsgi.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{port}"
    finally:
        wsgi.shutdown()
        wsgi.server_close()
