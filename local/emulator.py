"""AWS's services by MiniStack, in a process of its own, whose state a folder keeps.

    python -m local.emulator PORT FOLDER

What a call changed is written to the folder within a second, and at the end.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from threading import Event, Thread
from typing import Any

from local.loopback import HOST

KEPT = ("dynamodb", "cognito", "ssm")
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

    changed = Event()

    async def app(scope: Any, receive: Any, send: Callable[..., Awaitable[None]]) -> None:
        await ministack.app(scope, receive, send)
        changed.set()

    Thread(target=_keep, args=[changed, ministack], daemon=True).start()
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.loglevel = "ERROR"
    asyncio.run(serve(app, config))


def _keep(changed: Event, ministack: Any) -> None:
    persistence: Any = import_module("ministack.core.persistence")
    written: dict[str, str] = {}
    while changed.wait():
        changed.clear()
        for name, state in ministack._build_persistence_save_dict().items():
            if name in KEPT:
                try:
                    now = state()
                    if repr(now) != written.get(name):
                        persistence.save_state(name, now)
                        written[name] = repr(now)
                except RuntimeError:  # a call changes it this moment
                    changed.set()
        time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
