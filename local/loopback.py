"""The one place that opens a port: on the loopback address, and nowhere else."""

import socket
from threading import Thread
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

from local import LocalError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
DEFAULT_PORT = 3000
RAW_HEADERS = "local.raw_headers"


class _RequestHandler(WSGIRequestHandler):
    def make_environ(self) -> "WSGIEnvironment":
        environ = super().make_environ()
        # WSGI joins repeated headers and forgets their case; API Gateway keeps both.
        environ[RAW_HEADERS] = self.headers.items()
        return environ

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the access log to the application, which knows more."""


def command(target: str, port: int) -> str:
    """Return what to type for one of make's targets where the API runs on the port."""
    return f"make {target}" if port == DEFAULT_PORT else f"make {target} PORT={port}"


def listen(port: int) -> socket.socket:
    """Return a socket that listens on `port`, or on a free one where it is 0.

    Raises:
        LocalError: the port is taken, or may not be had.
    """
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((HOST, port))
        server.listen()
    except (OSError, OverflowError) as error:
        server.close()
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        another = command("run", 3010 if port != 3010 else 3020)
        raise LocalError(f"port {port}: {reason}. Choose another: {another}") from None
    return server


def serve(server: socket.socket, app: "WSGIApplication") -> str:
    """Answer calls on the socket, in a thread, until the process ends; return the URL."""
    _, port = server.getsockname()
    with server:  # make_server takes a copy; left to itself, it exits where a port is taken
        wsgi = make_server(
            HOST, port, app, threaded=True, request_handler=_RequestHandler, fd=server.fileno()
        )
    Thread(target=wsgi.serve_forever, daemon=True).start()
    return f"http://{HOST}:{port}"
