"""Lambda's side of one function, run in a process of its own that imports nothing else of local/.

    python worker.py ARN TIMEOUT

It says {"sources"} once the handler is imported, then takes an event a line and says
{"answer", "sources"} a line; {"error"} where one of the two failed. It reads from what was stdin
and says it on what was stdout: what the handler prints goes to stderr, as Lambda's goes to the log.
"""

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

Handler = Callable[[Any, "Context"], Any]


class Context:
    """The handler's second argument (Lambda Developer Guide, "Lambda context object in Python")."""

    def __init__(self, function_arn: str, seconds: str) -> None:
        self._deadline = time.monotonic() + float(seconds)
        self.aws_request_id = str(uuid4())
        self.invoked_function_arn = function_arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""
        return max(0, round((self._deadline - time.monotonic()) * 1000))


def main() -> None:
    """Import the handler, then answer events until stdin ends."""
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)

    def say(**reply: Any) -> None:
        replies.write(json.dumps(reply) + "\n")

    root, name = os.environ["LAMBDA_TASK_ROOT"], os.environ["_HANDLER"]
    sys.path.insert(0, root)
    module, _, function = name.replace("/", ".").rpartition(".")
    try:
        handler: Handler = getattr(importlib.import_module(module), function)
    except BaseException as error:  # noqa: BLE001 - sys.exit() too
        where = _where(error, root) or f"{module.replace('.', '/')}.py:1"
        say(error=f"{where}: {_words(error)}")
        return
    say(sources=_sources(root))
    for line in requests:
        try:
            say(answer=_call(handler, json.loads(line)), sources=_sources(root))
        except Exception as error:  # noqa: BLE001
            traceback.print_exception(error)
            say(error=f"{_where(error, root)}: {_words(error)}", sources=_sources(root))


def _call(handler: Handler, event: Any) -> Any:
    headers = event.get("headers", {}) if isinstance(event, dict) else {}
    os.environ["_X_AMZN_TRACE_ID"] = headers.get("X-Amzn-Trace-Id", "")
    return handler(event, Context(*sys.argv[1:]))


def _sources(root: str) -> list[str]:
    """Return the project's files that are imported by now."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [file for file in files if file and _in_project(file, root)]


def _in_project(file: str, root: str) -> bool:
    return file.startswith(f"{root}{os.sep}") and not file.startswith(f"{sys.prefix}{os.sep}")


def _where(error: BaseException, root: str) -> str | None:
    """Return the file and line of the project that the error comes from."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    ours = [(file, line) for file, line in places if _in_project(file, root)]
    return f"{Path(ours[-1][0]).relative_to(root)}:{ours[-1][1]}" if ours else None


def _words(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"


if __name__ == "__main__":
    main()
