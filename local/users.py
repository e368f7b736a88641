"""The template's user pool: who may have which token, and whose token it is."""

import re
import time
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid4, uuid5

from joserfc import jwt
from joserfc.jwk import RSAKey

from local import LocalError
from local.stack import SIGN_IN_SCOPE
from local.template import REGION, Template

_HOUR = 3600  # seconds


class UserPool:
    """The template's user pool.

    Attributes:
        scopes: what people's app client offers.
    """

    def __init__(self, template: Template, keys: Mapping[str, RSAKey] | None = None) -> None:
        """Read the pool and its app clients from the template.

        Its tokens are signed by the keys of their use, `access` and `id`, or by a new one.

        Raises:
            LocalError: the template has no pool with a client for people.
        """
        pools = template.resources("AWS::Cognito::UserPool", "")
        clients = template.resources(
            "AWS::Cognito::UserPoolClient", "AllowedOAuthFlows AllowedOAuthScopes CallbackURLs"
        )
        # People's comes first: a token is theirs wherever it can be.
        self._clients = sorted(
            ((template.ids[name], client) for name, client in clients.items()),
            key=lambda each: not _is_for_people(each[1]),
        )
        if len(pools) != 1 or not self._clients or not _is_for_people(self._clients[0][1]):
            needs = "one user pool, and an app client that signs people in (flow: code)"
            raise LocalError(f"{template.path.name}: the laptop needs {needs}")
        [name] = pools
        self._issuer = f"https://cognito-idp.{REGION}.amazonaws.com/{template.ids[name]}"
        self._keys = keys or dict.fromkeys(
            ("access", "id"), RSAKey.generate_key(2048, {"kid": "laptop"})
        )
        self.scopes = _offered(self._clients[0][1])

    def token(self, user: str, scopes: Collection[str] = (), *, expired: bool = False) -> str:
        """Return an access token as Cognito's OAuth endpoint issues it, good for an hour.

        Without scopes it carries all that people's app client offers. Scopes that this client does
        not offer make it a service's token: of the client that offers them all, whose id is then
        the `sub`.

        Raises:
            LocalError: no client offers the scopes, or the user's name is no e-mail address.
        """
        client_id, client = self._client_for(scopes)
        issued = int(time.time()) - (2 * _HOUR if expired else 0)
        claims = {
            "sub": client_id,
            "iss": self._issuer,
            "client_id": client_id,
            "token_use": "access",
            "scope": " ".join(scopes or client["AllowedOAuthScopes"]),
            "auth_time": issued,
            "iat": issued,
            "exp": issued + _HOUR,
            "jti": str(uuid4()),
            "version": 2,
        }
        if _is_for_people(client):
            sub = self._sub(user)
            claims |= {"sub": sub, "username": sub, "origin_jti": str(uuid4())}
        return self.sign(claims)

    def sign_in(self, url: str) -> str:
        """Return where a person of the people's client signs in, at the login's URL.

        A page of an application asks for the same, with a `state` and PKCE of its own.
        """
        outputs = self.outputs(url)
        query = {
            "response_type": "code",
            "client_id": outputs["PeopleClientId"],
            "redirect_uri": outputs["CallbackURL"],
            "scope": " ".join(self._clients[0][1]["AllowedOAuthScopes"]),
        }
        return f"{url}/oauth2/authorize?{urlencode(query, safe=':/')}"

    def outputs(self, url: str) -> dict[str, str]:
        """Return what the outputs of a stack say of the login, which is at the URL."""
        client_id, client = self._clients[0]
        callback = next(iter(client.get("CallbackURLs", [])), "")
        return {"LoginURL": url, "PeopleClientId": client_id, "CallbackURL": callback}

    def services(self) -> dict[str, str]:
        """Return what to call the app clients that act for themselves, by id: their `sub`."""
        return {
            client_id: f"service ({' '.join(client['AllowedOAuthScopes'])})"
            for client_id, client in self._clients
            if not _is_for_people(client)
        }

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token with these claims."""
        key = self._keys[claims["token_use"]]
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)

    def verify(self, token: str, use: str) -> dict[str, Any]:
        """Return the claims of a token for that use: `access` or `id`.

        Raises:
            Exception: whatever joserfc says, and what it stumbles over in a token's header.
        """
        claims = jwt.decode(token, self._keys[use], algorithms=["RS256"]).claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self._issuer},
            exp={"essential": True},
            sub={"essential": True},
            token_use={"essential": True, "value": use},
        ).validate(claims)
        return claims

    def _client_for(self, scopes: Collection[str]) -> tuple[str, dict[str, Any]]:
        for client_id, client in self._clients:
            if set(scopes) <= _offered(client):
                return client_id, client
        known = sorted({scope for _, client in self._clients for scope in _offered(client)})
        unknown = [scope for scope in scopes if scope not in known]
        problem = "no such scope" if unknown else "no app client offers all of these"
        wrong = " ".join(unknown or scopes)
        raise LocalError(f"{problem}: {wrong}. There are: {' '.join(known)}")

    def sub_of(self, email: str) -> str:
        """Return the `sub` of a user: here, whoever is asked for is one."""
        return str(uuid5(NAMESPACE_URL, email))

    def _sub(self, name: str) -> str:
        email = name if "@" in name else f"{name}@example.com"
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            raise LocalError(f"no user can be named {name!r}: {email!r} is no e-mail address")
        return self.sub_of(email.lower())


def _is_for_people(client: Mapping[str, Any]) -> bool:
    return "code" in client.get("AllowedOAuthFlows", [])


def _offered(client: Mapping[str, Any]) -> set[str]:
    # No client lists the scope of initiate-auth, and any person's token may have it.
    of_sign_in = {SIGN_IN_SCOPE} if _is_for_people(client) else set()
    return {*client.get("AllowedOAuthScopes", []), *of_sign_in}
