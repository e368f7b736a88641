"""`make run`: the whole stack on one port, and what to paste to call it."""

import signal
import socket
from pathlib import Path
from threading import Event

from local import LocalError, aws, docs, guide, loopback, tokens
from local.functions import Functions
from local.gateway import Gateway
from local.stack import api, functions
from local.template import Template


def serve(path: Path, port: int, dynamodb_url: str | None) -> None:
    """Serve the template at `path` on a loopback port until SIGINT or SIGTERM.

    Raises:
        LocalError: a port is taken, the template or a handler is broken, or no store answers.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    front = loopback.listen(port)
    port = front.getsockname()[1]
    template = Template(path)
    aws_url = aws.serve(_listen_near(port + 1))
    store_url = dynamodb_url or aws_url
    tables = aws.create_tables(template, store_url)
    users = aws.UserPool(template, aws_url)
    rest, lambdas = api(template), functions(template)
    endpoints = {"AWS_ENDPOINT_URL": aws_url, "AWS_ENDPOINT_URL_DYNAMODB": store_url}
    running = Functions(lambdas.values(), endpoints)
    try:
        running.start()
        pages = {
            ("POST", tokens.PATH): tokens.page(users.token),
            **docs.pages(path.parent / "docs/openapi.json"),
        }
        url = loopback.serve(front, Gateway(rest, users.keys, running.invoke, pages))

        token = users.token(tokens.DEFAULT_USER)
        curls = guide.calls(rest, lambdas, path.parent / "events", url, token)
        make = loopback.command("-s token", port)
        lines = [
            f"\n{url} is up. Edited code counts from the next call on; Ctrl-C ends it all.\n",
            *(f"  {curl}\n" for curl in curls),
            f"The tokens are {tokens.DEFAULT_USER}'s. Others: {make} AS=bob SCOPE=... EXPIRED=1",
            f"To read, and to try in a browser: {url}/docs",
            f"DynamoDB: {store_url}   Cognito: {aws_url}",
            *(f"  {guide.scan(store_url, table)}" for table in tables),
        ]
        print("\n".join(lines), end="\n\n", flush=True)
        Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        running.stop()


def _listen_near(port: int) -> socket.socket:
    """Return a socket on the port, or on a free one where that is taken."""
    try:
        return loopback.listen(port)
    except LocalError:
        return loopback.listen(0)
