"""The payment gateways of the laptop: stand-ins of Stripe and PayPal, or their own test modes."""

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from local import LocalError, aws, loopback, seen
from local.kept import kept
from local.paypal import PayPal
from local.stack import Function
from local.stripe import StripeStandIn
from local.template import STACK
from local.trouble import Troubled

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
    for gateway, keys, line in (
        _stripe(stack, port + 2, api_url, folder),
        _paypal(stack, port + 3, api_url, folder),
    ):
        ssm.put_parameter(
            Name=f"/{STACK}/gateways/{gateway}",
            Value=json.dumps(keys),
            Type="SecureString",
            Overwrite=True,
        )
        lines.append(line)
    return lines


def _stripe(
    stack: ExitStack, port: int, api_url: str, folder: Path
) -> tuple[str, Mapping[str, object], str]:
    real = _real("STRIPE_KEY", "STRIPE_WEBHOOK_SECRET")
    if real:
        key, secret = real
        if "_live_" in key:
            raise LocalError("STRIPE_KEY is of live payments: the laptop takes a test key alone")
        return "stripe", {"secretKey": key, "webhookSecrets": [secret]}, "Stripe: its test mode"
    server = loopback.listen(loopback.free(port))
    url = f"http://{loopback.HOST}:{server.getsockname()[1]}"
    key, secret = f"sk_test_{secrets.token_hex(16)}", f"whsec_{secrets.token_hex(16)}"
    app = StripeStandIn(url, key, secret, f"{api_url}/webhook/stripe")
    app.later_seconds = LATER_SECONDS
    stack.enter_context(kept(app, folder / "stripe"))
    watched = seen.watched(folder, "stripe", Troubled(app))
    stack.enter_context(loopback.serving(watched, server))
    keys = {"secretKey": app.secret_key, "webhookSecrets": [app.webhook_secret], "url": url}
    return "stripe", keys, f"Stripe: {url}, a stand-in"


def _paypal(
    stack: ExitStack, port: int, api_url: str, folder: Path
) -> tuple[str, Mapping[str, object], str]:
    real = _real("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID")
    if real:
        client_id, secret, webhook = real
        test = {"clientId": client_id, "clientSecret": secret, "url": PAYPAL_SANDBOX}
        return "paypal", {**test, "webhookIds": [webhook]}, "PayPal: its sandbox"
    app = PayPal(webhook_url=f"{api_url}/webhook/paypal")
    app.later_seconds = app.late_seconds = LATER_SECONDS
    stack.enter_context(kept(app, folder / "paypal"))
    watched = seen.watched(folder, "paypal", Troubled(app))
    app.url = stack.enter_context(loopback.serving(watched, loopback.listen(loopback.free(port))))
    own = {"clientId": app.client_id, "clientSecret": app.client_secret}
    keys = {**own, "webhookIds": [app.webhook_id], "url": app.url}
    return "paypal", keys, f"PayPal: {app.url}, a stand-in"


def _real(*names: str) -> list[str]:
    """Return the variables, or none of them.

    Raises:
        LocalError: some are set and others are not.
    """
    found = [os.environ[name] for name in names if os.environ.get(name)]
    if found and len(found) < len(names):
        raise LocalError(f"set all of {', '.join(names)}, or none of them")
    return found
