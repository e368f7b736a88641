"""Everything that can go wrong, as exceptions that know no HTTP.

    PaymentApiError
    ├── InvalidRequest          the request breaks a rule; every wrong field is named
    ├── UnsupportedMediaType    the body says that it is not JSON
    ├── RequestTooLarge         the body is larger than any request can be
    ├── Unauthenticated         the event carries no verified caller
    ├── PaymentNotFound         the caller has no such payment
    ├── IdempotencyKeyReused    the key belongs to another payment or refund
    ├── StatusConflict          the status of the payment does not allow the call
    ├── OperationUnderWay       its gateway was asked for something else, and has not answered
    ├── VersionMismatch         If-Match names another version
    └── Unavailable             something needed is busy or away; the call is safe to repeat
        ├── StoreUnavailable
        ├── BusUnavailable
        ├── GatewayUnavailable
        │   └── GatewayKeysRefused  its keys are missing, or it does not take them
        └── DeadlineExceeded

`shared.api.problems` says what a client is told about each. `StoreRefused` and `BusRefused` are not
among them: they are defects of the code or of the stack.
"""

from collections.abc import Sequence
from typing import NamedTuple


class FieldError(NamedTuple):
    """One thing wrong with a request: the field's name, and what would be right."""

    field: str
    message: str


class PaymentApiError(Exception):
    """The base of every error that a client is told about. Its text, if any, is for the client."""


class InvalidRequest(PaymentApiError):
    """The request breaks a rule of the contract; `errors` lists every broken one."""

    def __init__(self, *errors: FieldError) -> None:
        self.errors = errors
        super().__init__(*errors)


class UnsupportedMediaType(PaymentApiError):
    """The body's Content-Type is not JSON in UTF-8."""


class RequestTooLarge(PaymentApiError):
    """The body is larger than any request can be."""


class Unauthenticated(PaymentApiError):
    """The event carries no verified caller."""


class PaymentNotFound(PaymentApiError):
    """There is no such payment, or it belongs to somebody else: the caller cannot tell which."""


class IdempotencyKeyReused(PaymentApiError):
    """The caller used this key before, for something that differs from this."""


class StatusConflict(PaymentApiError):
    """The status of the payment does not allow the call.

    Attributes:
        status: the payment's.
        allowed: the statuses that it may become.
    """

    def __init__(self, status: str, allowed: Sequence[str], message: str) -> None:
        self.status = status
        self.allowed = allowed
        super().__init__(message)


class OperationUnderWay(PaymentApiError):
    """The gateway was asked for something else, and its answer is not known yet."""


class VersionMismatch(PaymentApiError):
    """If-Match names another version of the payment."""


class Unavailable(PaymentApiError):
    """Something that the call needs is busy or away; whether a change happened is unknown."""


class StoreUnavailable(Unavailable):
    """The store did not answer, or asked to slow down; whether a write happened is unknown."""


class BusUnavailable(Unavailable):
    """The event bus did not answer, or asked to slow down; it may have taken the events."""


class GatewayUnavailable(Unavailable):
    """The gateway did not answer, or not so that its answer is known; it may have acted."""


class GatewayKeysRefused(GatewayUnavailable):
    """The gateway's keys are missing, revoked or wrong: a person has to put them right."""


class DeadlineExceeded(Unavailable):
    """The call was not done shortly before Lambda would have ended the function."""


class Refused(Exception):
    """A service of AWS refuses a call for good, for the reason that its `code` names."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class StoreRefused(Refused):
    """The store does."""


class BusRefused(Refused):
    """The event bus does: a whole call, or one event in it."""
