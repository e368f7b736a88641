"""What the functions may do, where they log, and how a release reaches them."""

import json
from pathlib import Path

import pytest
from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samcli.yamlhelper import yaml_parse

from tests.conftest import ROOT
from tests.infra.conftest import Stack, deployed


def test_a_function_may_do_its_one_thing_to_the_one_table(stack: Stack) -> None:
    roles = stack.all("AWS::IAM::Role")
    allowed = {
        name: [
            (statement["Effect"], statement["Action"], statement["Resource"])
            for policy in roles[function["Properties"]["Role"].removesuffix(".Arn")]["Properties"][
                "Policies"
            ]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        for name, function in stack.all("AWS::Lambda::Function").items()
    }

    assert allowed == {
        "CreatePaymentFunction": [("Allow", "dynamodb:PutItem", "PaymentsTable.Arn")],
        "GetPaymentFunction": [("Allow", "dynamodb:GetItem", "PaymentsTable.Arn")],
    }


def test_beyond_that_it_may_log_and_trace(stack: Stack) -> None:
    for name, role in stack.all("AWS::IAM::Role").items():
        policies = {arn.rpartition("/")[2] for arn in role["Properties"]["ManagedPolicyArns"]}
        assert policies == {
            "ApiGatewayLogsRole": {"AmazonAPIGatewayPushToCloudWatchLogs"},
            "CodeDeployServiceRole": {"AWSCodeDeployRoleForLambda"},
        }.get(name, {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"})
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            assert "*" not in str(statement["Principal"])


def test_functions_log_json_into_the_group_that_forgets(stack: Stack, environment: str) -> None:
    for function in stack.all("AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"] == {
            "LogFormat": "JSON",
            "LogGroup": "FunctionLogs",
        }
    retention = {
        name: group["Properties"]["RetentionInDays"]
        for name, group in stack.all("AWS::Logs::LogGroup").items()
    }
    days = {"dev": 7, "staging": 30, "prod": 365}[environment]
    assert retention == {"FunctionLogs": days, "AccessLogs": days}


def test_functions_are_traced_and_have_an_end(stack: Stack) -> None:
    for function in stack.all("AWS::Lambda::Function").values():
        assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}
        assert function["Properties"]["Timeout"] < 29  # after which API Gateway gives up


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_functions_run_on_the_processor_that_is_asked_for(architecture: str) -> None:
    stack = deployed(Architecture=architecture)

    assert [
        function["Properties"]["Architectures"]
        for function in stack.all("AWS::Lambda::Function").values()
    ] == [[architecture]] * 2


def test_functions_know_no_secret(stack: Stack) -> None:
    for function in stack.all("AWS::Lambda::Function").values():
        assert set(function["Properties"]["Environment"]["Variables"]) == {
            "ALLOWED_ORIGIN",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "POWERTOOLS_SERVICE_NAME",
            "TABLE_NAME",
        }


def test_a_function_starts_from_a_snapshot_where_that_is_asked_for() -> None:
    def snap_start(**parameters: str) -> list[object]:
        functions = deployed(**parameters).all("AWS::Lambda::Function").values()
        return [function["Properties"].get("SnapStart") for function in functions]

    assert snap_start() == [None] * 2
    assert snap_start(SnapStart="Off") == [None] * 2
    assert snap_start(SnapStart="On") == [{"ApplyOn": "PublishedVersions"}] * 2


def test_a_release_is_a_canary_in_prod_that_alarms_take_back(
    stack: Stack, environment: str
) -> None:
    aliases = stack.all("AWS::Lambda::Alias").values()
    groups = stack.all("AWS::CodeDeploy::DeploymentGroup")
    assert {
        alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]
        for alias in aliases
    } == set(groups)

    kind = "Canary10Percent5Minutes" if environment == "prod" else "AllAtOnce"
    for group in groups.values():
        assert group["Properties"]["DeploymentConfigName"] == f"CodeDeployDefault.Lambda{kind}"
        assert group["Properties"]["AutoRollbackConfiguration"]["Enabled"] is True
        alarms = {alarm["Name"] for alarm in group["Properties"]["AlarmConfiguration"]["Alarms"]}
        assert (
            {"DefectsAlarm", "FailuresAlarm"} < alarms <= set(stack.all("AWS::CloudWatch::Alarm"))
        )


def test_a_changed_setting_is_a_new_version(tmp_path: Path) -> None:
    """SAM names a version by its function's text, in which AWS::LanguageExtensions, before it, has
    put the parameters' values. SAM CLI has a copy of that transform."""

    def versions(timeout: int = 10, **parameters: str) -> set[str]:
        template = yaml_parse((ROOT / "template.yaml").read_text())
        template["Globals"]["Function"]["Timeout"] = timeout
        expanded = expand_language_extensions(template, parameters, enabled=True)
        path = tmp_path / "template.json"
        path.write_text(json.dumps(expanded.expanded_template))
        return set(Stack(path).all("AWS::Lambda::Version"))

    assert versions() == versions()
    for changed in (
        versions(AllowedOrigin="https://other.example"),
        versions(SnapStart="On"),
        versions(timeout=9),
    ):
        assert versions().isdisjoint(changed)
