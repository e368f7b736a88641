"""What a stand-in remembers, in a file: within a second of each change, and at the end."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from local import LocalError
from local.standin import StandIn


@contextmanager
def kept(standin: StandIn, file: Path) -> Iterator[None]:
    """Bring back what a file remembers, and keep it up to date as long as the context.

    Raises:
        LocalError: another version of the stand-in wrote the file.
    """
    if file.exists():
        found: dict[str, object] = {}
        with suppress(AttributeError):  # a class that is gone
            # Nobody but this laptop's user writes there.
            found = pickle.loads(file.read_bytes())  # noqa: S301
        if found.keys() != set(standin.KEPT):
            raise LocalError(f"{file} is of another version of this project: make run FRESH=1")
        vars(standin).update(found)
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
