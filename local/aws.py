"""DynamoDB and Cognito, by moto in this process, filled as the template says.

moto's CloudFormation knows no Cognito, so everything is made through the services' own APIs.
"""

import json
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from joserfc.jwk import KeySet, RSAKey
from moto.cognitoidp.models import cognitoidp_backends
from moto.cognitoidp.responses import CognitoIdpJsonWebKeyResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local import LocalError, loopback
from local.stack import SIGN_IN_SCOPE
from local.template import ACCOUNT, REGION, Template

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HOUR = 3600  # seconds

ACCESS_KEY = "local"  # and its secret: DynamoDB Local keeps a database for each
PASSWORD = "Local-password-1"  # noqa: S105 - every user's here, for initiate-auth

# Of what the template says, what matters on a laptop. All else is AWS's to keep.
_TABLE = (
    "TableName",
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
)
_USER_POOL = (
    "Policies",
    "Schema",
    "UsernameAttributes",
    "AliasAttributes",
    "AutoVerifiedAttributes",
    "UsernameConfiguration",
)
_RESOURCE_SERVER = ("UserPoolId", "Identifier", "Name", "Scopes")
_CLIENT = (
    "UserPoolId",
    "ClientName",
    "GenerateSecret",
    "ExplicitAuthFlows",
    "SupportedIdentityProviders",
    "CallbackURLs",
    "AllowedOAuthFlows",
    "AllowedOAuthFlowsUserPoolClient",
    "AllowedOAuthScopes",
)


def serve(server: socket.socket) -> str:
    """Serve moto on the socket; return its URL."""
    moto: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = Lock()  # moto checks a write's condition in one step and writes in another

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with one_at_a_time:
            return moto(environ, start_response)

    return loopback.serve(server, app)


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
    """

    def __init__(self, template: Template, url: str) -> None:
        """Create the pool, its scopes and its clients in this process's Cognito, served at `url`.

        Raises:
            LocalError: the template has no pool with a client for people, or Cognito refuses it.
        """
        self._cognito = _client("cognito-idp", url)
        self._client_id = ""
        self._one_at_a_time = Lock()  # nobody sees a user without the sub that stays
        try:
            self._create(template)
        except (BotoCoreError, ClientError) as error:
            raise LocalError(f"Cognito: {error}") from None
        # moto signs with a key that comes with it, known to everybody: a new one, under its name.
        key = RSAKey.generate_key(2048, {"kid": "dummy", "alg": "RS256", "use": "sig"})
        self.keys = KeySet([key])
        public = json.dumps(self.keys.as_dict(private=False))
        self._moto = cognitoidp_backends[ACCOUNT][REGION].user_pools[self._id]
        self._moto.json_web_key = key
        CognitoIdpJsonWebKeyResponse.json_web_key = public.encode()

    def _create(self, template: Template) -> None:
        pools = template.resources("AWS::Cognito::UserPool", _USER_POOL)
        if len(pools) != 1:
            raise LocalError(f"{template.path.name}: the laptop runs one user pool")
        [(logical_id, properties)] = pools.items()
        pool = self._cognito.create_user_pool(PoolName=logical_id, **properties)["UserPool"]
        self._id = template.ids[logical_id] = pool["Id"]

        self._scopes = {SIGN_IN_SCOPE}
        servers = template.resources("AWS::Cognito::UserPoolResourceServer", _RESOURCE_SERVER)
        for properties in servers.values():
            self._cognito.create_resource_server(**properties)
            self._scopes |= {
                f"{properties['Identifier']}/{scope['ScopeName']}"
                for scope in properties.get("Scopes", [])
            }

        clients = template.resources("AWS::Cognito::UserPoolClient", _CLIENT)
        for logical_id, properties in clients.items():
            properties.setdefault("ClientName", logical_id)
            client = self._cognito.create_user_pool_client(**properties)["UserPoolClient"]
            template.ids[logical_id] = client["ClientId"]
            if "code" in properties.get("AllowedOAuthFlows", []):
                self._client_id = client["ClientId"]
                self._client_scopes = properties["AllowedOAuthScopes"]
                self._scopes |= set(self._client_scopes)
        if not self._client_id:
            raise LocalError(f"{template.path.name}: no app client signs people in (flow: code)")

    def token(self, user: str, scopes: Iterable[str] = (), *, expired: bool = False) -> str:
        """Return an access token as Cognito's OAuth endpoint issues it, good for an hour.

        Without scopes it carries all that the people's app client may ask for. A user's `sub` is
        the same in every process, so payments in a store that outlasts this one keep their owner.

        Raises:
            LocalError: there is no such scope, or Cognito refuses the user's name.
        """
        granted = list(scopes) or self._client_scopes
        if unknown := sorted(set(granted) - self._scopes):
            known = " ".join(sorted(self._scopes))
            raise LocalError(f"no such scope: {' '.join(unknown)}. There are: {known}")
        issued = int(time.time()) - (2 * _HOUR if expired else 0)
        claims = {
            "auth_time": issued,
            "iat": issued,
            "exp": issued + _HOUR,
            "scope": " ".join(granted),
            "version": 2,
            "origin_jti": str(uuid4()),
        }
        username = self._user(user)
        token, _ = self._moto.create_jwt(self._client_id, username, "access", extra_data=claims)
        return str(token)

    def _user(self, name: str) -> str:
        """Return the user name, an e-mail address, of a user who is there from now on."""
        email = name if "@" in name else f"{name}@example.com"
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
        return email


def _client(service: str, url: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}),
    )
