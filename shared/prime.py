"""The first call, made while Lambda starts the function: nobody waits for it."""

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

SECONDS = 1
"""How long a start may wait: a store that is slow or away only costs its first caller the wait."""

THREAD = "first-call"


def prime(call: Callable[[], object]) -> None:
    """Make a call at init under Lambda, and nowhere else; whatever comes of it, the init goes on.

    The client, its TLS connection and everything that is set up on first use are then ready for the
    first request, made with a start's whole processor instead of the third that 512 MB get.
    """
    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        # A thread, since no timeout of the client's bounds looking its host name up.
        thread = Thread(target=_try, args=[call], name=THREAD, daemon=True)
        thread.start()
        thread.join(SECONDS)


def _try(call: Callable[[], object]) -> None:
    with suppress(Exception):  # the first request meets it again, and answers for it
        call()
