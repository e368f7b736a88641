"""Instructions, as valgrind counts them, and processor time.

Instructions are the same on a busy machine as on an idle one, within a thousandth. Of Node they say
little: it compiles what runs often while it runs, on threads of its own. Processor time compares
what ran in the same round, since what slows one function slows the next.
"""

import json
import re
import subprocess
import sys
from functools import cache
from statistics import median
from typing import Any

from benchmarks.functions import NO_FUNCTION, Function
from benchmarks.standin import StandIn

WARM = 100
"""A warm call is the mean of so many."""
ROUNDS = 15


def count(function: Function, store: StandIn) -> dict[str, int]:
    """Count what a cold call and a warm one take: instructions, and calls to DynamoDB.

    Of a function that refuses its sample event only the start is counted.
    """
    print(f"counting {function.name}", file=sys.stderr, flush=True)
    before = store.asked
    report = _report(function, 1, store)
    if not _is_good(report):
        refusal = f"{function.name} answers {function.event} with {report['answer']}"
        print(f"NOT CALLED: {refusal}", file=sys.stderr)
        return {"start": _count(function, 0, store) - _nothing(store)}
    calls = store.asked - before
    if not function.is_python:
        return {"calls": calls}
    first = _count(function, 1, store)
    warm = (_count(function, 1 + WARM, store) - first) // WARM
    if store.asked - before != calls * (3 + WARM):
        sys.exit(f"{function.name} called DynamoDB again: this machine is too busy to count")
    return {"calls": calls, "cold": first - _nothing(store), "warm": warm}


def count_as_shipped(function: Function, store: StandIn) -> dict[str, int]:
    """Count the instructions of a cold call."""
    print(f"counting {function.name} as shipped", file=sys.stderr, flush=True)
    return {"as_shipped": _count(function, 1, store) - _nothing(store)}


def time(functions: list[Function], store: StandIn) -> dict[str, dict[str, Any]]:
    """Take the processor time of a cold call and a warm one, in milliseconds, and the memory.

    The ratio is the first function's cold call to each one's: the median, the least, the greatest.
    """
    rounds = [{f.name: _report(f, 1 + WARM, store) for f in functions} for _ in range(ROUNDS)]
    found = {}
    for name in rounds[0]:
        reports = [of[name] for of in rounds]
        ratios = [of[functions[0].name]["first"] / of[name]["first"] for of in rounds]
        found[name] = {
            "cold_ms": 1000 * median(report["first"] for report in reports),
            "warm_ms": 1000 / WARM * median(report["last"] - report["first"] for report in reports),
            "ratio": [median(ratios), min(ratios), max(ratios)],
            "megabytes": max(report["megabytes"] for report in reports),
        }
    return found


def _is_good(report: dict[str, Any]) -> bool:
    status: int = json.loads(report["answer"] or "{}").get("statusCode", 200)
    return status < 300


@cache
def _nothing(store: StandIn) -> int:
    return _count(NO_FUNCTION["Python"], 0, store)


def _count(function: Function, calls: int, store: StandIn) -> int:
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no"]
    report = _report(function, calls, store, *valgrind, "--cachegrind-out-file=/dev/null")
    if not _is_good(report):
        sys.exit(f"{function.name} answers under valgrind with {report['answer']}")
    return int(re.findall(r"I\s+refs:\s+([\d,]+)", report["stderr"])[-1].replace(",", ""))


def _report(function: Function, calls: int, store: StandIn, *tool: str) -> dict[str, Any]:
    """Run the function, under a tool; return what the driver says of it, and all of stderr."""
    command, env = [*tool, *function.command(calls)], store.environment(function)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    said = re.findall(r'^\{"first".*', done.stderr, re.MULTILINE)
    if done.returncode or not said:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return {**json.loads(said[-1]), "stderr": done.stderr}
