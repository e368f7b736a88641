"""The ways in for HTTP: a decorator for each makes a Lambda handler of a plain function.

    @api_call      a call by an authenticated caller
    @public_call   a call that nobody authenticated: a webhook, a health check

`shared.api.events` has the others. Every invocation is one line of the log, and ends before the
function's timeout. A call is answered whatever happens: an error that `shared.api.problems` knows
as its problem, any other as a defect, whose stack goes to the log.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from shared.api.deadline import Context, within
from shared.api.line import Line
from shared.api.log import pseudonym
from shared.api.problems import to_response
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


def _http(handler: Callable[[R], Response], make_request: Callable[[Event], R]) -> LambdaHandler:
    @wraps(handler)
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:
        public = PublicRequest(event)
        log = Line(traceId=public.trace_id, route=public.route)

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
                "Access-Control-Expose-Headers": "ETag,Idempotent-Replayed,Location,Retry-After",
                **response.headers,
            },
            "body": response.body,
            "isBase64Encoded": False,
        }

    return lambda_handler
