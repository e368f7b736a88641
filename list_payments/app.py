"""GET /payments?status=&limit=&cursor=: list payments, the newest first."""

from http import HTTPStatus

from list_payments.page import PageRequest
from shared.api.handlers import api_call
from shared.api.request import Request
from shared.api.response import Response
from shared.payments.shown import page_json
from shared.prime import prime
from shared.store.payments import payments


@api_call
def handler(request: Request) -> Response:
    """Take a status, a limit and a cursor, all optional; answer 200 with a page of payments."""
    asked_for = PageRequest.of(request)
    found, place = payments().page(
        asked_for.owner, asked_for.status, asked_for.limit, asked_for.after
    )
    cursor = asked_for.cursor(place)
    document = page_json(found, cursor, with_owner=request.caller.is_back_office)
    return Response(HTTPStatus.OK, document)


prime(lambda: payments().try_page())
