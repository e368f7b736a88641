"""The ways in: a decorator for each makes a Lambda handler of a plain function.

    @api_call      an HTTP call by an authenticated caller
    @public_call   an HTTP call that nobody authenticated: a webhook, a health check
    @stream        each record of a DynamoDB stream
    @schedule      a run of a schedule

Every invocation is one line of the log. An HTTP call is answered whatever happens: an error that
`shared.api.problems` knows as its problem, any other as a defect, whose stack goes to the log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from threading import BoundedSemaphore
from time import perf_counter
from typing import Any, TypeVar

from shared.api.deadline import Context, seconds_left, within
from shared.api.log import count, logger, pseudonym, stack
from shared.api.problems import DEFECT, problem_of, to_response
from shared.api.request import Event, PublicRequest, Request
from shared.api.response import Response
from shared.settings import settings

LambdaHandler = Callable[[Event, Context], dict[str, Any]]
WORKERS = 8
"""Jobs of a schedule that run at a time."""

JOB_SECONDS = 8
"""How long one job may take."""

R = TypeVar("R", bound=PublicRequest)


def api_call(handler: Callable[[Request], Response]) -> LambdaHandler:
    """Make a Lambda handler of a function from an authenticated request to its response."""
    return _http(handler, Request)


def public_call(handler: Callable[[PublicRequest], Response]) -> LambdaHandler:
    """Make a Lambda handler of a function from a request without a caller to its response."""
    return _http(handler, PublicRequest)


def stream(handler: Callable[[Mapping[str, Any]], None]) -> LambdaHandler:
    """Make a Lambda handler of a function that takes one record of a DynamoDB stream.

    The records come in order. The first one that fails ends the batch, which Lambda sends again
    from there (DynamoDB Developer Guide, "Partial batch response"; the event source mapping needs
    ReportBatchItemFailures).
    """

    @wraps(handler)
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:  # noqa: ARG001
        log = _Line(stream=handler.__module__)
        for done, record in enumerate(event["Records"]):
            try:
                handler(record["dynamodb"])
            except Exception as error:  # noqa: BLE001 - the boundary: Lambda sends it again
                log.defect(error)
                log.write(records=done, status="failed")
                return {"batchItemFailures": [{"itemIdentifier": _sequence_number(record)}]}
        log.write(records=len(event["Records"]), status="done")
        return {"batchItemFailures": []}

    return lambda_handler


def schedule(handler: Callable[[], Iterable[Callable[[], object]]]) -> LambdaHandler:
    """Make a Lambda handler of a function that yields jobs, for a schedule to run.

    WORKERS jobs run at a time, and none begins with less than JOB_SECONDS left: what is not begun
    is for the next run. A job that fails stops no other. A defect among them is raised at the end,
    so that Lambda counts it.
    """

    @wraps(handler)
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:  # noqa: ARG001
        log = _Line(schedule=handler.__module__)
        failures: list[Exception] = []
        done = 0
        free = BoundedSemaphore(WORKERS)

        def run(job: Callable[[], object]) -> None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the boundary: the other jobs go on
                failures.append(error)
            finally:
                free.release()

        with ThreadPoolExecutor(WORKERS) as pool:
            for job in handler():
                free.acquire()
                if seconds_left(context) < JOB_SECONDS:
                    break
                pool.submit(run, job)
                done += 1
        defects = [error for error in failures if problem_of(error) is DEFECT]
        for error in defects:
            log.defect(error)
        log.write(jobs=done, failed=len(failures), **_causes(failures))
        if defects:
            raise defects[0]
        return {}

    return lambda_handler


def _http(handler: Callable[[R], Response], make_request: Callable[[Event], R]) -> LambdaHandler:
    @wraps(handler)
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:
        public = PublicRequest(event)
        log = _Line(traceId=public.trace_id, route=public.route)

        def answer() -> Response:
            request = make_request(event)
            if isinstance(request, Request):
                log.add(user=pseudonym(request.caller.sub))
            return handler(request)

        try:
            response = within(context, answer)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, the client gets an answer
            response = to_response(error, public.trace_id)
            problem = problem_of(error)
            if problem is DEFECT:
                log.defect(error)
            elif error.__cause__:
                log.add(cause=repr(error.__cause__))
            count("CallsRefused", reason=problem.name)
        log.write(status=response.status.value, **response.log)
        return {
            "statusCode": response.status.value,
            "headers": {
                "Content-Type": "application/json",
                "Cache-Control": "no-store",
                "Access-Control-Allow-Origin": settings().allowed_origin,
                "Access-Control-Expose-Headers": "Idempotent-Replayed,Location,Retry-After",
                **response.headers,
            },
            "body": response.body,
            "isBase64Encoded": False,
        }

    return lambda_handler


def _causes(errors: Sequence[Exception]) -> dict[str, object]:
    return {"causes": sorted({type(error).__name__ for error in errors})} if errors else {}


class _Line:
    """The log line of one invocation."""

    def __init__(self, **entry: object) -> None:
        self._start = perf_counter()
        self._entry = entry

    def add(self, **entry: object) -> None:
        self._entry |= entry

    def defect(self, error: Exception) -> None:
        """Log a defect on a line of its own, where its stack shows."""
        logger().error("defect", extra={**self._entry, "stack": stack(error)})

    def write(self, **entry: object) -> None:
        milliseconds = round((perf_counter() - self._start) * 1000, 3)
        logger().info("call", extra={**self._entry, **entry, "durationMs": milliseconds})


def _sequence_number(record: Mapping[str, Any]) -> str:
    number: str = record["dynamodb"]["SequenceNumber"]
    return number
