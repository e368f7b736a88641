"""Events out: from the table's stream through one function to a bus; what fails goes to a queue."""

from typing import Any

import pytest

from tests.infra.conftest import Stack
from tests.infra.test_functions import STREAM, actions, statements

FUNCTION = "PublishEventsFunction"


@pytest.fixture
def mapping(stack: Stack) -> dict[str, Any]:
    return stack.one("AWS::Lambda::EventSourceMapping")


def alarm(stack: Stack, name: str) -> dict[str, Any]:
    properties: dict[str, Any] = stack.all("AWS::CloudWatch::Alarm")[name]["Properties"]
    return properties


def test_the_table_tells_what_each_change_was_before_and_after(stack: Stack) -> None:
    assert stack.one("AWS::DynamoDB::Table")["StreamSpecification"] == {
        "StreamViewType": "NEW_AND_OLD_IMAGES"
    }


def test_the_live_function_gets_every_record_from_the_beginning(mapping: dict[str, Any]) -> None:
    assert mapping["EventSourceArn"] == STREAM
    assert mapping["FunctionName"].endswith(f":{FUNCTION}:live")
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert "FilterCriteria" not in mapping


def test_a_record_that_fails_is_tried_again_for_hours_and_then_kept(
    stack: Stack, mapping: dict[str, Any]
) -> None:
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    queue = mapping["DestinationConfig"]["OnFailure"]["Destination"]
    assert queue == "UndeliveredEvents.Arn"

    age = mapping["MaximumRecordAgeInSeconds"]
    assert 3600 <= age <= 12 * 3600  # the stream's day leaves time to read what was given up
    # Where the bus is away, a try waits for it nearly until the timeout: the age is what ends it.
    assert mapping["MaximumRetryAttempts"] * stack.functions[FUNCTION]["Timeout"] > age


def test_what_is_given_up_is_encrypted_kept_and_watched(stack: Stack) -> None:
    queue = stack.one("AWS::SQS::Queue")
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600

    watched = alarm(stack, "UndeliveredAlarm")
    assert (watched["Namespace"], watched["MetricName"], watched["Threshold"]) == (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0),
    )
    assert watched["Dimensions"] == [{"Name": "QueueName", "Value": "UndeliveredEvents.QueueName"}]


def test_a_stream_that_is_read_late_is_watched(stack: Stack, mapping: dict[str, Any]) -> None:
    watched = alarm(stack, "LateEventsAlarm")

    assert (watched["Namespace"], watched["MetricName"], watched["Statistic"]) == (
        *("AWS/Lambda", "IteratorAge", "Maximum"),
    )
    assert watched["Dimensions"] == [{"Name": "FunctionName", "Value": FUNCTION}]
    assert watched["Threshold"] / 1000 < mapping["MaximumRecordAgeInSeconds"] / 10


def test_the_function_may_read_this_stream_and_put_to_this_bus_and_queue(stack: Stack) -> None:
    allowed = {
        str(statement["Resource"]): set(actions(statement))
        for statement in statements(stack, FUNCTION)
    }

    read = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
    assert allowed == {
        STREAM: {f"dynamodb:{name}" for name in read},
        "EventBus.Arn": {"events:PutEvents"},
        "UndeliveredEvents.Arn": {"sqs:SendMessage"},
    }
    for other in set(stack.functions) - {FUNCTION}:
        for statement in statements(stack, other):
            assert statement["Resource"] not in allowed


def test_the_bus_is_the_stacks_own_and_open_to_no_other_account(stack: Stack) -> None:
    bus = stack.one("AWS::Events::EventBus")

    assert bus["Name"] == stack.one("AWS::ApiGateway::RestApi")["Name"]
    assert "Policy" not in bus
    assert not stack.all("AWS::Events::EventBusPolicy")
    variables = stack.functions[FUNCTION]["Environment"]["Variables"]
    assert variables["EVENT_BUS_NAME"] == "EventBus"


def test_events_can_be_replayed_for_a_while(stack: Stack, environment: str) -> None:
    archive = stack.one("AWS::Events::Archive")

    assert archive["SourceArn"] == "EventBus.Arn"
    assert archive["RetentionDays"] == {"dev": 7, "staging": 30, "prod": 90}[environment]
    assert "EventPattern" not in archive  # all of them


def test_whoever_subscribes_finds_the_bus_the_archive_and_the_queue(stack: Stack) -> None:
    assert {"EventBusArn", "EventArchiveArn", "UndeliveredEventsURL"} <= set(stack.outputs)
