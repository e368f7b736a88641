"""What the log and the metrics say of each call of a gateway.

A call is a method of the port, with all the requests that it takes. Its outcome is one of: `done`;
`declined`, the gateway or the payer's bank refused; `unknown`, there was no answer, or none that
says what happened; `keys`, the gateway does not take the keys, or there are none.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from shared import trace
from shared.api.log import logger, measure
from shared.api.response import ids_of
from shared.errors import GatewayKeysRefused, GatewayUnavailable, InvalidRequest
from shared.gateways.heard import listen
from shared.payments.facts import Facts
from shared.payments.payment import Payment

_CODE = re.compile(r"[A-Za-z]\w{0,63}", re.A)


def asked(payment: Payment, kind: str, ask: Callable[[], Facts]) -> Facts:
    """Return what a payment's gateway says when it is asked for an operation, or to `fetch`.

    Raises:
        GatewayUnavailable: its answer is not known.
    """
    ids = ids_of(payment)
    if payment.operation:
        ids["operationId"] = payment.operation.operation_id
    with gateway_call(payment.gateway, kind, **ids) as line:
        facts = ask()
        error = facts.last_error
        if error and (facts.answers or error != payment.last_error):  # it is news
            line |= {"outcome": "declined", "code": _code(error)}
    return facts


@contextmanager
def gateway_call(gateway: str, kind: str, **ids: Any) -> Iterator[dict[str, Any]]:
    """Log what is done within as one call of a gateway, measure its time, and add it to the trace.

    What needed no request, such as a manual payment's operation, is no call. The caller may add to
    the line that it is given.
    """
    line: dict[str, Any] = {"gateway": gateway, "operation": kind, **ids}
    requests, begun = listen(), perf_counter()
    try:
        yield line
        line.setdefault("outcome", "done")
    except InvalidRequest:  # a webhook is not the gateway's
        line["outcome"] = "done"
        raise
    except GatewayUnavailable as error:
        line["outcome"] = "keys" if isinstance(error, GatewayKeysRefused) else "unknown"
        if error.__cause__:
            line["cause"] = repr(error.__cause__)
        raise
    finally:
        outcome = line.setdefault("outcome", "unknown")
        if requests or outcome != "done":
            milliseconds = round((perf_counter() - begun) * 1000, 3)
            line |= {"requestIds": list(filter(None, requests)), "durationMs": milliseconds}
            logger().info("gateway", extra=line)
            kind_of = {"gateway": gateway, "outcome": outcome}
            measure("GatewayLatency", milliseconds, "Milliseconds", **kind_of)
            is_fault = outcome in ("unknown", "keys")
            about = line.get("correlationId")
            trace.add(gateway, milliseconds / 1000, about, is_fault=is_fault)


def _code(error: Mapping[str, str]) -> str:
    """Return the gateway's code for a refusal; a text that is none may quote somebody."""
    code = str(error.get("code"))  # whatever the gateway's JSON has there
    return code if _CODE.fullmatch(code) else "other"
