"""Who may deploy: jobs of this repository in one environment, by roles and no stored secret."""

import re
from typing import Any

import pytest
import yaml
from samcli.yamlhelper import yaml_parse

from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
OIDC = yaml_parse((ROOT / ".github/oidc.yaml").read_text())["Resources"]
ISSUER = "token.actions.githubusercontent.com"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_say_their_version(path: Any) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text())

    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    assert len({action.split("@")[0] for action in uses}) == len(set(uses))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_know_no_secret_and_only_deployments_a_role(path: Any) -> None:
    workflow = yaml.safe_load(path.read_text())

    assert "secrets." not in path.read_text()
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        deploys = job.get("environment") == name
        assert job["permissions"] == (
            {"contents": "read", "id-token": "write"} if deploys else {"contents": "read"}
        ), name
    assert workflow["jobs"]["prod"]["needs"] == "staging"
    assert set(workflow["jobs"]["staging"]["needs"]) == {"check", "test", "build"}


def test_a_deployment_waits_for_every_check_of_the_project() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())

    assert ".ci/run" in [step.get("run") for step in workflow["jobs"]["check"]["steps"]]


def test_the_tests_run_on_every_python_that_is_promised() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())

    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions == [f"3.{minor}" for minor in range(10, 15)]


def test_the_role_trusts_one_repository_in_one_environment() -> None:
    [statement] = OIDC["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert dict(statement["Condition"]) == {
        "StringEquals": {
            f"{ISSUER}:aud": "sts.amazonaws.com",
            f"{ISSUER}:sub": {
                "Fn::Sub": "repo:${GitHubRepository}:environment:${Environment}",
            },
        }
    }


def test_whoever_deploys_changes_nothing_but_by_cloudformation() -> None:
    [policy] = OIDC["DeployRole"]["Properties"]["Policies"]
    listed = [statement["Action"] for statement in policy["PolicyDocument"]["Statement"]]
    actions = {name for item in listed for name in ([item] if isinstance(item, str) else item)}

    assert not [action for action in actions if "*" in action]
    assert {action.split(":")[0] for action in actions} == {
        "cloudformation",
        "cognito-idp",
        "iam",
        "s3",
    }
    assert {action for action in actions if action.startswith("iam:")} == {"iam:PassRole"}


def test_cloudformation_makes_only_roles_of_the_stacks_name() -> None:
    [policy] = OIDC["StackRole"]["Properties"]["Policies"]
    statements = {
        statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]
    }

    roles = statements["RolesOfTheStack"]["Resource"]["Fn::Sub"]
    assert roles.endswith(":role/payment-api-${Environment}-*")
    anywhere = [sid for sid, statement in statements.items() if statement["Resource"] == "*"]
    assert anywhere == ["WhatIamAndOthersGrantOnNoResource"]
    assert not [action for action in statements[anywhere[0]]["Action"] if action.startswith("iam:")]
