"""Run localstripe on the loopback, in an environment of its own; print its process id and port.

Its own command listens on every address, and keeps its payments in a file of /tmp.
"""

import os
import socket

from aiohttp import web
from localstripe import resources, server

type(resources.store).dump_to_disk = lambda _: None
listener = socket.create_server(("127.0.0.1", 0))
print(os.getpid(), listener.getsockname()[1], flush=True)  # noqa: T201
web.run_app(server.app, sock=listener, print=None)
