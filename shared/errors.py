"""Everything that can go wrong, as exceptions that know no HTTP.

    PaymentApiError
    ├── InvalidRequest          what was sent is wrong; every wrong field is named
    ├── UnsupportedMediaType    the body says that it is not JSON
    ├── RequestTooLarge         the body is larger than any payment
    ├── Unauthenticated         nobody says who is calling
    ├── PaymentNotFound         no such payment of the caller's
    ├── IdempotencyKeyReused    the key belongs to another payment of the caller's
    └── StoreUnavailable        the store is throttled or away; safe to repeat with the same key

Their messages go to the client: they hold no token, no card number and no stack. `StoreRefused` is
none of them: it is a defect, of the code's or the stack's.
"""

from typing import NamedTuple

from shared.cards import has_card_number


class FieldError(NamedTuple):
    """One thing wrong with a request: the field's name, and what would be right."""

    field: str
    message: str

    def shown(self) -> "FieldError":
        """Return it fit for an answer: a client may have chosen the name, and a card number."""
        if has_card_number(self.field[:100]):
            return self._replace(field="(a card number)")
        return self if len(self.field) <= 60 else self._replace(field=f"{self.field[:60]}…")


class PaymentApiError(Exception):
    """The base of every error that a client is told about."""


class InvalidRequest(PaymentApiError):
    """The request breaks a rule of the contract; `errors` lists every broken one."""

    def __init__(self, *errors: FieldError) -> None:
        self.errors = [error.shown() for error in errors]
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in self.errors))


class UnsupportedMediaType(PaymentApiError):
    """The body's Content-Type is not JSON."""


class RequestTooLarge(PaymentApiError):
    """The body is larger than any payment can be."""


class Unauthenticated(PaymentApiError):
    """The event carries no verified caller."""


class PaymentNotFound(PaymentApiError):
    """There is no such payment, or it belongs to somebody else: the caller cannot tell which."""


class IdempotencyKeyReused(PaymentApiError):
    """The caller used this key before, for a payment that differs from this one."""


class StoreUnavailable(PaymentApiError):
    """The store did not answer, or asked to slow down; whether a write happened is unknown."""


class StoreRefused(Exception):
    """The store refuses a call for good, for the reason that its `code` names."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)
