"""Tell again what could not be put on the event bus. docs/events.md says when.

    python -m tools.republish STACK                                  # what the queue names
    python -m tools.republish STACK --changed-from T --changed-to T  # payments as they stand

The first reads the records from the table's stream, which keeps them for a day, and takes a message
off the queue when its records are told. The second tells where payments stand that last changed
between two times. Both call the function that tells every other change.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import boto3
from botocore.exceptions import ClientError

from shared.payments.lifecycle import PENDING
from shared.store.items import from_item, to_item

BATCH = 20  # with both images of each, below the 6 MB that an invocation takes

Record = Mapping[str, Any]
Publish = Callable[[list[Record]], None]


class NotToldError(Exception):
    """The function did not tell all of it; its log says why."""


def from_queue(sqs: Any, streams: Any, queue: str, publish: Publish) -> int:
    """Publish the records that each message of the queue names; return how many.

    Raises:
        ClientError: TrimmedDataAccessException where a record is older than a day.
        NotToldError: the records of a message were not told; it stays in the queue.
    """
    told = 0
    while messages := sqs.receive_message(QueueUrl=queue, VisibilityTimeout=300).get("Messages"):
        for message in messages:
            named = _named(streams, json.loads(message["Body"])["DDBStreamBatchInfo"])
            told += _publish(named, publish)
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return told


def _named(streams: Any, info: Mapping[str, Any]) -> Iterator[Record]:
    """Yield the records of a shard from one sequence number to another."""
    place = streams.get_shard_iterator(
        StreamArn=info["streamArn"],
        ShardId=info["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=info["startSequenceNumber"],
    )["ShardIterator"]
    while place:
        page = streams.get_records(ShardIterator=place)
        for record in page["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > int(info["endSequenceNumber"]):
                return
            yield record
        place = page.get("NextShardIterator") if page["Records"] else None


def from_table(
    dynamodb: Any, table: str, changed_from: str, changed_to: str, publish: Publish
) -> int:
    """Publish where payments stand that last changed between two times; return how many."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="updatedAt BETWEEN :from AND :to",
        ExpressionAttributeValues={":from": {"S": changed_from}, ":to": {"S": changed_to}},
    )
    records = (_as_it_stands(item) for page in pages for item in page["Items"])
    return _publish(records, publish)


def _publish(records: Iterator[Record], publish: Publish) -> int:
    told = 0
    while batch := list(islice(records, BATCH)):
        publish(batch)
        told += len(batch)
    return told


def _as_it_stands(item: Mapping[str, Any]) -> Record:
    """Return a record of all that happened to a payment, as if in one step."""
    payment = from_item(item)
    before = replace(
        payment,
        status=PENDING,
        state=PENDING,
        captured_minor=0,
        refunded_minor=0,
        refunds=(),
        next_action=None,
        authorized_until=None,
        last_error=None,
    )
    images = {"NewImage": item}
    if payment.status != PENDING:
        images["OldImage"] = to_item(before)
    return {"dynamodb": {**images, "SequenceNumber": payment.payment_id}}


def by_function(client: Any, name: str) -> Publish:
    """Return what publishes records by the stack's own function."""

    def publish(records: list[Record]) -> None:
        answer = client.invoke(
            FunctionName=name,
            Qualifier="live",
            Payload=json.dumps({"Records": records}, default=str),
        )
        said = json.loads(answer["Payload"].read())
        if "FunctionError" in answer or said["batchItemFailures"]:
            raise NotToldError(json.dumps(said))

    return publish


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.republish")
    parser.add_argument("stack")
    parser.add_argument("--changed-from", metavar="2026-11-24T09:00:00.000Z")
    parser.add_argument("--changed-to", metavar="2026-11-24T10:00:00.000Z")
    given = parser.parse_args(arguments)
    stacks = boto3.client("cloudformation").describe_stacks(StackName=given.stack)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stacks[0]["Outputs"]}
    publish = by_function(boto3.client("lambda"), outputs["PublishEventsName"])
    try:
        if given.changed_from and given.changed_to:
            times = (given.changed_from, given.changed_to)
            table = outputs["PaymentsTableName"]
            told = from_table(boto3.client("dynamodb"), table, *times, publish)
        else:
            clients = boto3.client("sqs"), boto3.client("dynamodbstreams")
            told = from_queue(*clients, outputs["UndeliveredEventsURL"], publish)
    except (ClientError, NotToldError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{told} changes told")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
