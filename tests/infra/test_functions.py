"""What the functions may do, where they log, and how a release reaches them."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samcli.yamlhelper import yaml_parse

from shared.operations import Operations
from shared.store.payments import PaymentRepository
from tests.conftest import ROOT
from tests.infra.conftest import Stack, deployed
from tools.build import folder_of

CHECK = "CheckReleaseFunction"
STREAM = "PaymentsTable.StreamArn"
DEPLOYMENT_READS = {"codedeploy:GetDeploymentTarget", "codedeploy:ListDeploymentTargets"}
"""They know no resource (Service Authorization Reference, "AWS CodeDeploy")."""
FUNCTIONS_MAY = {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"}


def statements(stack: Stack, function: str) -> list[dict[str, Any]]:
    """Return the statements of the policies that the template gives a function."""
    role = stack.functions[function]["Role"].removesuffix(".Arn")
    properties = stack.all("AWS::IAM::Role")[role]["Properties"]
    return [
        statement
        for policy in properties.get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def actions(statement: dict[str, Any]) -> list[str]:
    named = statement["Action"]
    return [named] if isinstance(named, str) else named


def operations(function: str) -> set[str]:
    """Return DynamoDB's operations that the function's code reaches.

    Its code names methods of the repository and of `Operations`, which name others. The operations'
    names are in lower case, without underscores.
    """
    code = "".join(path.read_text() for path in (ROOT / folder_of(function)).glob("*.py"))
    if "shared.webhooks" in code:
        code += (ROOT / "shared/webhooks.py").read_text()
    todo = [(PaymentRepository, name) for name in re.findall(r"\bpayments\(\)\.(\w+)", code)]
    todo += [(Operations, name) for name in re.findall(r"operations\(\)\.(\w+)", code)]
    found, seen = set(), set()
    while todo:
        kind, name = todo.pop()
        if (kind, name) in seen or not hasattr(kind, name):
            continue
        seen.add((kind, name))
        source = inspect.getsource(getattr(kind, name))
        found |= {
            each.replace("_", "").lower() for each in re.findall(r'\.call\(\s*"(\w+)"', source)
        }
        todo += [(kind, each) for each in re.findall(r"self\.(\w+)\(", source)]
        todo += [
            (PaymentRepository, each) for each in re.findall(r"self\._payments\.(\w+)", source)
        ]
    return found


def test_a_function_may_do_what_its_calls_of_the_store_do_and_no_more(stack: Stack) -> None:
    for function in stack.functions:
        allowed = {
            action.removeprefix("dynamodb:").lower()
            for statement in statements(stack, function)
            for action in actions(statement)
            if action.startswith("dynamodb:") and statement["Resource"] != STREAM
        }
        assert allowed == operations(function), function
    assert operations("CreatePaymentFunction") == {"putitem"}
    assert operations("GetPaymentFunction") == {"getitem"}
    assert operations("CapturePaymentFunction") == {"getitem", "updateitem"}
    assert operations("SettlePaymentsFunction") == {"getitem", "query", "updateitem"}
    assert operations("PublishEventsFunction") == set()


def test_every_permission_is_of_named_actions_on_named_resources(stack: Stack) -> None:
    for function in stack.functions:
        for statement in statements(stack, function):
            assert statement["Effect"] == "Allow"
            assert not [action for action in actions(statement) if "*" in action]
            reads_deployments = all(map(DEPLOYMENT_READS.__contains__, actions(statement)))
            assert (statement["Resource"] == "*") is reads_deployments
            if statement["Resource"] == STREAM:
                continue
            if any(action.startswith("dynamodb:") for action in actions(statement)):
                assert re.fullmatch(r"PaymentsTable\.Arn(/index/[\w-]+)?", statement["Resource"]), (
                    statement
                )


def test_what_calls_a_gateway_and_nothing_else_may_read_the_keys(stack: Stack) -> None:
    for function in stack.functions:
        code = "".join(path.read_text() for path in (ROOT / folder_of(function)).glob("*.py"))
        calls_gateways = "shared.wiring" in code or "shared.webhooks" in code
        read = [each for each in statements(stack, function) if "ssm:GetParameter" in actions(each)]
        assert len(read) == calls_gateways, function
        for statement in read:
            assert statement["Resource"].endswith("/gateways/*")


def test_beyond_that_it_may_log_and_trace(stack: Stack) -> None:
    for name, role in stack.all("AWS::IAM::Role").items():
        policies = {arn.rpartition("/")[2] for arn in role["Properties"]["ManagedPolicyArns"]}
        assert policies == {
            "ApiGatewayLogsRole": {"AmazonAPIGatewayPushToCloudWatchLogs"},
            "CodeDeployRole": {"AWSCodeDeployRoleForLambda"},
            "BackupRole": {"AWSBackupServiceRolePolicyForBackup"},
        }.get(name, FUNCTIONS_MAY), name
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            assert "*" not in str(statement["Principal"])


def test_functions_log_json_into_the_group_that_forgets(stack: Stack, environment: str) -> None:
    for function in stack.functions.values():
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": "FunctionLogs"}
    retention = {
        name: group["Properties"]["RetentionInDays"]
        for name, group in stack.all("AWS::Logs::LogGroup").items()
    }
    days = {"dev": 7, "staging": 30, "prod": 365}[environment]
    assert retention == {"FunctionLogs": days, "AccessLogs": days}


def test_functions_are_traced_and_have_an_end(stack: Stack) -> None:
    called = {
        permission["Properties"]["FunctionName"].partition(":")[0]
        for permission in stack.all("AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }
    for name, function in stack.functions.items():
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["Timeout"] < 29 or name not in called  # API Gateway gives up after 29 s


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_functions_run_on_the_processor_that_is_asked_for(architecture: str) -> None:
    stack = deployed(Architecture=architecture)

    for function in stack.functions.values():
        assert function["Architectures"] == [architecture]


def test_functions_know_no_secret(stack: Stack) -> None:
    for function in stack.functions.values():
        assert set(function["Environment"]["Variables"]) >= {
            "ALLOWED_ORIGIN",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "POWERTOOLS_SERVICE_NAME",
            "TABLE_NAME",
        }
        secret = re.compile("SECRET|PASSWORD|TOKEN|_KEY$")
        assert not list(filter(secret.search, function["Environment"]["Variables"]))


def test_a_function_starts_from_a_snapshot_where_that_is_asked_for() -> None:
    def snap_start(**parameters: str) -> list[object]:
        return [function.get("SnapStart") for function in deployed(**parameters).functions.values()]

    every = len(deployed().functions)
    assert snap_start() == [None] * every
    assert snap_start(SnapStart="Off") == [None] * every
    assert snap_start(SnapStart="On") == [{"ApplyOn": "PublishedVersions"}] * every


def released(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return how the alias of each function that CodeDeploy releases is moved, by its name."""
    return {
        alias["Properties"]["FunctionName"]: alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        for alias in stack.all("AWS::Lambda::Alias").values()
        if "UpdatePolicy" in alias
    }


