"""The ways in: a decorator for each makes a Lambda handler of a plain function.

    @api_call      an HTTP call by an authenticated caller
    @public_call   an HTTP call that nobody authenticated: a webhook, a health check
    @stream        each record of a DynamoDB stream
    @schedule      a run of a schedule

Every invocation is one line of the log, and ends before the function's timeout. An HTTP call is
answered whatever happens: an error that `shared.api.problems` knows as its problem, any other as a
defect, whose stack goes to the log.
"""

from collections.abc import Callable, Mapping
from functools import partial, wraps
from time import perf_counter
from typing import Any, TypeVar

from shared.api.deadline import Context, seconds_left, within
from shared.api.log import count, logger, pseudonym, stack
from shared.api.problems import DEFECT, problem_of, to_response
from shared.api.request import Event, PublicRequest, Request
from shared.api.response import Response
from shared.settings import settings

LambdaHandler = Callable[[Event, Context], dict[str, Any]]
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
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:
        log = _Line(function=handler.__module__.removesuffix(".app"))
        records = event["Records"]
        for done, record in enumerate(records):
            try:
                within(context, partial(handler, record))
            except Exception as error:  # noqa: BLE001 - the boundary: Lambda sends it again
                log.fail(error)
                log.write(status="failed", records=done)
                failed = record["dynamodb"]["SequenceNumber"]
                return {"batchItemFailures": [{"itemIdentifier": failed}]}
        log.write(status="done", records=len(records))
        return {"batchItemFailures": []}

    return lambda_handler


def schedule(handler: Callable[[Callable[[], float]], Mapping[str, object]]) -> LambdaHandler:
    """Make a Lambda handler of a function that a schedule runs.

    It is given a function that returns the seconds left to work in, and returns what to log. An
    error is logged and raised: Lambda counts it, and the next run is a new try.
    """

    @wraps(handler)
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:  # noqa: ARG001
        log = _Line(function=handler.__module__.removesuffix(".app"))
        try:
            done = within(context, partial(handler, partial(seconds_left, context)))
        except Exception as error:
            log.fail(error)
            log.write(status="failed")
            raise
        log.write(status="done", **done)
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
            log.fail(error)
            response = to_response(error, public.trace_id)
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


class _Line:
    """The log line of one invocation."""

    def __init__(self, **entry: object) -> None:
        self._start = perf_counter()
        self._entry = entry

    def add(self, **entry: object) -> None:
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
        milliseconds = round((perf_counter() - self._start) * 1000, 3)
        logger().info("call", extra={**self._entry, **entry, "durationMs": milliseconds})
