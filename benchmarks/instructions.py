"""Instructions, as valgrind counts them: the same on a busy machine as on an idle one."""

import re
import subprocess
import sys

from benchmarks.stacks import CALLS, function, nothing
from benchmarks.standin import StandIn

WARM = 100
"""The calls that a warm one is the mean of."""


def of(stack: str, store: StandIn) -> dict[str, int]:
    """Count a cold and a warm call of each route, above the bare runtime."""
    found = {}
    for call in CALLS:
        print(f"counting a {call} of {stack}", file=sys.stderr, flush=True)
        called = function(stack, call)
        env = store.environment(called)
        first = _count(called.command(1), env)
        found[f"cold {call}"] = first - _count(nothing(), env)
        found[f"warm {call}"] = (_count(called.command(1 + WARM), env) - first) // WARM
    return found


def of_as_shipped(stack: str, store: StandIn) -> dict[str, int]:
    """Count a cold call of each route where no bytecode comes with it."""
    found = {}
    for call in CALLS:
        called = function(stack, call, shipped=True)
        env = store.environment(called)
        found[f"cold {call}"] = _count(called.command(1), env) - _count(nothing(), env)
    return found


def _count(command: list[str], env: dict[str, str]) -> int:
    tool = ["nice", "valgrind", "--tool=cachegrind", "--cache-sim=no"]
    tool.append("--cachegrind-out-file=/dev/null")
    done = subprocess.run([*tool, *command], env=env, capture_output=True, text=True, check=False)
    counted = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode or not counted:
        sys.exit(f"{command}: {done.stdout}{done.stderr}")
    return int(counted[1].replace(",", ""))
