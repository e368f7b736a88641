"""What calls for a person: every alarm watches something that is written, and tells somebody."""

import json

import pytest

from shared.api.problems import DEFECT, problem_of
from shared.errors import StoreUnavailable
from shared.operations import LONGEST_WAIT_SECONDS
from tests.infra.conftest import Stack, deployed

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"


def dimensions(alarm: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])}


def test_a_crash_of_any_function_is_counted_from_its_report_and_watched(stack: Stack) -> None:
    """Lambda writes a report in JSON for each invocation, with a level of INFO or WARN."""
    crashes = stack.one("AWS::Logs::MetricFilter")
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
        alarm["Properties"]["MetricName"]: dimensions(alarm["Properties"])
        for alarm in stack.all("AWS::CloudWatch::Alarm").values()
        if alarm["Properties"]["Namespace"] == "AWS/ApiGateway"
    }

    assert watched == {key: {"ApiName": name, "Stage": stage} for key in ("5XXError", "Latency")}


def test_defects_and_a_failing_store_are_watched_by_the_names_that_are_counted(
    stack: Stack,
) -> None:
    [service] = {
        function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for function in stack.functions.values()
    }
    watched = {
        name: dimensions(alarm["Properties"])
        for name, alarm in stack.all("AWS::CloudWatch::Alarm").items()
        if (alarm["Properties"]["Namespace"], alarm["Properties"]["MetricName"])
        == ("PaymentApi", "CallsRefused")
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


def test_silence_is_no_alarm(stack: Stack) -> None:
    for alarm in stack.all("AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize(("topic", "told"), [("", None), (TOPIC, [TOPIC])])
def test_alarms_tell_the_topic_where_one_is_given(topic: str, told: list[str] | None) -> None:
    for alarm in deployed(AlarmTopicArn=topic).all("AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"].get("AlarmActions") == told
        assert alarm["Properties"].get("OKActions") == told


def test_the_dashboard_shows_every_alarm(stack: Stack) -> None:
    dashboard = json.loads(stack.one("AWS::CloudWatch::Dashboard")["DashboardBody"])

    [alarms] = [widget for widget in dashboard["widgets"] if widget["type"] == "alarm"]
    assert set(alarms["properties"]["alarms"]) == {
        f"{name}.Arn" for name in stack.all("AWS::CloudWatch::Alarm")
    }
    area = [(widget["x"], widget["y"]) for widget in dashboard["widgets"]]
    assert len(set(area)) == len(area)
