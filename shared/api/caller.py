"""Who is calling: the claims that API Gateway's authorizer verified."""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.errors import Unauthenticated
from shared.settings import settings


class Caller(NamedTuple):
    """The holder of the access token.

    Attributes:
        sub: a user, or the app client of a service.
        scopes: what the token may be used for.
    """

    sub: str
    scopes: frozenset[str]

    @property
    def is_back_office(self) -> bool:
        """Whether the merchant's back office is calling, which reaches every payment."""
        return "payments/manage" in self.scopes

    @property
    def reach(self) -> str | None:
        """Whose payments the caller reaches: the owner, or None for everybody's."""
        return None if self.is_back_office else self.sub


def caller_of(event: Mapping[str, Any], authorization: list[str]) -> Caller:
    """Return the caller of an API Gateway event; `authorization` is that header's values.

    Raises:
        Unauthenticated: the authorizer named nobody.
    """
    claims = (event["requestContext"].get("authorizer") or {}).get("claims")
    if claims is None:
        claims = _unverified_claims(authorization) if settings().is_sam_local else {}
    sub = claims.get("sub")
    if not isinstance(sub, str) or not sub:
        raise Unauthenticated
    return Caller(sub, frozenset(str(claims.get("scope", "")).split()))


def _unverified_claims(authorization: list[str]) -> Mapping[str, Any]:
    """Return what the bearer token says. `sam local` has no authorizer that would verify it."""
    try:
        [header] = authorization
        payload = header.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))  # too much is ignored
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}
