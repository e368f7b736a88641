"""The way in of a schedule: `@schedule` makes a Lambda handler. `shared.api.stream` has another.

Every invocation is one line of the log, and ends before the function's timeout.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from threading import BoundedSemaphore
from typing import Any

from shared.api.deadline import Context, seconds_left, within
from shared.api.line import Line
from shared.api.problems import DEFECT, problem_of
from shared.api.request import Event
from shared.errors import DeadlineExceeded
from shared.time_left import give

WORKERS = 16
"""Jobs of a schedule that run at a time."""

JOB_SECONDS = 8
"""How long one job may take."""

EventHandler = Callable[[Event, Context], dict[str, Any]]


def schedule(handler: Callable[[], Iterable[Callable[[], object]]]) -> EventHandler:
    """Make a Lambda handler of a function that yields jobs, for a schedule to run.

    WORKERS jobs run at a time, and none begins with less than JOB_SECONDS left: what is not begun
    is for the next run. A job that fails stops no other. A defect is raised at the end, and so is
    a run that is late: Lambda counts it.
    """

    @wraps(handler)
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:  # noqa: ARG001
        log = Line(function=handler.__module__.removesuffix(".app"))
        failures: list[Exception] = []
        try:
            within(context, partial(_run, handler, context, log, failures))
        except DeadlineExceeded as late:
            failures.append(late)
        for failure in failures:
            log.fail(failure)
        log.write(failed=len(failures))
        for failure in failures:
            if isinstance(failure, DeadlineExceeded) or problem_of(failure) is DEFECT:
                raise failure
        return {}

    return lambda_handler


def _run(
    handler: Callable[[], Iterable[Callable[[], object]]],
    context: Context,
    log: Line,
    failures: list[Exception],
) -> None:
    """Run the jobs of a handler; what fails is added to `failures`."""
    free = BoundedSemaphore(WORKERS)

    def run(job: Callable[[], object]) -> None:
        give(min(JOB_SECONDS, seconds_left(context)))
        try:
            job()
        except Exception as error:  # noqa: BLE001 - the boundary: the other jobs go on
            failures.append(error)
        finally:
            free.release()

    begun = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for job in handler():
                free.acquire()
                if seconds_left(context) < JOB_SECONDS:
                    break
                pool.submit(run, job)
                begun += 1
        except Exception as error:  # noqa: BLE001 - what is begun goes on
            failures.append(error)
    log.add(jobs=begun)
