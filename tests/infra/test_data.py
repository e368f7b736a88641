"""What is kept, and for whom: the table, the users, and what the outputs tell."""

import json
import re

import pytest

from local import template
from tests.conftest import ROOT
from tests.infra.conftest import Stack, deployed


def test_payments_are_encrypted_and_restorable_to_any_second(stack: Stack) -> None:
    table = stack.one("AWS::DynamoDB::Table")

    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "paymentId", "KeyType": "HASH"}]


def test_prod_keeps_payments_and_users_and_dev_goes_away_whole(
    stack: Stack, environment: str
) -> None:
    keeps = environment == "prod"
    policy = "Retain" if keeps else "Delete"
    for kind in ("AWS::DynamoDB::Table", "AWS::Cognito::UserPool"):
        [resource] = stack.all(kind).values()
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (policy, policy)
    assert stack.one("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is keeps
    assert stack.one("AWS::Cognito::UserPool")["DeletionProtection"] == (
        "ACTIVE" if keeps else "INACTIVE"
    )
    kept = {
        name
        for kind in stack.kinds - {"AWS::Lambda::Version"}  # which go with their function
        for name, resource in stack.all(kind).items()
        if resource.get("DeletionPolicy") == "Retain"
    }
    assert kept - {"ApiGatewayAccount", "ApiGatewayLogsRole"} == (
        {"PaymentsTable", "UserPool", "FunctionLogs", "AccessLogs"} if keeps else set()
    )


def test_after_a_restore_everything_uses_the_restored_table() -> None:
    """All but the stack's own table, which it keeps; a changed variable is a new version."""
    stack = deployed(RestoredTable="restored")

    for function in stack.functions.values():
        assert function["Environment"]["Variables"]["TABLE_NAME"] == "restored"
    assert stack.outputs["PaymentsTableName"] == "restored"
    roles = json.dumps(
        [
            policy
            for name, role in stack.all("AWS::IAM::Role").items()
            if name.endswith("FunctionRole")
            for policy in role["Properties"].get("Policies", [])
        ]
    )
    assert roles.count(":table/restored") >= len(stack.functions)
    assert "PaymentsTable.Arn" not in roles
    alarm = json.dumps(stack.all("AWS::CloudWatch::Alarm")["TableFailuresAlarm"])
    assert '"restored"' in alarm
    assert "PaymentsTable" not in alarm


def test_backups_leave_the_account_where_a_vault_is_given(stack: Stack) -> None:
    assert not [kind for kind in stack.kinds if stack.all(kind) and "::Backup::" in kind]

    vault = "arn:aws:backup:eu-central-1:999999999999:backup-vault:payments"
    stack = deployed(BackupVaultArn=vault)
    [rule] = stack.one("AWS::Backup::BackupPlan")["BackupPlan"]["BackupPlanRule"]
    assert [copy["DestinationBackupVaultArn"] for copy in rule["CopyActions"]] == [vault]
    selection = stack.one("AWS::Backup::BackupSelection")["BackupSelection"]
    assert selection["Resources"] == ["PaymentsTable.Arn"]
    assert selection["IamRoleArn"] == "BackupRole.Arn"
    [kept] = stack.all("AWS::Backup::BackupVault").values()
    assert kept["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize(("partition", "host"), [("aws", "auth"), ("aws-us-gov", "auth-fips")])
def test_the_login_is_found_in_other_partitions(
    partition: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template._PSEUDO_PARAMETERS, "partition", partition)

    url = deployed().outputs["LoginURL"]
    assert url == f"https://UserPoolDomain.{host}.us-east-1.amazoncognito.com"


def test_people_sign_in_by_code_and_never_implicitly(stack: Stack) -> None:
    people = stack.all("AWS::Cognito::UserPoolClient")["PeopleClient"]["Properties"]

    assert people["AllowedOAuthFlows"] == ["code"]
    assert people["GenerateSecret"] is False  # a public client: PKCE takes the secret's place
    assert people["CallbackURLs"] == [stack.outputs["CallbackURL"]]
    assert re.fullmatch(r"http://localhost:\d+/callback", stack.outputs["CallbackURL"])


@pytest.mark.parametrize("name", ["ServicesClient", "ManageClient"])
def test_services_have_a_secret_and_no_way_to_sign_in(stack: Stack, name: str) -> None:
    services = stack.all("AWS::Cognito::UserPoolClient")[name]["Properties"]

    assert services["AllowedOAuthFlows"] == ["client_credentials"]
    assert services["GenerateSecret"] is True
    assert not {"ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH"} & set(
        services["ExplicitAuthFlows"]
    )


def test_every_client_gets_short_tokens_and_tells_nobody_who_exists(stack: Stack) -> None:
    for client in stack.all("AWS::Cognito::UserPoolClient").values():
        assert client["Properties"]["PreventUserExistenceErrors"] == "ENABLED"
        assert client["Properties"]["EnableTokenRevocation"] is True
        assert client["Properties"]["AccessTokenValidity"] == 60
        assert client["Properties"]["TokenValidityUnits"]["AccessToken"] == "minutes"
        assert client["DependsOn"] == "ResourceServer"  # whose scopes it names


def test_the_clients_scopes_are_the_resource_servers(stack: Stack) -> None:
    server = stack.one("AWS::Cognito::UserPoolResourceServer")
    scopes = {f"{server['Identifier']}/{scope['ScopeName']}" for scope in server["Scopes"]}

    offered = {
        name: set(client["Properties"]["AllowedOAuthScopes"]) - {"openid"}
        for name, client in stack.all("AWS::Cognito::UserPoolClient").items()
    }
    assert set.union(*offered.values()) == scopes
    # A user may ask for every scope that the people's client offers.
    manage = {"payments/manage"}
    assert offered.pop("ManageClient") == manage
    assert all(each == scopes - manage for each in offered.values())


@pytest.mark.parametrize(("setting", "is_on"), [("true", True), ("false", False)])
def test_a_password_gets_a_token_where_that_is_switched_on(setting: str, is_on: bool) -> None:
    clients = deployed(PasswordSignIn=setting).all("AWS::Cognito::UserPoolClient")
    flows = clients["PeopleClient"]["Properties"]["ExplicitAuthFlows"]

    assert {"ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH"}.isdisjoint(flows) != is_on


def test_the_login_pages_are_finished(stack: Stack) -> None:
    """A managed login wants all four, and says "Login pages unavailable" when one is missing."""
    domain = stack.one("AWS::Cognito::UserPoolDomain")

    assert stack.one("AWS::Cognito::UserPool")["UserPoolTier"] == "ESSENTIALS"
    assert domain["ManagedLoginVersion"] == 2
    assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", domain["Domain"])
    assert stack.one("AWS::Cognito::ManagedLoginBranding") == {
        "UserPoolId": "UserPool",
        "ClientId": "PeopleClient",
        "UseCognitoProvidedValues": True,
    }


@pytest.mark.parametrize(("self_sign_up", "by_administrators"), [("false", True), ("true", False)])
def test_users_are_invited_unless_anybody_may_sign_up(
    self_sign_up: str, by_administrators: bool
) -> None:
    pool = deployed(SelfSignUp=self_sign_up).one("AWS::Cognito::UserPool")

    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": by_administrators}
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("OPTIONAL", ["SOFTWARE_TOKEN_MFA"])
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 12


def test_a_stack_needs_no_parameter_and_holds_no_secret(stack: Stack) -> None:
    assert "ClientSecret" not in stack.source
    assert "NoEcho" not in stack.source
    assert not [name for name in stack.outputs if re.search("secret|password|token", name, re.I)]


def test_the_outputs_are_those_that_a_sign_in_asks_for(stack: Stack) -> None:
    asked_for = re.findall(r'stack\["(\w+)"\]', (ROOT / "local/login.py").read_text())

    assert "LoginURL" in asked_for
    assert set(asked_for) <= set(stack.outputs)


def test_the_outputs_are_what_a_client_needs(stack: Stack) -> None:
    assert {
        "ApiGatewayInvokeURL",
        "CallbackURL",
        "Issuer",
        "LoginURL",
        "PeopleClientId",
        "ServicesClientId",
        "UserPoolId",
    } <= set(stack.outputs)
