"""Say what this machine has of what the commands need, and how to get the rest.

    python -m tools.doctor

`make run` needs Python and make alone. It exits 1 where `make test` could not run.
"""

import os
import shutil
import sys

from tools.build import interpreter

TEST = "make test"
STARTS = "sam build (else each start compiles its modules), make bench, make rehearse"

# What commands need, which these are, and how to get it.
NEEDS = (
    ("openssl", TEST, "apt install openssl, brew install openssl"),
    ("Python 3.13", STARTS, "uv python install 3.13, pyenv install 3.13"),
    ("docker", "make start-api", "https://docs.docker.com/engine/install/"),
    ("npx", "make clients, make bench", "https://nodejs.org, version 20 or newer"),
    ("chromium", "make browser", "apt install chromium, or CHROMIUM=…"),
    ("valgrind", "make bench, make bench-check", "apt install valgrind (Linux)"),
    ("root and unshare", "make rehearse", "sudo, on Linux with util-linux"),
    ("aws", "the commands of docs/deploy.md", "https://aws.amazon.com/cli/"),
)


def main() -> int:
    """Print a line on each need; return the exit status."""
    print(f"ok       Python {sys.version.split()[0]}: make run")
    is_ready = True
    for name, commands, how in NEEDS:
        if _has(name):
            print(f"ok       {name}: {commands}")
        else:
            print(f"missing  {name}: {commands}. To get it: {how}")
            is_ready &= commands != TEST
    return 0 if is_ready else 1


def _has(name: str) -> bool:
    match name:
        case "Python 3.13":
            return interpreter("3.13") is not None
        case "root and unshare":
            return os.geteuid() == 0 and shutil.which("unshare") is not None
    return shutil.which(name) is not None


if __name__ == "__main__":
    sys.exit(main())
