"""Stands where Lambda's runtime stands: loads one handler, and calls it. Node has driver.cjs.

    python -P -s -S -B benchmarks/driver.py RUNTIME TASK HANDLER EVENT CALLS

RUNTIME is a folder with awslambdaric: what Lambda's runtime imports is there before the function.
TASK is what Lambda has at /var/task. CALLS may be 0: then the handler is loaded and not called.
Without a handler (-) this is the runtime alone.

The last line of stderr is one JSON object: the seconds of processor time at the end of the first
call and of the last, the megabytes of memory at most, and the last answer.
"""

import importlib
import json
import sys
import time


class Context:
    """What Lambda tells a function of its call."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "payment"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:payment"
    memory_limit_in_mb = 512

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until Lambda ends the call: long, for valgrind is slow."""
        return 600_000


def main(runtime: str, task: str, handler: str, event: str, calls: str) -> None:
    """Load the handler, call it so often, and report."""
    sys.path.insert(0, task)
    sys.path.append(runtime)
    importlib.import_module("awslambdaric.bootstrap")
    first, answer = 0.0, ""
    if handler != "-":
        module, _, name = handler.rpartition(".")
        function = getattr(importlib.import_module(module), name)
        if calls != "0":
            with open(event) as file:  # noqa: PTH123 - a function pays for its import of pathlib
                text = file.read()
        for _ in range(int(calls)):
            answer = json.dumps(function(json.loads(text), Context()))
            first = first or time.process_time()
    last = time.process_time()
    with open("/proc/self/status") as file:  # noqa: PTH123
        peak = next(line for line in file if line.startswith("VmHWM"))
    report = {"first": first or last, "last": last, "megabytes": int(peak.split()[1]) // 1024}
    print(json.dumps({**report, "answer": answer}), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
