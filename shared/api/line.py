"""The log line of one invocation, and what becomes of its error."""

from time import perf_counter

from shared.api.log import count, logger, stack
from shared.api.problems import DEFECT, problem_of


class Line:
    """The log line of one invocation."""

    def __init__(self, **entry: object) -> None:
        self._start = perf_counter()
        self._entry = entry

    def add(self, **entry: object) -> None:
        """Add to what the line will say."""
        self._entry |= entry

    def fail(self, error: Exception) -> None:
        """Count an error; note its cause, or a defect's stack, on a line of its own."""
        problem = problem_of(error)
        if problem is DEFECT:
            logger().error("defect", extra={**self._entry, "stack": stack(error)})
        elif error.__cause__:
            self.add(cause=repr(error.__cause__))
        count("CallsRefused", reason=problem.name)

    def write(self, **entry: object) -> None:
        """Write the line, with the time since it was begun."""
        milliseconds = round((perf_counter() - self._start) * 1000, 3)
        logger().info("call", extra={**self._entry, **entry, "durationMs": milliseconds})
