"""What calls for a person: every alarm watches something that is written, and tells somebody."""

import json

import pytest

from shared.api.problems import DEFECT, problem_of
from shared.errors import StoreUnavailable
from tests.infra.conftest import Stack, deployed

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"


def dimensions(alarm: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}


def test_every_function_is_watched_where_releases_go(stack: Stack) -> None:
    watched = {
        (alarm["Properties"]["MetricName"], dimensions(alarm["Properties"])["Resource"])
        for alarm in stack.all("AWS::CloudWatch::Alarm").values()
        if alarm["Properties"]["Namespace"] == "AWS/Lambda"
    }

    assert watched == {
        (metric, f"{function}:live")
        for function in stack.all("AWS::Lambda::Function")
        for metric in ("Errors", "Throttles")
    }


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
    function = stack.all("AWS::Lambda::Function")["CreatePaymentFunction"]["Properties"]
    service = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
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
