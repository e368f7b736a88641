"""Measure this API beside its peers.

python -m benchmarks           everything, into docs/performance.md (ten minutes)
python -m benchmarks check     this API alone, against the committed figures
python -m benchmarks report    docs/performance.md anew from the committed figures
"""

import json
import os
import shutil
import sys
import time

from benchmarks import clocks, instructions, report, units
from benchmarks.stacks import CALLS, HERE, NAMES, OURS, PEERS, build, interpreter_build, size
from benchmarks.standin import dynamodb
from tools.build import interpreter

FIGURES = HERE / "figures.json"
ALLOWED = 1.03


def main(command: str = "all") -> None:
    """Run one command."""
    {"all": measure, "check": check, "report": write}[command]()


def measure() -> None:
    """Measure every stack, keep the figures, and write them up."""
    committed = json.loads(FIGURES.read_text())
    build(*PEERS)
    with dynamodb() as store:
        result = {
            "made": time.strftime("%Y-%m-%d"),
            "build": interpreter_build(),
            "instructions": {stack: instructions.of(stack, store) for stack in NAMES},
            "as_shipped": {stack: instructions.of_as_shipped(stack, store) for stack in PEERS},
            "processor": clocks.processor(store),
            "starts": clocks.starts(store),
            "sizes": {stack: {call: size(stack, call) for call in CALLS} for stack in NAMES},
        }
    url = os.environ.get("DYNAMODB_LOCAL_URL")
    if not url:
        print("no DYNAMODB_LOCAL_URL: the calls and units of DynamoDB stay as committed")
    result["dynamodb"] = units.of(url) if url else committed["dynamodb"]
    FIGURES.write_text(json.dumps(result, indent=1) + "\n")
    write()


def write() -> None:
    """Write docs/performance.md from the figures."""
    report.write(json.loads(FIGURES.read_text()))


def check() -> None:
    """Fail where this API takes over 3% more instructions than the committed figures."""
    committed = json.loads(FIGURES.read_text())
    missing = [name for name in ("valgrind", "openssl") if not shutil.which(name)]
    if interpreter("3.13") is None:
        missing.append("python3.13")
    if missing:
        print(f"bench-check: skipped, there is no {' and no '.join(missing)} here")
        return
    if committed["build"] != interpreter_build():
        print(f"bench-check: skipped, the figures are of another build: {committed['build']}")
        return
    build()
    with dynamodb() as store:
        now = instructions.of(OURS, store)
    regressed = 0
    for name, value in now.items():
        before = committed["instructions"][OURS][name]
        worse = value > before * ALLOWED
        regressed += worse
        verdict = f"{value / before - 1:+.1%}{' REGRESSED' if worse else ''}"
        print(f"{name:12} {value / 1e6:8.1f} M, committed {before / 1e6:8.1f} M {verdict}")
    print(f"{len(now) - regressed} passed, {regressed} failed")
    sys.exit(regressed > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
