"""Stands where Lambda's bootstrap stands: loads one handler, and calls it.

    python -P -s -S -B benchmarks/driver.py RUNTIME TASK HANDLER EVENT CALLS

RUNTIME is a folder with awslambdaric, whose imports every function finds made; TASK is what Lambda
would have at /var/task. Without a handler (-) it does nothing but that: the bare runtime.
"""

import importlib
import json
import sys


class Context:
    """What Lambda tells a function of its call."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "payment"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:payment"
    memory_limit_in_mb = 512

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until Lambda ends the call."""
        return 10_000


def main(runtime: str, task: str, handler: str, event: str, calls: str) -> None:
    """Load the handler and call it so often."""
    sys.path.insert(0, task)
    sys.path.append(runtime)
    importlib.import_module("awslambdaric.bootstrap")
    if handler == "-":
        return
    module, _, name = handler.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    with open(event) as file:  # noqa: PTH123 - pathlib is an import that a function may not make
        text = file.read()
    answer = ""
    for _ in range(int(calls)):
        answer = json.dumps(function(json.loads(text), Context()))
    if json.loads(answer)["statusCode"] not in (200, 201):
        sys.exit(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
