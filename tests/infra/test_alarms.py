"""What calls for a person: every alarm watches something that is written, and tells somebody."""

import json
import re
from typing import Any

import pytest

from shared.api.problems import DEFECT, problem_of
from shared.errors import StoreUnavailable
from shared.payments.facts import LONGEST_WAIT_SECONDS
from tests.infra.conftest import Stack, deployed

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"


def dimensions(alarm: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])}


def alarms(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return every alarm's properties by its name."""
    made = stack.all("AWS::CloudWatch::Alarm")
    return {name: alarm["Properties"] for name, alarm in made.items()}


def metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what an alarm looks at: one metric, or those of its expression."""
    stats = [each["MetricStat"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    return [each["Metric"] for each in stats] or [alarm]


def test_a_crash_of_any_function_is_counted_from_its_report_and_watched(stack: Stack) -> None:
    """Lambda writes a report in JSON for each invocation, with a level of INFO or WARN."""
    crashes = stack.all("AWS::Logs::MetricFilter")["Crashes"]["Properties"]
    assert crashes["FilterPattern"] == (
        '{ $.type = "platform.report" && $.record.status != "success" }'
    )
    for function in stack.functions.values():
        logging = {"LogFormat": "JSON", "LogGroup": crashes["LogGroupName"]}
        assert function["LoggingConfig"] == logging

    [counted] = crashes["MetricTransformations"]
    alarm = stack.all("AWS::CloudWatch::Alarm")["CrashesAlarm"]["Properties"]
    assert counted["MetricValue"] == "1"
    assert stack.one("AWS::ApiGateway::RestApi")["Name"] in alarm["Namespace"]  # no other stack's
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == (
        *(counted["MetricNamespace"], counted["MetricName"], "Sum", 0),
    )


def test_a_throttled_function_is_watched_where_the_limit_is_the_accounts(stack: Stack) -> None:
    alarm = stack.all("AWS::CloudWatch::Alarm")["ThrottlesAlarm"]["Properties"]

    assert (alarm["Namespace"], alarm["MetricName"], dimensions(alarm)) == (
        *("AWS/Lambda", "Throttles", {}),
    )
    for function in stack.functions.values():
        assert "ReservedConcurrentExecutions" not in function  # a limit of its own


def test_the_stage_is_watched_for_failures_and_slowness(stack: Stack) -> None:
    name = stack.one("AWS::ApiGateway::RestApi")["Name"]
    stage = stack.one("AWS::ApiGateway::Stage")["StageName"]
    watched = {
        metric["MetricName"]: dimensions(metric)
        for alarm in alarms(stack).values()
        for metric in metrics(alarm)
        if metric["Namespace"] == "AWS/ApiGateway"
    }

    assert watched == {
        key: {"ApiName": name, "Stage": stage} for key in ("5XXError", "Count", "Latency")
    }


def test_one_failure_of_a_quiet_minute_is_no_alarm(stack: Stack) -> None:
    alarm = alarms(stack)["FailuresAlarm"]
    [share] = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]

    def rings(failures: int, calls: int) -> bool:
        names = {"failures": failures, "calls": calls}
        names["IF"] = lambda condition, then, otherwise: then if condition else otherwise
        return float(eval(share, {}, names)) > alarm["Threshold"]

    assert not rings(1, 1)
    assert not rings(2, 20)
    assert rings(3, 20)
    assert not rings(3, 1000)


def test_every_metric_filter_is_watched_and_every_own_metric_is_counted(stack: Stack) -> None:
    counted = {
        (made["MetricNamespace"], made["MetricName"])
        for each in stack.all("AWS::Logs::MetricFilter").values()
        for made in each["Properties"]["MetricTransformations"]
    }
    watched = {
        (metric["Namespace"], metric["MetricName"])
        for alarm in alarms(stack).values()
        for metric in metrics(alarm)
        if metric["Namespace"].startswith("PaymentApi/")
    }

    assert len(counted) == 3
    assert counted == watched


def test_refusals_and_webhooks_are_counted_by_fields_of_the_access_log(stack: Stack) -> None:
    line = json.loads(stack.one("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"])
    filters = stack.all("AWS::Logs::MetricFilter")
    for name in ("Refusals", "RefusedWebhooks"):
        properties = filters[name]["Properties"]
        assert properties["LogGroupName"] == "AccessLogs"
        assert set(re.findall(r"\$\.(\w+)", properties["FilterPattern"])) <= set(line)
    assert any(path.startswith("/webhook/") for _, path in stack.routes)


def test_every_operation_of_the_functions_is_watched_for_dynamodbs_failures(stack: Stack) -> None:
    watched = {
        dimensions(each)["Operation"] for each in metrics(alarms(stack)["TableFailuresAlarm"])
    }
    policies = json.dumps([role["Properties"] for role in stack.all("AWS::IAM::Role").values()])

    assert watched == set(re.findall(r'"dynamodb:((?:Put|Get|Update|Delete)Item|Query)"', policies))


def test_the_accounts_concurrency_is_watched_before_it_is_used_up() -> None:
    alarm = alarms(deployed(AccountConcurrency="10"))["ConcurrencyAlarm"]

    assert [each["MetricName"] for each in metrics(alarm)] == ["ClaimedAccountConcurrency"]
    assert alarm["Metrics"][0]["Expression"] == "claimed / 10"
    assert alarm["Threshold"] < 1


def test_defects_and_a_failing_store_are_watched_by_the_names_that_are_counted(
    stack: Stack,
) -> None:
    [service] = {
        function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for function in stack.functions.values()
    }
    watched = {
        name: dimensions(metric)
        for name, alarm in alarms(stack).items()
        for metric in metrics(alarm)
        if (metric["Namespace"], metric["MetricName"]) == ("PaymentApi", "CallsRefused")
    }

    assert watched == {
        "DefectsAlarm": {"service": service, "reason": DEFECT.name},
        "StoreAlarm": {"service": service, "reason": problem_of(StoreUnavailable()).name},
    }


def test_what_a_gateway_leaves_unknown_is_watched(stack: Stack) -> None:
    alarm = stack.all("AWS::CloudWatch::Alarm")["OperationsAlarm"]["Properties"]
    longest = LONGEST_WAIT_SECONDS + 60  # the schedule's minute

    assert (alarm["MetricName"], alarm["Statistic"]) == ("OperationAge", "Maximum")
    assert list(dimensions(alarm)) == ["service"]
    assert alarm["Period"] >= longest  # else no measurement falls into some periods


def test_silence_is_an_alarm_only_where_that_is_asked_for(stack: Stack) -> None:
    for alarm in alarms(stack).values():
        assert alarm["TreatMissingData"] == "notBreaching"
    asked_for = alarms(deployed(SilenceMinutes="30"))
    assert set(asked_for) - set(alarms(stack)) == {"SilenceAlarm"}
    silence = asked_for["SilenceAlarm"]
    assert (silence["TreatMissingData"], silence["EvaluationPeriods"]) == ("breaching", "30")
    assert (silence["ComparisonOperator"], silence["Threshold"]) == ("LessThanThreshold", 1)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, None),
        ({"AlarmTopicArn": TOPIC}, [TOPIC]),
        ({"AlarmEmail": "ada@example.com"}, ["AlarmTopic"]),
        ({"Environment": "prod"}, ["AlarmTopic"]),
        ({"Environment": "prod", "AlarmTopicArn": TOPIC}, [TOPIC]),
    ],
)
def test_alarms_tell_a_topic_and_prods_always(
    parameters: dict[str, str], told: list[str] | None
) -> None:
    stack = deployed(**parameters)
    for alarm in alarms(stack).values():
        assert alarm.get("AlarmActions") == told
        assert alarm.get("OKActions") == told
    assert set(stack.all("AWS::SNS::Topic")) == ({"AlarmTopic"} & set(told or ()))


def test_the_stacks_own_topic_is_encrypted_by_a_key_that_cloudwatch_may_use() -> None:
    stack = deployed(AlarmEmail="ada@example.com")

    assert stack.one("AWS::SNS::Topic")["KmsMasterKeyId"] == "AlarmKey"
    assert stack.one("AWS::SNS::Subscription") == {
        "TopicArn": "AlarmTopic",
        "Protocol": "email",
        "Endpoint": "ada@example.com",
    }
    key = stack.one("AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    services = [each for each in key["KeyPolicy"]["Statement"] if "Service" in each["Principal"]]
    [allowed] = services
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]


def test_the_dashboard_shows_every_alarm(stack: Stack) -> None:
    dashboard = json.loads(stack.one("AWS::CloudWatch::Dashboard")["DashboardBody"])

    [shown] = [widget for widget in dashboard["widgets"] if widget["type"] == "alarm"]
    assert set(shown["properties"]["alarms"]) == {
        f"{name}.Arn" for name in stack.all("AWS::CloudWatch::Alarm")
    }
    area = [(widget["x"], widget["y"]) for widget in dashboard["widgets"]]
    assert len(set(area)) == len(area)
