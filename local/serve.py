"""`make run`: the whole stack on one port, and what to paste to call it."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from local import LocalError, aws, loopback, tokens
from local.functions import Functions
from local.gateway import Gateway
from local.samples import samples
from local.stack import api, functions
from local.template import REGION, Template


def serve(path: Path, port: int, dynamodb_url: str | None) -> None:
    """Serve the template at `path` on a loopback port until SIGINT or SIGTERM.

    Raises:
        LocalError: a port is taken, the template or a handler is broken, or no store answers.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    front = loopback.listen(port)
    template = Template(path)
    aws_url = aws.serve(_listen_near(front))
    store_url = dynamodb_url or aws_url
    tables = aws.create_tables(template, store_url)
    users = aws.UserPool(template, aws_url)
    rest, lambdas = api(template), functions(template)
    endpoints = {"AWS_ENDPOINT_URL": aws_url, "AWS_ENDPOINT_URL_DYNAMODB": store_url}
    running = Functions(lambdas.values(), endpoints)
    try:
        running.start()
        pages = {("POST", tokens.PATH): tokens.page(users.token)}
        url = loopback.serve(front, Gateway(rest, users.keys, running.invoke, pages))

        token = users.token(tokens.DEFAULT_USER)
        create, *others = samples(rest, lambdas, path.parent / "events")
        made = create.send(url, token)  # so that the calls that read have something to read
        curls = [call.knowing(made).curl(url, token) for call in (create, *others)]
        print("\n".join(_guide(url, curls, aws_url, store_url, tables)), flush=True)
        Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        running.stop()


def _listen_near(front: socket.socket) -> socket.socket:
    """Return a socket on the next port, or on a free one where that is taken."""
    try:
        return loopback.listen(front.getsockname()[1] + 1)
    except LocalError:
        return loopback.listen(0)


def _guide(
    url: str, curls: list[str], aws_url: str, store_url: str, tables: list[str]
) -> Iterator[str]:
    port = url.rpartition(":")[2]
    yield f"\n{url} is up. Edited code counts from the next call on; Ctrl-C ends it all.\n"
    for curl in curls:
        yield f"  {curl}\n"
    make = "make -s token" + ("" if port == str(loopback.DEFAULT_PORT) else f" PORT={port}")
    yield f"The tokens are {tokens.DEFAULT_USER}'s. Others: {make} AS=bob SCOPE=... EXPIRED=1"
    yield f"DynamoDB: {store_url}   Cognito: {aws_url}"
    for table in tables:
        keys = f"AWS_ACCESS_KEY_ID={aws.ACCESS_KEY} AWS_SECRET_ACCESS_KEY={aws.ACCESS_KEY}"
        scan = f"--region {REGION} --endpoint-url {store_url} dynamodb scan --table-name {table}"
        yield f"  {keys} aws {scan}"
    yield ""
