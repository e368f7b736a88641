"""Cognito on the laptop: the template's user pool in the emulator, and a password for its users."""

import json
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.request import urlopen

from joserfc.jwk import RSAKey

from local import aws
from local.template import STACK, Template
from local.users import UserPool

SEEDS = ("alice@example.com", "bob@example.com")


class Cognito(UserPool):
    """The template's pool, made on the first start and found on later ones.

    Attributes:
        password: what signs every user of it in; made at random on the first start.
    """

    def __init__(self, template: Template, url: str, folder: Path) -> None:
        """Make what is missing, and give the template the ids."""
        self._client = aws.client("cognito-idp", url)
        self._id = self._make_pool(template)
        self._make_scopes(template)
        self._make_clients(template)
        super().__init__(template, _keys(self._id, url, folder))
        self.password = _password(folder / "password")
        for email in SEEDS:
            self.sub_of(email)

    @cache  # noqa: B019 - there is one
    def sub_of(self, email: str) -> str:
        """Return the `sub` of a user, who is made if there is none."""
        named = {"UserPoolId": self._id, "Username": email}
        try:
            user = self._client.admin_get_user(**named)["UserAttributes"]
        except self._client.exceptions.UserNotFoundException:
            verified = [{"Name": "email_verified", "Value": "true"}]
            made = self._client.admin_create_user(
                **named,
                MessageAction="SUPPRESS",
                UserAttributes=[{"Name": "email", "Value": email}, *verified],
            )
            user = made["User"]["Attributes"]
        self._client.admin_set_user_password(**named, Password=self.password, Permanent=True)
        return str({each["Name"]: each["Value"] for each in user}["sub"])

    def people(self) -> dict[str, str]:
        """Return the e-mail address of every user, by `sub`."""
        pages = self._client.get_paginator("list_users").paginate(UserPoolId=self._id)
        users = [
            {each["Name"]: each["Value"] for each in user["Attributes"]}
            for page in pages
            for user in page["Users"]
        ]
        return {user["sub"]: user["email"] for user in users}

    def _make_pool(self, template: Template) -> str:
        pools = template.resources("AWS::Cognito::UserPool", self._taken_by("CreateUserPool"))
        [(logical_id, properties)] = pools.items()
        listed = self._client.list_user_pools(MaxResults=60)["UserPools"]
        known = {pool["Name"]: pool["Id"] for pool in listed}
        if STACK not in known:
            made = self._client.create_user_pool(PoolName=STACK, **properties)
            known[STACK] = made["UserPool"]["Id"]
        template.ids[logical_id] = known[STACK]
        return str(known[STACK])

    def _make_scopes(self, template: Template) -> None:
        names = self._taken_by("CreateResourceServer")
        for server in template.resources("AWS::Cognito::UserPoolResourceServer", names).values():
            try:
                self._client.create_resource_server(**server)
            except self._client.exceptions.InvalidParameterException:  # it is there
                self._client.update_resource_server(**server)

    def _make_clients(self, template: Template) -> None:
        listed = self._client.list_user_pool_clients(UserPoolId=self._id, MaxResults=60)
        known = {each["ClientName"]: each["ClientId"] for each in listed["UserPoolClients"]}
        names = self._taken_by("CreateUserPoolClient")
        for logical_id, client in template.resources("AWS::Cognito::UserPoolClient", names).items():
            name = client.setdefault("ClientName", logical_id)
            if name in known:
                client.pop("GenerateSecret", None)  # which does not change
                self._client.update_user_pool_client(ClientId=known[name], **client)
            else:
                made = self._client.create_user_pool_client(**client)
                known[name] = made["UserPoolClient"]["ClientId"]
            template.ids[logical_id] = known[name]

    def _taken_by(self, operation: str) -> str:
        """Return the names of what an operation takes: a resource's properties go by the same."""
        return " ".join(
            self._client.meta.service_model.operation_model(operation).input_shape.members
        )


def _password(file: Path) -> str:
    """Return the password that a file keeps, which is made with it."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(f"Laptop-{secrets.token_hex(4)}", encoding="utf-8")
    return file.read_text(encoding="utf-8")


def _keys(pool_id: str, url: str, folder: Path) -> Mapping[str, RSAKey]:
    """Return the pool's keys, which the emulator keeps in its folder once they are asked for."""
    with urlopen(f"{url}/{pool_id}/.well-known/jwks.json") as answer:  # noqa: S310 - loopback
        [access, id_] = json.load(answer)["keys"]
    return {
        use: RSAKey.import_key(
            (folder / f"cognito-pool-keys/{pool_id}-{use}.pem").read_text(encoding="ascii"),
            {"kid": public["kid"]},
        )
        for use, public in (("access", access), ("id", id_))
    }
