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

    Of a function without a sample event, or that refuses it, only the start is counted.
    """
    print(f"counting {function.name}", file=sys.stderr, flush=True)
    before = store.asked
    if not _works(function, store):
        return {"start": _count(function, 0, store) - _nothing(store)}
    calls = {"calls": store.asked - before}
    if not function.is_python:
        return calls
    first = _count(function, 1, store)
    warm = (_count(function, 1 + WARM, store) - first) // WARM
    return {**calls, "cold": first - _nothing(store), "warm": warm}


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


def _works(function: Function, store: StandIn) -> bool:
    if function.event is None:
        print(f"NOT CALLED: {function.name} has no sample event", file=sys.stderr)
        return False
    answer = _report(function, 1, store)["answer"]
    works: bool = json.loads(answer).get("statusCode", 200) < 300
    if not works:
        event = function.event.name
        print(f"NOT CALLED: {function.name} answers {event} with {answer}", file=sys.stderr)
    return works


def _report(function: Function, calls: int, store: StandIn) -> dict[str, Any]:
    """Run the function; return what the driver says of it."""
    said = _run(function.command(calls), function, store)
    report: dict[str, Any] = json.loads(said.splitlines()[-1])
    return report


@cache
def _nothing(store: StandIn) -> int:
    return _count(NO_FUNCTION["Python"], 0, store)


def _count(function: Function, calls: int, store: StandIn) -> int:
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no"]
    valgrind.append("--cachegrind-out-file=/dev/null")
    said = _run([*valgrind, *function.command(calls)], function, store)
    return int(re.findall(r"I\s+refs:\s+([\d,]+)", said)[-1].replace(",", ""))


def _run(command: list[str], function: Function, store: StandIn) -> str:
    env = store.environment(function)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stderr