def test_a_release_is_checked_before_it_gets_calls_but_for_one_at_once(stack: Stack) -> None:
    checked = {name: each.get("BeforeAllowTrafficHook") for name, each in released(stack).items()}
    assert checked == dict.fromkeys(stack.functions.keys() - {CHECK}, CHECK)
    at_once = released(deployed(Environment="prod", ReleaseType="AllAtOnce"))
    assert {each.get("BeforeAllowTrafficHook") for each in at_once.values()} == {None}


def test_the_check_may_call_versions_of_the_stack_and_tell_its_deployments(stack: Stack) -> None:
    name = stack.one("AWS::ApiGateway::RestApi")["Name"]
    allowed = {
        action.partition(":")[2]: each["Resource"]
        .rpartition(":function:")[2]
        .rpartition("group:")[2]
        for each in statements(stack, CHECK)
        for action in actions(each)
    }
    assert allowed == {
        "GetFunctionConfiguration": f"{name}-*",
        "InvokeFunction": f"{name}-*:*",
        "PutLifecycleEventHookExecutionStatus": "ServerlessDeploymentApplication/*",
        "GetDeploymentTarget": "*",
        "ListDeploymentTargets": "*",
    }
    [policy] = stack.all("AWS::IAM::Role")["CodeDeployRole"]["Properties"]["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("lambda:InvokeFunction", f"{CHECK}.Arn")


def test_a_release_is_a_canary_in_prod_that_alarms_take_back(
    stack: Stack, environment: str
) -> None:
    groups = stack.all("AWS::CodeDeploy::DeploymentGroup")
    guarded = released(stack)
    assert {name: update["DeploymentGroupName"] for name, update in guarded.items()} == {
        name: f"{name}DeploymentGroup" for name in stack.functions if name != CHECK
    }
    assert len(groups) == len(guarded)

    is_canary = environment == "prod"
    kind = "Canary10Percent5Minutes" if is_canary else "AllAtOnce"
    for group in groups.values():
        assert group["Properties"]["DeploymentConfigName"] == f"CodeDeployDefault.Lambda{kind}"
        assert group["Properties"]["AutoRollbackConfiguration"]["Enabled"] is True
        assert group["Properties"]["ServiceRoleArn"] == "CodeDeployRole.Arn"
        watched = group["Properties"]["AlarmConfiguration"].get("Alarms", [])
        alarms = {alarm["Name"] for alarm in watched}
        assert alarms == ({"CrashesAlarm", "DefectsAlarm", "FailuresAlarm"} if is_canary else set())
        assert alarms <= set(stack.all("AWS::CloudWatch::Alarm"))


def test_a_release_is_taken_back_at_once_and_no_alarm_is_in_its_way() -> None:
    groups = deployed(Environment="prod", ReleaseType="AllAtOnce").all(
        "AWS::CodeDeploy::DeploymentGroup"
    )

    for group in groups.values():
        assert group["Properties"]["DeploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"
        assert not group["Properties"]["AlarmConfiguration"]


def test_nothing_of_a_function_changes_without_its_version_changing(stack: Stack) -> None:
    """Lambda makes no new version for tags and reserved concurrency, and the release would fail."""
    source = yaml_parse((ROOT / "template.yaml").read_text())
    functions = [
        each["Properties"]
        for each in source["Resources"].values()
        if each["Type"] == "AWS::Serverless::Function"
    ]
    for properties in [*functions, source["Globals"]["Function"]]:
        assert not {"Tags", "ReservedConcurrentExecutions", "RecursiveLoop"} & set(properties)


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_no_role_may_do_more_than_the_boundary_where_one_is_given(environment: str) -> None:
    def boundaries(**parameters: str) -> set[str | None]:
        stack = deployed(Environment=environment, BackupVaultArn="arn:aws:backup", **parameters)
        roles = stack.all("AWS::IAM::Role").values()
        assert len(roles) > len(stack.functions)
        return {role["Properties"].get("PermissionsBoundary") for role in roles}

    boundary = "arn:aws:iam::123456789012:policy/boundary"
    assert boundaries() == {None}
    assert boundaries(PermissionsBoundary=boundary) == {boundary}


def test_functions_take_only_signed_code_where_that_is_asked_for(stack: Stack) -> None:
    def configurations(stack: Stack) -> set[str | None]:
        return {function.get("CodeSigningConfigArn") for function in stack.functions.values()}

    config = "arn:aws:lambda:eu-central-1:123456789012:code-signing-config:csc-0123456789abcdef0"
    assert configurations(stack) == {None}
    assert configurations(deployed(CodeSigningConfigArn=config)) == {config}


def test_a_changed_setting_is_a_new_version(tmp_path: Path) -> None:
    """SAM names a version by its function's text, in which AWS::LanguageExtensions, before it, has
    put the parameters' values. SAM CLI has a copy of that transform."""

    def versions(memory: int = 512, **parameters: str) -> set[str]:
        template = yaml_parse((ROOT / "template.yaml").read_text())
        template["Globals"]["Function"]["MemorySize"] = memory
        for resource in template["Resources"].values():
            resource["Properties"].pop("MemorySize", None)
        expanded = expand_language_extensions(template, parameters, enabled=True)
        path = tmp_path / "template.json"
        path.write_text(json.dumps(expanded.expanded_template))
        return set(Stack(path).all("AWS::Lambda::Version"))

    as_it_was = versions()
    assert versions() == as_it_was
    for changed in (
        versions(AllowedOrigin="https://other.example"),
        versions(SnapStart="On"),
        versions(RestoredTable="restored"),
        versions(memory=1024),
    ):
        assert as_it_was.isdisjoint(changed)
    assert len(as_it_was) == len(deployed().functions)
