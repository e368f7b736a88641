"""DynamoDB and Cognito, by moto in this process, filled as the template says.

moto's CloudFormation knows no Cognito, so everything is made through the services' own APIs.
"""

import json
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from moto.cognitoidp.models import cognitoidp_backends
from moto.cognitoidp.responses import CognitoIdpJsonWebKeyResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local import LocalError
from local.stack import SIGN_IN_SCOPE
from local.template import ACCOUNT, REGION, Template

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HOUR = 3600  # seconds

ACCESS_KEY = "local"  # and its secret: DynamoDB Local keeps a database for each
PASSWORD = "Local-password-1"  # noqa: S105 - every user's here, for initiate-auth

# Of what the template says, what matters on a laptop. All else is AWS's to keep.
_TABLE = (
    "TableName AttributeDefinitions KeySchema BillingMode ProvisionedThroughput"
    " GlobalSecondaryIndexes LocalSecondaryIndexes StreamSpecification"
)
_USER_POOL = (
    "Policies Schema UsernameAttributes AliasAttributes AutoVerifiedAttributes"
    " UsernameConfiguration"
)
_RESOURCE_SERVER = "UserPoolId Identifier Name Scopes"
_CLIENT = (
    "UserPoolId ClientName GenerateSecret ExplicitAuthFlows SupportedIdentityProviders CallbackURLs"
    " AllowedOAuthFlows AllowedOAuthFlowsUserPoolClient AllowedOAuthScopes"
)


def moto() -> "WSGIApplication":
    """Return AWS's services as an application that answers one call at a time.

    moto checks a write's condition in one step and writes in another.
    """
    services: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = Lock()

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with one_at_a_time:
            return services(environ, start_response)

    return app


def create_tables(template: Template, url: str) -> list[str]:
    """Create the template's tables in the DynamoDB at `url`, unless they are there; return names.

    Raises:
        LocalError: no DynamoDB answers there, or it refuses a table.
    """
    tables = []
    try:
        dynamodb = _client("dynamodb", url)
        for logical_id, properties in template.resources("AWS::DynamoDB::Table", _TABLE).items():
            name = template.ids[logical_id] = properties.setdefault("TableName", logical_id)
            if stream := properties.get("StreamSpecification"):
                stream["StreamEnabled"] = True  # a template does not say it
            with suppress(dynamodb.exceptions.ResourceInUseException):
                dynamodb.create_table(**properties)
            dynamodb.get_waiter("table_exists").wait(
                TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
            )
            tables.append(name)
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        raise LocalError(f"DynamoDB at {url}: {error}") from None
    return tables


