"""Say what this machine has of what the commands need, and how to get the rest.

    python -m tools.doctor

`make run` needs Python and make alone. It exits 1 where `make test` could not run.
"""

import os
import shutil
import sys
from collections.abc import Callable
from typing import NamedTuple

from tools.build import interpreter


class Need(NamedTuple):
    """What some commands need."""

    name: str
    commands: str
    how: str
    is_there: Callable[[], bool]


def _program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


TEST = "make test"
NEEDS = (
    Need("openssl", TEST, "apt install openssl, brew install openssl", _program("openssl")),
    Need(
        "Python 3.13",
        "sam build (else each start compiles its modules), make bench, make rehearse",
        "uv python install 3.13, pyenv install 3.13",
        lambda: interpreter("3.13") is not None,
    ),
    Need("docker", "make start-api", "https://docs.docker.com/engine/install/", _program("docker")),
    Need(
        "npx",
        "make clients, make bench",
        "https://nodejs.org, version 20 or newer",
        _program("npx"),
    ),
    Need("chromium", "make browser", "apt install chromium, or CHROMIUM=…", _program("chromium")),
    Need(
        "valgrind",
        "make bench, make bench-check",
        "apt install valgrind (Linux)",
        _program("valgrind"),
    ),
    Need(
        "root and unshare",
        "make rehearse",
        "sudo, on Linux with util-linux",
        lambda: os.geteuid() == 0 and shutil.which("unshare") is not None,
    ),
    Need("aws", "the commands of docs/deploy.md", "https://aws.amazon.com/cli/", _program("aws")),
)


def main() -> int:
    """Print a line on each need; return the exit status."""
    print(f"ok       Python {sys.version.split()[0]}: make run")
    is_ready = True
    for need in NEEDS:
        if need.is_there():
            print(f"ok       {need.name}: {need.commands}")
        else:
            print(f"missing  {need.name}: {need.commands}. To get it: {need.how}")
            is_ready &= need.commands != TEST
    return 0 if is_ready else 1


if __name__ == "__main__":
    sys.exit(main())
