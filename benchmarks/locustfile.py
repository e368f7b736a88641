"""`make load`: callers who each create a payment and read it, again and again."""

# Locust is not in this environment.
# mypy: ignore-errors

import os

import gevent
from locust import FastHttpUser, events, task


class Caller(FastHttpUser):
    """One caller, on one connection."""

    default_headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}  # noqa: RUF012

    @task
    def create_and_read(self) -> None:
        """Create a payment and read it."""
        with self.rest("POST", "/payment", json={"amount": "10.50", "currency": "USD"}) as created:
            payment_id = (created.js or {}).get("paymentId")
        self.client.get(f"/payment?paymentId={payment_id}", name="/payment?paymentId=")


@events.init.add_listener
def let_the_clock_catch_up(**_: object) -> None:
    """Turn gevent's loop once: else `--run-time` counts from before the imports, seconds ago."""
    gevent.sleep(0)
