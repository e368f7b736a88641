"""AWS's services by MiniStack, in a process of its own, whose state a folder keeps.

    python -m local.emulator PORT FOLDER

What a call changed is written to the folder within a second, and at the end. Each event that is put
on a bus is a line of stderr, and an entry of a book in the folder.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from local import seen
from local.loopback import HOST

SHOWN = ("paymentId", "status", "amount", "currency")
KEPT = frozenset({"dynamodb", "cognito", "ssm"})
"""The services whose state is written down. MiniStack itself writes at its end alone."""


def main(port: str, folder: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    os.environ |= {
        "GATEWAY_PORT": port,
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "PERSIST_STATE": "1",
        "STATE_DIR": folder,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # else it ends other MiniStacks' containers
        "LOG_LEVEL": "ERROR",
    }
    from hypercorn.asyncio import serve  # noqa: PLC0415 - they read the environment
    from hypercorn.config import Config  # noqa: PLC0415

    ministack: Any = import_module("ministack.app")
    _tell_events(seen.book(Path(folder), "bus"))
    called = Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if _is_of_a_web_page(scope):
            await send({"type": "http.response.start", "status": 403})
            await send({"type": "http.response.body"})
            return
        try:
            await ministack.app(scope, receive, send)
        finally:
            if not _reads(scope):
                called.set()

    Thread(target=_end_with_parent, daemon=True).start()
    Thread(target=_keep, args=[ministack, called], daemon=True).start()
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.loglevel = "ERROR"
    asyncio.run(serve(app, config))


def _is_of_a_web_page(scope: Any) -> bool:
    """Tell whether a web page asks for more than the login: MiniStack lets every page read all."""
    if scope["type"] != "http" or not any(name == b"origin" for name, _ in scope["headers"]):
        return False
    path = scope["path"]
    return not (path.startswith(("/oauth2/", "/login", "/logout")) or "/.well-known/" in path)


def _reads(scope: Any) -> bool:
    """Tell whether a call changes nothing: the stream is read all the time."""
    target = dict(scope.get("headers", ())).get(b"x-amz-target", b"")
    return bool(re.search(rb"\.(BatchGet|Describe|Get|List|Query|Scan)", target))


def _tell_events(note: seen.Note) -> None:
    """Print and note each event that a bus takes."""
    eventbridge: Any = import_module("ministack.services.eventbridge")
    dispatch = eventbridge._dispatch_event

    def telling(event: dict[str, Any], *view: Any) -> None:
        print(_line(event["DetailType"], event["Detail"]), file=sys.stderr, flush=True)
        note(event["Detail"], event=event["DetailType"], detail=event["Detail"])
        dispatch(event, *view)

    eventbridge._dispatch_event = telling


def _line(kind: str, text: str) -> str:
    """Return the line that shows an event, with what there is room for of its detail."""
    detail = json.loads(text, parse_float=str)  # digit by digit
    shown = [str(detail[name]) for name in SHOWN if name in detail]
    return " ".join([str(detail.get("updatedAt", ""))[11:23], kind, *shown]).lstrip()


def _end_with_parent() -> None:
    # Until nobody holds the other end. Not by Python's buffer: it would be locked meanwhile, and
    # Python aborts where the process ends then.
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _keep(ministack: Any, called: Event) -> None:
    persistence: Any = import_module("ministack.core.persistence")
    save, lock = persistence.save_state, Lock()

    def save_alone(*about: Any) -> None:
        with lock:
            save(*about)

    # At its end MiniStack writes the same files, beside this thread.
    persistence.save_state = save_alone
    while called.wait():
        time.sleep(0.5)
        called.clear()
        states = ministack._build_persistence_save_dict()
        for name in states.keys() & KEPT:
            try:
                with lock:
                    save(name, states[name]())
            except RuntimeError:  # a call changes it this moment
                called.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
