"""The gateway for money that moves elsewhere: people say what happened, and it happened."""

from collections.abc import Mapping

from shared.errors import FieldError, InvalidRequest
from shared.gateways.port import Gateway
from shared.payments.facts import Facts, RefundFacts
from shared.payments.lifecycle import CANCELED, CAPTURED, PROCESSING
from shared.payments.payment import Operation, Payment


class Manual(Gateway):
    """Agrees with everything at once; knows no more than the payment itself."""

    is_instant = True
    repeat_seconds = float("inf")

    def start(self, payment: Payment, operation: Operation) -> Facts:  # noqa: ARG002, D102
        return Facts(PROCESSING)

    def complete(self, payment: Payment, operation: Operation) -> Facts:  # noqa: D102
        return self.start(payment, operation)

    def capture(self, payment: Payment, operation: Operation) -> Facts:  # noqa: D102
        return Facts(CAPTURED, operation.amount_minor or payment.amount_minor)

    def cancel(self, payment: Payment, operation: Operation) -> Facts:  # noqa: ARG002, D102
        return Facts(CANCELED)

    def refund(self, payment: Payment, operation: Operation) -> Facts:  # noqa: D102
        assert operation.refund_id  # noqa: S101 - as every refund has
        assert operation.amount_minor  # noqa: S101
        given_back = RefundFacts(operation.refund_id, operation.amount_minor, "SUCCEEDED")
        return Facts(payment.state, payment.captured_minor, (given_back,))

    def fetch(self, payment: Payment) -> Facts:  # noqa: D102
        return Facts(payment.state, payment.captured_minor)

    def payment_id_in(self, headers: Mapping[str, str], body: bytes) -> str | None:  # noqa: ARG002, D102
        raise InvalidRequest(FieldError("body", "manual payments have no webhook"))
