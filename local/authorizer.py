"""A REST API's Cognito authorizer: whose token it is, and whether it may call this method."""

from datetime import datetime, timezone
from typing import Any

from joserfc.errors import BadSignatureError, ExpiredTokenError

from local.refusal import RefusedError
from local.users import UserPool


def authorize(
    authorization: str | None, scopes: tuple[str, ...], users: UserPool
) -> dict[str, str]:
    """Return the claims of the token in an Authorization header, as API Gateway passes them on.

    A method with scopes takes access tokens with any one of them, a method without takes ID tokens.

    Raises:
        RefusedError: the token is missing, not valid, expired, or lacks a scope.
    """
    if not authorization:
        raise RefusedError("UNAUTHORIZED", "no Authorization header")
    scheme, _, token = authorization.strip().rpartition(" ")
    if scheme.lower() not in ("", "bearer"):  # API Gateway takes a bare token as well
        raise RefusedError("UNAUTHORIZED", "the Authorization header has no bearer token")
    try:
        claims = users.verify(token, "access" if scopes else "id")
    except ExpiredTokenError:
        raise RefusedError("EXPIRED_TOKEN", "the token has expired: make -s token") from None
    except BadSignatureError:
        why = "the token is signed by no key of this pool"
        raise RefusedError("UNAUTHORIZED", f"{why}: make -s token") from None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it
        raise RefusedError("UNAUTHORIZED", f"the token is not valid: {error}") from None
    if scopes and not set(scopes) & set(str(claims.get("scope", "")).split()):
        raise RefusedError("ACCESS_DENIED", f"the token has none of {' '.join(scopes)}")
    return {name: _text(name, value) for name, value in claims.items()}


def _text(name: str, value: Any) -> str:
    """Write a claim as API Gateway does: everything is a string, two times are Java's dates."""
    if name in ("exp", "iat"):
        return f"{datetime.fromtimestamp(value, timezone.utc):%a %b %d %H:%M:%S UTC %Y}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)
