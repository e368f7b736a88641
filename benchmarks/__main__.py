"""Measure this API beside its peers.

python -m benchmarks           everything, into docs/performance.md (a quarter of an hour)
python -m benchmarks check     this API alone, or functions of it, against the committed figures
python -m benchmarks report    docs/performance.md anew from the committed figures
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import functions, measure, report
from benchmarks.standin import dynamodb
from tools.build import interpreter

FIGURES = functions.HERE / "figures.json"
ALLOWED = 1.03


def main(command: str = "all", *names: str) -> None:
    """Run one command."""
    match command:
        case "all":
            bench()
        case "check":
            check(json.loads(FIGURES.read_text()), names)
        case "report":
            write(json.loads(FIGURES.read_text()))


def bench() -> None:
    """Measure every function, keep the figures, and write them up."""
    if missing := _missing("valgrind", "openssl", "node", "npm"):
        sys.exit(f"make bench needs {', '.join(missing)}")
    own, built = functions.ours(), functions.peers()
    peers = [peer for peer, _ in built]
    with dynamodb() as store:
        found: dict[str, dict[str, Any]] = {
            function.name: {"size": functions.size(function), **measure.count(function, store)}
            for function in [*own, *peers]
        }
        for _, peer in built:
            if peer.is_python and peer.name.endswith("Create"):
                found[peer.name] |= measure.count_as_shipped(peer, store)
        creates = [own[0], *(peer for peer in peers if peer.name.endswith("Create"))]
        times = measure.time([*creates, *functions.NO_FUNCTION.values()], store)
    for name, of in times.items():
        found[name] = {**found.get(name, {}), **of}
    figures = {
        "made": time.strftime("%-d %B %Y"),
        "machine": _machine(),
        "build": functions.interpreter_build(),
        "functions": found,
    }
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    write(figures)


def write(figures: dict[str, Any]) -> None:
    """Write docs/performance.md; fail where a bar is missed."""
    report.write(figures)
    bars = report.bars(figures["functions"])
    for bar in bars:
        print(f"{bar.verdict}: {bar.name}: {bar.value:.2f} of hello-world's, at most {bar.limit}")
    sys.exit(any(bar.verdict == "MISS" for bar in bars))


def check(committed: dict[str, Any], names: Sequence[str]) -> None:
    """Fail where a function takes over 3% more instructions than the committed figures."""
    why = [f"there is no {name} here" for name in _missing("valgrind", "openssl")]
    if not why and committed["build"] != functions.interpreter_build():
        why = [f"the committed figures are of another build ({committed['build']})"]
    if why:
        print(f"SKIPPED: bench-check counted nothing: {', '.join(why)}", file=sys.stderr)
        return
    failed = 0
    with dynamodb() as store:
        for function in functions.ours():
            if names and function.name not in names:
                continue
            before = committed["functions"].get(function.name, {})
            now = measure.count(function, store)
            for kind in ("start", "cold", "warm", "calls"):
                if kind in before:
                    worse = now.get(kind, float("inf")) > before[kind] * ALLOWED
                    failed += worse
                    verdict = "FAILED" if worse else "passed"
                    counts = f"{now.get(kind, 'not counted')}, committed {before[kind]}"
                    print(f"{verdict}: {function.name}, {kind}: {counts}")
                elif kind in now:
                    print(f"NOT CHECKED: {function.name}, {kind}: no committed figure")
    sys.exit(failed > 0)


def _missing(*programs: str) -> list[str]:
    missing = [name for name in programs if not shutil.which(name)]
    return missing if interpreter("3.13") else [*missing, "Python 3.13"]


def _machine() -> str:
    """Return the machine in words."""
    processor = re.search(r"model name\s+: (.*)", Path("/proc/cpuinfo").read_text())
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    node = subprocess.check_output(["node", "--version"], text=True).strip()
    named = processor[1] if processor else platform.machine()
    return f"{os.cpu_count()} processors ({named}), {system}, Node {node}"


if __name__ == "__main__":
    main(*sys.argv[1:])
