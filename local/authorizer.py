"""A REST API's Cognito authorizer: whose token it is, and whether it may call this method."""

from datetime import datetime, timezone
from typing import Any

from joserfc import jwt
from joserfc.errors import BadSignatureError, ExpiredTokenError
from joserfc.jwk import KeySet

from local.refusal import RefusedError
from local.stack import Auth
from local.template import REGION


def authorize(authorization: str | None, auth: Auth, keys: KeySet) -> dict[str, str]:
    """Return the claims of the token in an Authorization header, as API Gateway passes them on.

    A method with scopes takes access tokens with any one of them, a method without takes ID tokens.

    Raises:
        RefusedError: the token is missing, not valid, expired, or lacks a scope.
    """
    if not authorization:
        raise RefusedError("UNAUTHORIZED", f"no {auth.header} header")
    scheme, _, token = authorization.strip().rpartition(" ")
    if scheme.lower() not in ("", "bearer"):  # API Gateway takes a bare token as well
        raise RefusedError("UNAUTHORIZED", f"the {auth.header} header has no bearer token")
    issuers = [f"https://cognito-idp.{REGION}.amazonaws.com/{pool}" for pool in auth.pools]
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "values": issuers},
        exp={"essential": True},
        sub={"essential": True},
        token_use={"essential": True, "value": "access" if auth.scopes else "id"},
    )
    try:
        claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
        registry.validate(claims)
    except ExpiredTokenError:
        raise RefusedError("EXPIRED_TOKEN", "the token has expired: make -s token") from None
    except BadSignatureError:
        why = "the token is signed by no key of this pool, whose keys every start makes anew"
        raise RefusedError("UNAUTHORIZED", f"{why}: make -s token") from None
    except Exception as error:  # noqa: BLE001 - a header may hold what joserfc does not expect
        raise RefusedError("UNAUTHORIZED", f"the token is not valid: {error}") from None
    if auth.scopes and not set(auth.scopes) & set(str(claims.get("scope", "")).split()):
        raise RefusedError("ACCESS_DENIED", f"the token has none of {' '.join(auth.scopes)}")
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
