"""What a payment gateway can do: facts in, facts out, no store, no API of ours."""

from collections.abc import Mapping
from typing import Protocol

from shared.payments.facts import Facts
from shared.payments.payment import Operation, Payment


class Gateway(Protocol):
    """Who moves the money.

    A method that changes something is given the operation, whose id is what makes it happen once:
    asked again with the same operation, the gateway answers what happened. What it refuses for
    good comes back as facts, with the reason in `last_error`.

    Every method raises GatewayUnavailable where the gateway's answer is not known.

    Attributes:
        is_instant: it answers without I/O, so that nothing need be written before it is asked.
        repeat_seconds: how long the same operation may be asked for again; after that, the
            gateway is only asked what happened.
    """

    is_instant: bool
    repeat_seconds: float

    def start(self, payment: Payment, operation: Operation) -> Facts:
        """Begin to take the money, or to hold it."""

    def complete(self, payment: Payment, operation: Operation) -> Facts:
        """Take a payment further after the payer acted."""

    def capture(self, payment: Payment, operation: Operation) -> Facts:
        """Take the operation's amount of the money that is held, and release what is left."""

    def cancel(self, payment: Payment, operation: Operation) -> Facts:
        """Give up the payment, and release the money that is held."""

    def refund(self, payment: Payment, operation: Operation) -> Facts:
        """Give the operation's amount back."""

    def fetch(self, payment: Payment) -> Facts:
        """Return everything that the gateway knows of the payment."""

    def payment_id_in(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """Return which payment a webhook is about; None where it is about none.

        Args:
            headers: by their names in lower case.
            body: as it was sent: it is signed.

        Raises:
            InvalidRequest: the signature over the raw body is missing, wrong or old.
        """
