"""The payment gateways of the laptop: stand-ins of Stripe and PayPal, or their own test modes."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from werkzeug import Request

from local import LocalError, aws, loopback, seen
from local.kept import kept
from local.paypal import PayPal
from local.stack import Function
from local.standin import Json, StandIn
from local.stripe import StripeStandIn
from local.template import STACK
from local.trouble import troubled

NAMES = "manual,stripe,paypal"
PAYPAL_SANDBOX = "https://api-m.sandbox.paypal.com"

LATER_SECONDS = 60.0
"""How long what takes time at a stand-in takes, and how late a webhook is that comes late."""


def turn_on(functions: Iterable[Function]) -> Iterator[Function]:
    """Yield the functions, with all gateways where they ask which there are."""
    for function in functions:
        on = {"GATEWAYS": NAMES} if "GATEWAYS" in function.environment else {}
        yield function._replace(environment={**function.environment, **on})


def serve(stack: ExitStack, port: int, api_url: str, aws_url: str, folder: Path) -> list[str]:
    """Serve the gateways, and keep their keys where the functions look for them.

    What a stand-in remembers stays in the folder, and so does what was seen of its calls.

    STRIPE_KEY and STRIPE_WEBHOOK_SECRET, or PAYPAL_CLIENT_ID, PAYPAL_CLIENT_SECRET and
    PAYPAL_WEBHOOK_ID, in the environment take the place of a stand-in.

    Returns:
        A line on each, to print.

    Raises:
        LocalError: a key is of live payments, or comes without the others.
    """
    ssm = aws.client("ssm", aws_url)
    lines = []
    for at, app, real, line in (
        (port + 2, StripeStandIn(), _stripe(), "Stripe: its test mode"),
        (port + 3, PayPal(), _paypal(), "PayPal: its sandbox"),
    ):
        keys = real or _stand_in(stack, app, at, api_url, folder)
        ssm.put_parameter(
            Name=f"/{STACK}/gateways/{app.name}",
            Value=json.dumps(keys),
            Type="SecureString",
            Overwrite=True,
        )
        lines.append(line if real else f"{app.title}: {app.url}, a stand-in")
    return lines


def _stand_in(stack: ExitStack, app: StandIn, port: int, api_url: str, folder: Path) -> Json:
    """Serve a stand-in; return its keys."""
    app.webhook_url = f"{api_url}/webhook/{app.name}"
    app.later_seconds = LATER_SECONDS
    stack.enter_context(kept(app, folder / app.name))
    watched = Request.application(seen.watched(folder, app.name, troubled(app)))
    app.url = stack.enter_context(loopback.serving(watched, loopback.listen(loopback.free(port))))
    for each in (app.finish, app.deliver):  # what was under way when it was ended
        app.later(each)
    return app.keys


def _stripe() -> Json:
    """Return the keys of a test account; none: there is none."""
    found = _real("STRIPE_KEY", "STRIPE_WEBHOOK_SECRET")
    if found and "_live_" in found[0]:
        raise LocalError("STRIPE_KEY is of live payments: the laptop takes a test key alone")
    return {"secretKey": found[0], "webhookSecrets": found[1:]} if found else {}


def _paypal() -> Json:
    """Return the keys of a sandbox; none: there is none."""
    found = _real("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID")
    if not found:
        return {}
    client = {"clientId": found[0], "clientSecret": found[1]}
    return {**client, "webhookIds": found[2:], "url": PAYPAL_SANDBOX}


def _real(*names: str) -> list[str]:
    """Return the variables, or none of them.

    Raises:
        LocalError: some are set and others are not.
    """
    found = [os.environ[name] for name in names if os.environ.get(name)]
    if found and len(found) < len(names):
        raise LocalError(f"set all of {', '.join(names)}, or none of them")
    return found
