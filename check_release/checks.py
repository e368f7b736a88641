"""What a new version has to answer before it gets calls."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from check_release.functions import Release, WrongAnswer

OWNER = "release-check"
"""Who owns the payments that checks make; Cognito gives nobody such a `sub`."""

PAYMENT = {"amount": "0.01", "currency": "EUR", "description": "Made to check a release"}
NOBODYS = f"pay_{'a' * 32}"


class Call(NamedTuple):
    """A call of a function, and what it has to answer.

    Attributes:
        shows: fields of the document. A problem has to have the call's trace id, too.
        owner: who calls; None: nobody that API Gateway knows.
    """

    function: str
    status: int
    body: Mapping[str, str] | None = None
    payment_id: str = NOBODYS
    shows: Mapping[str, object] = {}
    owner: str | None = OWNER


LIFE = ("create_payment", "get_payment", "cancel_payment")

# Calls that change nothing, of functions that have no part in a life.
PROBES = (
    Call("capture_payment", 404),
    Call("confirm_payment", 404),
    Call("list_payments", 200),
    Call("paypal_webhook", 400),  # it is not signed
    Call("refund_payment", 404),
    Call("stripe_webhook", 400),
    Call("update_payment", 404, {"status": "CANCELED"}),
)

# Of what AWS calls by itself, an event and the answer: a change that nobody has to hear of, and a
# run for what is due, as in any minute.
EVENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "publish_events": (
        {"Records": [{"dynamodb": {"SequenceNumber": "1"}}]},
        {"batchItemFailures": []},
    ),
    "settle_payments": ({}, {}),
}


def check(release: Release) -> None:
    """Call the new version; a route that has no probe of its own refuses a stranger.

    Raises:
        WrongAnswer: it does not answer as it should.
    """
    function = release.function
    if function in LIFE:
        _live(release)
    elif function in EVENTS:
        event, answer = EVENTS[function]
        if release.call(function, event) != answer:
            raise WrongAnswer(f"{function} did not take its event")
    else:
        probes = {probe.function: probe for probe in PROBES}
        _ask(release, probes.get(function, Call(function, 401, owner=None)))


def _live(release: Release) -> None:
    """Create a payment, read and cancel it. The second create reads what the first has written."""
    create = Call("create_payment", 201, PAYMENT, shows={"amountMinor": 1, "currency": "EUR"})
    payment_id = _ask(release, create)["paymentId"]
    shows = {**create.shows, "paymentId": payment_id}
    _ask(release, create._replace(shows=shows))
    _ask(release, Call("get_payment", 200, None, payment_id, shows))
    _ask(release, Call("cancel_payment", 200, None, payment_id, {**shows, "status": "CANCELED"}))


def _ask(release: Release, call: Call) -> dict[str, Any]:
    """Make a call as API Gateway does; return the document that comes.

    Raises:
        WrongAnswer: it is another than should come.
    """
    trace_id = f"{OWNER}-{release.deployment_id}"
    # The version is the key: checked again, it makes no second payment.
    headers = {"Idempotency-Key": [f"{release.name}:{release.version}"]}
    event = {
        "httpMethod": "CHECK",
        "resource": call.function,
        "multiValueHeaders": headers,
        "multiValueQueryStringParameters": {"paymentId": [call.payment_id]},
        "pathParameters": {"paymentId": call.payment_id},
        "requestContext": {
            "path": f"/{call.function}",
            "extendedRequestId": trace_id,
            "authorizer": {"claims": {"sub": call.owner}},
        },
        "body": json.dumps(call.body) if call.body else None,
    }
    answer = release.call(call.function, event)
    if answer["statusCode"] != call.status:
        raise WrongAnswer(f"{call.function} answered {answer['statusCode']}, not {call.status}")
    document: dict[str, Any] = json.loads(answer["body"])
    shows = {**call.shows, "traceId": trace_id} if call.status >= 400 else call.shows
    if wrong := [name for name in shows if document.get(name) != shows[name]]:
        raise WrongAnswer(f"{call.function} answered another {', '.join(wrong)}")
    return document
