"""`make run`: the whole stack on one port, and what to paste to call it."""

import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event

from local import aws, dashboard, docs, gateways, guide, loopback, seen, streams, tokens
from local.cognito import SEEDS, Cognito
from local.functions import Functions
from local.gateway import Gateway
from local.stack import api, functions
from local.template import Template


def serve(
    path: Path, port: int, dynamodb_url: str | None, folder: Path | None, *, is_fresh: bool
) -> None:
    """Serve the template at `path` on a loopback port until SIGINT or SIGTERM.

    What is made stays in the folder, by default one of the port; or at `dynamodb_url` the payments.

    Raises:
        LocalError: a port is taken, the template is broken, or no store answers.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    another = loopback.command("run", 3010 if port != 3010 else 3020)
    front = loopback.listen(port, f"Choose another: {another}")
    port = front.getsockname()[1]
    folder = folder or path.parent / ".local" / str(port)
    if is_fresh:
        shutil.rmtree(folder, ignore_errors=True)
    past = "has the data of earlier runs" if folder.exists() else "is new"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    template = Template(path)
    read = path.stat().st_mtime_ns
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        aws_url = stack.enter_context(aws.emulator(loopback.free(port + 1), folder))
        store_url = dynamodb_url or aws_url
        tables = aws.create_tables(template, store_url)
        aws.create_buses(template, aws_url)
        users = Cognito(template, aws_url, folder)
        rest, lambdas = api(template), functions(template)
        endpoints = {"AWS_ENDPOINT_URL": aws_url, "AWS_ENDPOINT_URL_DYNAMODB": store_url}
        url = f"http://{loopback.HOST}:{port}"
        movers = gateways.serve(stack, port, url, aws_url, folder)
        running = Functions(gateways.turn_on(lambdas.values()), endpoints)
        stack.callback(running.stop)
        running.start()
        followed = streams.Streams(lambdas.values(), store_url, running)
        stack.callback(followed.stop)
        followed.start()
        sign_in = users.sign_in(aws_url)
        pages = {
            ("POST", tokens.PATH): tokens.page(users.token),
            ("GET", tokens.LOGIN): lambda _: tokens.json_of(users.outputs(aws_url)),
            ("GET", seen.PATH): seen.page(folder),
            **docs.pages(path.parent / "docs/openapi.json"),
            **dashboard.pages(sign_in, lambda: {**users.people(), **users.services()}),
        }
        gateway = Gateway(rest, users, running.invoke, pages, seen.book(folder, "api"))
        stack.enter_context(loopback.serving(gateway, front))
        make = loopback.command("-s token", port)
        calls = guide.calls(rest, lambdas, path.parent / "events", users, port)
        below = " events are shown below;" if followed.functions else ""
        lines = [
            f"{url} is up. Edited code counts from the next call on;{below} Ctrl-C ends it all.",
            f"Data stays in {os.path.relpath(folder)}, which {past}. FRESH=1 starts empty.",
            *(f"  {call}" for call in calls),
            f"The token is {tokens.DEFAULT_USER}'s. Others: {make} AS=bob SCOPE=... EXPIRED=1",
            f"Sign in as {' or '.join(SEEDS)}, password {users.password}:",
            f"  {sign_in}",
            f"In a browser: the payments at {url}{dashboard.PATH}, the API to try at {url}/docs",
            "; ".join(movers),
            f"DynamoDB: {store_url}",
            *(f"  {guide.scan(store_url, table)}" for table in tables),
        ]
        print("\n".join(lines), end="\n\n", flush=True)
        with suppress(FileNotFoundError):  # an editor is replacing it
            while path.stat().st_mtime_ns == read:
                time.sleep(1)
        news = f"{path.name} has changed: Ctrl-C and {loopback.command('run', port)} take it up"
        print(news, file=sys.stderr, flush=True)
        Event().wait()
