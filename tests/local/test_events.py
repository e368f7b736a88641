"""Events out on the laptop: the store's own stream, the function itself, a line for each event."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import aws
from local.functions import Functions
from local.loopback import listen, serving
from local.stack import Function
from local.streams import Streams
from tests.local.conftest import Stack, wait_for
from tests.moto import moto


def test_what_happens_to_a_payment_is_a_line_each(payments: Stack) -> None:
    office = payments.token(scope="payments/manage")
    payment = payments.call(
        "POST", "/payment", payments.token(), {"amount": "10.50", "currency": "EUR"}
    ).json["paymentId"]
    payments.call("POST", f"/payment/{payment}/capture", office)
    key = [("Idempotency-Key", "1")]
    payments.call("POST", f"/payment/{payment}/refund", office, {"amount": 4}, key)

    def told() -> list[str]:
        return re.findall(
            rf"^\d\d:\d\d:\d\d\.\d{{3}} (payment\.\w+) {payment} (.*)\n", payments.log(), re.M
        )

    wait_for(lambda: len(told()) >= 3, payments.log)

    assert told() == [
        ("payment.created", "PENDING 10.50 EUR"),
        ("payment.captured", "CAPTURED 10.50 EUR"),
        ("payment.refunded", "PARTIALLY_REFUNDED 10.50 EUR"),
    ]


def test_who_runs_it_is_told_that_events_are_shown(payments: Stack) -> None:
    assert "events are shown below" in payments.guide


def test_an_event_that_the_bus_did_not_take_is_not_shown(payments: Stack) -> None:
    detail = '{"status": "NEW", "amount": 10.10}'
    taken = {"Source": "things", "DetailType": "thing.made", "Detail": detail}
    refused = {**taken, "Source": "aws.things", "DetailType": "thing.refused"}

    answer = aws.client("events", payments.dynamodb_url).put_events(Entries=[refused, taken])

    assert ["EventId" in entry for entry in answer["Entries"]] == [False, True]
    wait_for(lambda: "thing.made" in payments.log(), payments.log)
    assert re.findall(r"^thing\..*", payments.log(), re.M) == ["thing.made NEW 10.10"]


TRIES = """
import json, pathlib

def handler(event, context):
    names = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
    with pathlib.Path("got").open("a") as file:
        print(json.dumps(names), file=file)
    tries = len(pathlib.Path("got").read_text().splitlines())
    if tries == 1:
        raise KeyError("first")
    failed = [r["dynamodb"]["SequenceNumber"] for r in event["Records"]][1:] if tries == 2 else []
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
"""


@pytest.fixture
def store() -> Iterator[tuple[Any, str]]:
    """Return a client of a store with an empty table, and the store's URL."""
    with serving(moto(), listen(0)) as url:
        dynamodb = aws.client("dynamodb", url)
        dynamodb.create_table(
            TableName="Streamed",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        yield dynamodb, url
        dynamodb.delete_table(TableName="Streamed")


def test_records_are_sent_again_from_the_first_that_failed(
    store: tuple[Any, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dynamodb, url = store
    monkeypatch.setattr("local.streams.AGAIN_SECONDS", 0.01)
    (tmp_path / "tries.py").write_text(TRIES)
    function = Function("Tries", "tries.handler", tmp_path, {}, 5, 128, stream="Streamed")
    functions = Functions([function], {})
    dynamodb.put_item(TableName="Streamed", Item={"id": {"S": "before the start"}})
    streams = Streams([function], url, functions)
    for name in ("a", "b", "c"):
        dynamodb.put_item(TableName="Streamed", Item={"id": {"S": name}, "b": {"B": b"\x00"}})

    def got() -> list[list[str]]:
        file = tmp_path / "got"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    try:
        streams.start()
        wait_for(lambda: len(got()) >= 3, lambda: str(got()))
    finally:
        streams.stop()
        functions.stop()

    assert got() == [["a", "b", "c"], ["a", "b", "c"], ["b", "c"]]
    assert "Tries: tries.py:10: KeyError: 'first'" in capsys.readouterr().err