class UserPool:
    """The template's user pool. Its users are made as they are asked for.

    Attributes:
        keys: the public keys that its tokens verify with.
        scopes: what people's app client offers.
    """

    def __init__(self, template: Template, url: str) -> None:
        """Create the pool, its scopes and its clients in this process's Cognito, served at `url`.

        Raises:
            LocalError: the template has no pool with a client for people, or Cognito refuses it.
        """
        self._cognito = _client("cognito-idp", url)
        self._one_at_a_time = Lock()  # nobody sees a user without the sub that stays
        try:
            self._create(template)
        except (BotoCoreError, ClientError) as error:
            raise LocalError(f"Cognito: {error}") from None
        # moto signs with a key that comes with it, known to everybody: a new one, under its name.
        self._key = RSAKey.generate_key(2048, {"kid": "dummy", "alg": "RS256", "use": "sig"})
        self.keys = KeySet([self._key])
        self._moto = cognitoidp_backends[ACCOUNT][REGION].user_pools[self._id]
        self._moto.json_web_key = self._key
        public = json.dumps(self.keys.as_dict(private=False))
        CognitoIdpJsonWebKeyResponse.json_web_key = public.encode()
        if self._ignores_case:  # and moto does not
            self._moto._get_user = self._find  # type: ignore[method-assign,assignment]

    def _create(self, template: Template) -> None:
        pools = template.resources("AWS::Cognito::UserPool", _USER_POOL)
        if len(pools) != 1:
            raise LocalError(f"{template.path.name}: the laptop runs one user pool")
        [(logical_id, properties)] = pools.items()
        pool = self._cognito.create_user_pool(PoolName=logical_id, **properties)["UserPool"]
        self._id = template.ids[logical_id] = pool["Id"]
        names = properties.get("UsernameConfiguration", {})
        self._ignores_case = not names.get("CaseSensitive", True)

        servers = template.resources("AWS::Cognito::UserPoolResourceServer", _RESOURCE_SERVER)
        for properties in servers.values():
            self._cognito.create_resource_server(**properties)

        self._clients: list[dict[str, Any]] = []
        clients = template.resources("AWS::Cognito::UserPoolClient", _CLIENT)
        for logical_id, properties in clients.items():
            properties.setdefault("ClientName", logical_id)
            client = self._cognito.create_user_pool_client(**properties)["UserPoolClient"]
            template.ids[logical_id] = client["ClientId"]
            self._clients.append(client)
        # People's comes first: a token is theirs wherever it can be.
        self._clients.sort(key=lambda client: not _is_for_people(client))
        if not any(map(_is_for_people, self._clients)):
            raise LocalError(f"{template.path.name}: no app client signs people in (flow: code)")
        self.scopes = _offered(self._clients[0])

    def token(self, user: str, scopes: Collection[str] = (), *, expired: bool = False) -> str:
        """Return an access token as Cognito's OAuth endpoint issues it, good for an hour.

        Without scopes it carries all that people's app client offers. Scopes that this client does
        not offer make it a service's token: of the client that offers them all. A user's `sub` is
        the same in every process, so payments in a store that outlasts this one keep their owner; a
        service's is the client's id.

        Raises:
            LocalError: no client offers the scopes, or Cognito refuses the user's name.
        """
        client = self._client_for(scopes)
        issued = int(time.time()) - (2 * _HOUR if expired else 0)
        claims = {
            "sub": client["ClientId"],
            "iss": f"https://cognito-idp.{REGION}.amazonaws.com/{self._id}",
            "client_id": client["ClientId"],
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
        return jwt.encode({"kid": "dummy", "alg": "RS256"}, claims, self._key)

    def _client_for(self, scopes: Collection[str]) -> dict[str, Any]:
        offers = [_offered(client) for client in self._clients]
        for client, offered in zip(self._clients, offers, strict=True):
            if set(scopes) <= offered:
                return client
        there_are = sorted(set().union(*offers))
        unknown = [scope for scope in scopes if scope not in there_are]
        problem = "no such scope" if unknown else "no app client offers all of these"
        wrong = " ".join(unknown or scopes)
        raise LocalError(f"{problem}: {wrong}. There are: {' '.join(there_are)}")

    def _sub(self, name: str) -> str:
        """Return the sub of a user, an e-mail address, who is there from now on."""
        email = name if "@" in name else f"{name}@example.com"
        if self._ignores_case:
            email = email.lower()
        user = {"UserPoolId": self._id, "Username": email}
        try:
            with self._one_at_a_time, suppress(self._cognito.exceptions.UsernameExistsException):
                self._cognito.admin_create_user(**user, MessageAction="SUPPRESS")
                self._cognito.admin_set_user_password(**user, Password=PASSWORD, Permanent=True)
                made = self._moto._get_user(email)  # no API sets a sub
                made.id = str(uuid5(NAMESPACE_URL, f"mailto:{email}"))
                made.update_attributes([{"Name": "sub", "Value": made.id}])
        except ClientError as error:
            message = error.response["Error"]["Message"]
            raise LocalError(f"no user can be named {name!r}: {message}") from None
        return str(self._moto._get_user(email).id)

    def _find(self, name: str) -> Any:
        for user in self._moto.users.values():
            names = [each["Value"] for each in user.attributes if each["Name"] in ("email", "sub")]
            if name.lower() in map(str.lower, (user.username, *names)):
                return user
        return None


def _is_for_people(client: Mapping[str, Any]) -> bool:
    return "code" in client.get("AllowedOAuthFlows", [])


def _offered(client: Mapping[str, Any]) -> set[str]:
    # No client lists the scope of initiate-auth, and any person's token may have it.
    of_sign_in = {SIGN_IN_SCOPE} if _is_for_people(client) else set()
    return {*client.get("AllowedOAuthScopes", []), *of_sign_in}


def _client(service: str, url: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}),
    )
