"""`python -m tools.republish`: what was given up is told again, from the stream or the table."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from publish_events.app import handler
from tests.bus import ScriptedBus, scripted_bus
from tests.conftest import Client, Context, forget
from tests.integration.conftest import new_client, new_table
from tools import republish
from tools.republish import NotToldError, Publish, by_function, from_queue, from_table

QUEUE = "undelivered"


@pytest.fixture
def bus(store: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBus]:
    with scripted_bus() as bus:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.url)
        yield bus


class Lambda:
    """Calls the function as `invoke` does; `fails` makes it fail."""

    fails = False

    def invoke(self, *, FunctionName: str, Qualifier: str, Payload: str) -> dict[str, Any]:  # noqa: N803
        assert (FunctionName, Qualifier) == ("publish", "live")
        if self.fails:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType": "X"}')}
        answer = handler(json.loads(Payload), Context())
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


@pytest.fixture
def publish(bus: ScriptedBus) -> Publish:
    return by_function(Lambda(), "publish")


@pytest.fixture
def streamed(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    with new_table(store_url, stream=True) as (client, name):
        monkeypatch.setenv("TABLE_NAME", name)
        forget()
        yield client, name


def told(bus: ScriptedBus) -> list[tuple[str, str]]:
    return [(each["paymentId"], each["eventId"].partition(".")[2]) for each in bus.details()]


def a_life(alice: Client, office: Client) -> str:
    payment_id = str(alice.create({"amount": 100, "currency": "USD"}).json["paymentId"])
    office.do("capture", payment_id)
    office.do("refund", payment_id, {"amount": 40}, {"Idempotency-Key": "1"})
    return payment_id


def test_what_the_queue_names_is_told_from_the_stream(  # noqa: PLR0917
    bus: ScriptedBus,
    publish: Publish,
    streamed: tuple[Any, str],
    store_url: str,
    alice: Client,
    office: Client,
) -> None:
    payment_id = a_life(alice, office)
    arn = streamed[0].describe_table(TableName=streamed[1])["Table"]["LatestStreamArn"]
    streams = new_client("dynamodbstreams", store_url)
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    place = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=place)["Records"]
    first, second = (each["dynamodb"]["SequenceNumber"] for each in records[:2])
    info = {"shardId": shard["ShardId"], "streamArn": arn, "batchSize": 2}
    sqs = FakeQueue({**info, "startSequenceNumber": first, "endSequenceNumber": second})

    assert from_queue(sqs, streams, QUEUE, publish) == 2

    assert told(bus) == [(payment_id, "1.created"), (payment_id, "2.captured")]
    assert sqs.messages == []


class FakeQueue:
    """SQS as far as it is used, whatever the store is."""

    def __init__(self, *infos: dict[str, Any]) -> None:
        self.messages = [json.dumps({"DDBStreamBatchInfo": info}) for info in infos]

    def receive_message(self, **_: Any) -> dict[str, Any]:
        return {"Messages": [{"Body": m, "ReceiptHandle": m} for m in self.messages[:1]]}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        self.messages.remove(ReceiptHandle)


def test_payments_are_told_as_they_stand_from_the_table(
    bus: ScriptedBus,
    publish: Publish,
    streamed: tuple[Any, str],
    alice: Client,
    office: Client,
) -> None:
    new = alice.create({"amount": 1, "currency": "JPY"}).json
    changed = a_life(alice, office)

    assert from_table(*streamed, "2020", "2100", publish) == 2
    assert sorted(told(bus)) == sorted(
        [(new["paymentId"], "1.created"), (changed, "3.captured"), (changed, "3.refunded")]
    )
    assert from_table(*streamed, "2020", new["updatedAt"], publish) == 1
    assert told(bus)[-1] == (new["paymentId"], "1.created")
    assert from_table(*streamed, "2020", "2021", publish) == 0


@pytest.mark.parametrize("how", ["dies", "reports"])
def test_what_is_not_told_stays_in_the_queue(how: str, bus: ScriptedBus) -> None:
    client = Lambda()
    client.fails = how == "dies"
    record = {"dynamodb": {"SequenceNumber": "1", "NewImage": {"paymentId": {"S": "broken"}}}}

    with pytest.raises(NotToldError, match="errorType" if how == "dies" else '"itemIdentifier"'):
        by_function(client, "publish")([record])


def test_the_command_reads_the_stacks_outputs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {"PublishEventsName": "f", "UndeliveredEventsURL": "q", "PaymentsTableName": "t"}
    shown = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]

    class Stacks(FakeQueue):
        def describe_stacks(self, **_: str) -> dict[str, Any]:
            return {"Stacks": [{"Outputs": shown}]}

    monkeypatch.setattr(republish.boto3, "client", lambda _: Stacks())

    assert republish.main(["payment-api-dev"]) == 0
    assert capsys.readouterr().out == "0 changes told\n"
