"""What a stand-in remembers, in a file: within a second of each change, and at the end."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from local.standin import StandIn


@contextmanager
def kept(standin: StandIn, file: Path) -> Iterator[None]:
    """Bring back what a file remembers, and keep it up to date as long as the context."""
    if file.exists():
        # Nobody but this laptop's user writes there.
        vars(standin).update(pickle.loads(file.read_bytes()))  # noqa: S301
    ended = Event()
    written = b""

    def write() -> None:
        nonlocal written
        with standin.lock:
            now = pickle.dumps({name: getattr(standin, name) for name in standin.KEPT})
        if now != written:
            whole = file.with_suffix(".new")
            whole.write_bytes(now)
            whole.replace(file)
            written = now

    def write_on() -> None:
        while not ended.wait(0.5):
            write()

    thread = Thread(target=write_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        write()
