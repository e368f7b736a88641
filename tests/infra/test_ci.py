"""Who may deploy: jobs of this repository in one environment, by roles and no stored secret."""

import re
from typing import Any

import pytest
import yaml
from samcli.yamlhelper import yaml_parse

from tests.conftest import ROOT
from tests.infra.conftest import Stack

WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
CI, ROLLBACK = (
    yaml.safe_load((ROOT / f".github/workflows/{name}.yaml").read_text())
    for name in ("ci", "rollback")
)
TEMPLATE = yaml_parse((ROOT / ".github/oidc.yaml").read_text())
OIDC, PARAMETERS = TEMPLATE["Resources"], TEMPLATE["Parameters"]
ISSUER = "token.actions.githubusercontent.com"


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def statements(role: str) -> dict[str, dict[str, Any]]:
    """Return what the only policy of a role of CI's allows, by name."""
    [policy] = OIDC[role]["Properties"]["Policies"]
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def named(statement: dict[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else actions


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
        may_write = {scope for scope, access in job["permissions"].items() if access == "write"}
        deploys = job.get("environment") == name
        assert set(job["permissions"].values()) <= {"read", "write"}
        assert may_write == (
            {"id-token"} if deploys else {"id-token", "attestations"} if name == "attest" else set()
        ), name


def test_a_deployment_waits_for_every_check_of_the_project() -> None:
    before = {"check", "test", "rehearse", "attest"}
    assert set(CI["jobs"]["staging"]["needs"]) == before
    assert set(CI["jobs"]["attest"]["needs"]) == {"build", "sbom"}
    assert CI["jobs"]["prod"]["needs"] == "staging"
    assert ".ci/run" in commands(CI["jobs"]["check"])


def test_what_is_attested_and_deployed_is_built_by_a_job_that_does_nothing_else() -> None:
    tools, build, pack = commands(CI["jobs"]["build"])
    assert (tools, build) == ("make deploy-tools", ".venv/bin/sam build")
    assert pack.startswith("tar ")
    assert pack.endswith("> build.tgz")
    attests = CI["jobs"]["attest"]
    assert commands(attests) == []  # it runs no code of the project's
    assert "actions/checkout" not in str(attests)
    assert "build.tgz" in attests["steps"][-1]["with"]["subject-path"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_credentials_come_after_what_is_installed_and_checked(path: Any) -> None:
    for name, job in yaml.safe_load(path.read_text())["jobs"].items():
        if job.get("environment") != name:
            continue
        steps = [step.get("run") or step["uses"].split("@")[0] for step in job["steps"]]
        [credentials] = [i for i, step in enumerate(steps) if "configure-aws" in step]
        assert steps.index("make deploy-tools") < credentials
        [verified] = [i for i, step in enumerate(steps) if "gh attestation verify" in step]
        assert steps[verified].index("verify") < steps[verified].index("tar -x")
        assert verified < credentials
        [deployed] = steps[credentials + 1 :]
        assert deployed.split()[:2] == [".ci/deploy", name]


def test_what_deploys_is_locked_by_hashes_and_little() -> None:
    def locked(file: str) -> set[str]:
        return set(re.findall(r"^([\w-]+)(?:\[.*])?==", (ROOT / file).read_text(), re.M))

    tools, everything = locked("requirements-deploy.txt"), locked("requirements-dev.txt")
    assert tools < everything
    assert {"aws-sam-cli", "uv", "pytest"} <= tools
    assert not {"moto", "hypothesis", "schemathesis", "awscli"} & tools
    lines = re.findall(r"^[\w-]+.*==.*", (ROOT / "requirements-deploy.txt").read_text(), re.M)
    assert all(line.endswith("\\") for line in lines)  # its hashes follow


def test_a_run_that_waits_for_an_approval_ends_no_other() -> None:
    """GitHub cancels a run or job that waits, when a newer one joins its group."""
    assert "github.run_id" in CI["concurrency"]["group"]  # on main, where there is no pull request
    groups = {name: job["concurrency"] for name, job in CI["jobs"].items() if "concurrency" in job}
    assert groups == {"staging": "staging", "prod": "prod"}  # not in progress: that needs saying so
    assert ROLLBACK["jobs"]["prod"]["concurrency"] == "rollback"


def test_a_release_is_taken_back_at_once_and_keeps_all_other_parameters() -> None:
    [deploy] = [each for each in commands(ROLLBACK["jobs"]["prod"]) if ".ci/deploy" in each]

    assert deploy == ".ci/deploy prod --parameter-overrides ReleaseType=AllAtOnce"
    assert list(ROLLBACK[True]) == ["workflow_dispatch"]  # YAML 1.1 reads "on" as true


def test_the_tests_run_on_every_python_that_is_promised() -> None:
    versions = CI["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions == [f"3.{minor}" for minor in range(10, 15)]


def test_the_role_trusts_one_repository_in_one_environment() -> None:
    [statement] = OIDC["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert dict(statement["Condition"]) == {
        "StringEquals": {
            f"{ISSUER}:aud": "sts.amazonaws.com",
            f"{ISSUER}:sub": {
                "Fn::Sub": "${SubjectPrefix}:environment:${Environment}",
            },
        }
    }


@pytest.mark.parametrize(
    ("prefix", "is_one"),
    [
        ("repo:octo-org/octo-repo", True),
        ("repo:octo-org@123456/octo-repo@456789", True),
        ("repo:*/octo-repo", False),
        ("repo:octo-org/*", False),
        ("repo:octo-org/octo-repo:environment", False),
        ("octo-org/octo-repo", False),
    ],
)
def test_a_repository_is_named_as_github_names_it(prefix: str, is_one: bool) -> None:
    pattern = PARAMETERS["SubjectPrefix"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, prefix)) is is_one


def test_cloudformation_may_take_its_role_whether_or_not_it_says_for_which_account() -> None:
    [statement] = OIDC["StackRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "cloudformation.amazonaws.com"}
    assert list(statement["Condition"]) == ["StringEqualsIfExists"]


def test_whoever_deploys_changes_nothing_but_by_cloudformation() -> None:
    actions = {action for each in statements("DeployRole").values() for action in named(each)}

    assert not [action for action in actions if "*" in action]
    assert {action.split(":")[0] for action in actions} == {
        "cloudformation",
        "cognito-idp",
        "iam",
        "s3",
    }
    assert {action for action in actions if action.startswith("iam:")} == {"iam:PassRole"}


def test_cloudformation_makes_only_roles_of_the_stacks_name() -> None:
    granted = statements("StackRole")

    for each in granted.values():
        if any(action.startswith("iam:") for action in named(each)):
            assert each["Resource"]["Fn::Sub"].endswith(":role/payment-api-${Environment}-*")
    anywhere = {sid for sid, each in granted.items() if each["Resource"] == "*"}
    assert anywhere == {"WhatIamAndOthersGrantOnNoResource", "MakeTheTopicsKey"}


def test_whoever_reads_a_clients_secret_reads_it_of_this_stacks_pool(stack: Stack) -> None:
    read = statements("DeployRole")["ServicesTokenForTheSmokeTest"]

    [(key, value)] = read["Condition"]["StringEquals"].items()
    assert (key, value["Fn::Sub"]) == ("aws:ResourceTag/stack", "payment-api-${Environment}")
    tags = stack.one("AWS::Cognito::UserPool")["UserPoolTags"]
    assert tags == {"stack": stack.one("AWS::ApiGateway::RestApi")["Name"]}


def test_rights_are_given_to_roles_within_the_boundary_alone() -> None:
    """iam:PermissionsBoundary is a condition of these actions (Service Authorization Reference)."""
    gives = {"AttachRolePolicy", "CreateRole", "PutRolePermissionsBoundary", "PutRolePolicy"}
    for each in statements("StackRole").values():
        actions = {action.removeprefix("iam:") for action in named(each)}
        if gives & actions:
            boundary = {"iam:PermissionsBoundary": {"Ref": "Boundary"}}
            assert dict(each["Condition"]["StringEquals"]) == boundary
        assert "DeleteRolePermissionsBoundary" not in actions
        if "PassRole" in actions:
            assert "iam:PassedToService" in each["Condition"]["StringEquals"]


def test_nothing_that_ci_may_do_reaches_its_own_roles_or_the_boundary() -> None:
    for name in ("DeployRole", "StackRole", "Boundary"):
        assert OIDC[name]["Properties"]["Path"] == "/ci/"  # no ":role/payment-api-..." is there
    changes = {
        action
        for role in ("DeployRole", "StackRole")
        for each in statements(role).values()
        for action in named(each)
        if action.startswith(("iam:", "*"))
    }
    assert all(re.fullmatch(r"iam:\w+Role(\w*)", action) for action in changes), changes


def test_the_boundary_lets_the_stacks_functions_do_what_their_policies_say(stack: Stack) -> None:
    [within] = [OIDC["Boundary"]["Properties"]["PolicyDocument"]["Statement"]]
    allowed = {action for each in within for action in named(each)}
    asked_for = {
        action
        for role in stack.all("AWS::IAM::Role").values()
        for policy in role["Properties"].get("Policies", [])
        for each in policy["PolicyDocument"]["Statement"]
        for action in named(each)
    }

    assert asked_for <= allowed
    assert not [action for action in allowed if "*" in action or action.startswith("iam:")]


def test_cloudformation_may_make_what_the_template_has(stack: Stack) -> None:
    """By service: the emulator of `make rehearse` does not ask this role."""
    services = {
        "ApiGateway": "apigateway",
        "Cognito": "cognito-idp",
        "WAFv2": "wafv2",
    }
    may = {
        action.split(":")[0] for each in statements("StackRole").values() for action in named(each)
    }
    kinds = {kind.split("::")[1] for kind in stack.kinds}
    asked_for = {services.get(kind, kind.lower()) for kind in kinds}

    assert asked_for <= may


def test_uploads_are_for_one_environment_and_by_nobody_else() -> None:
    for role in ("DeployRole", "StackRole"):
        assert "aws-sam-cli-managed-default" not in str(statements(role))
    for sid, role in (("Upload", "DeployRole"), ("CodeThatSamUploaded", "StackRole")):
        assert "Uploads" in str(statements(role)[sid]["Resource"])
    bucket = OIDC["Uploads"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
