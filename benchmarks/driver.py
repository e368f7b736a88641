"""Stands where Lambda's bootstrap stands: loads one handler, and calls it.

    python -P -s -S benchmarks/driver.py RUNTIME TASK HANDLER EVENT CALLS

RUNTIME is a folder with awslambdaric, whose imports every function finds made; TASK is what Lambda
would have at /var/task. Without a handler (-) it does nothing but that: the bare runtime.
"""

import sys

runtime, task, handler, event, calls = sys.argv[1:]
sys.path[:0] = [task]
sys.path.append(runtime)

import importlib
import json

import awslambdaric.bootstrap  # noqa: F401


class Context:
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "payment"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:payment"
    memory_limit_in_mb = 512

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


if handler != "-":
    module, _, name = handler.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    with open(event) as file:
        text = file.read()
    for _ in range(int(calls)):
        answer = json.dumps(function(json.loads(text), Context()))
    if int(calls):
        assert json.loads(answer)["statusCode"] in (200, 201), answer
