"""Event source mappings: the records of a table's stream to its function, in order.

As in Lambda, a batch goes on from the first record that failed, and all of it is sent again where
the function failed. Unlike there, this never gives up.
"""

import base64
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from threading import Event, Thread
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import LocalError, aws
from local.functions import Functions
from local.stack import Function

POLL_SECONDS = 0.3
AGAIN_SECONDS = 1.0
BATCH = 100


class Streams:
    """Follows the streams of a store's tables from now on.

    Attributes:
        functions: the names of those that get the records.
    """

    def __init__(self, functions: Iterable[Function], url: str, running: Functions) -> None:
        """Find the streams of the tables in the DynamoDB at `url`.

        Raises:
            LocalError: a table has no stream that can be read.
        """
        self._running = running
        self._stopped = Event()
        mapped = [function for function in functions if function.stream]
        self.functions = [function.name for function in mapped]
        try:
            followed = [(_Stream(str(each.stream), url), each.name) for each in mapped]
        except (BotoCoreError, ClientError, LookupError) as error:
            raise LocalError(f"DynamoDB at {url}: no stream to read ({error})") from None
        self._threads = [Thread(target=self._follow, args=each, daemon=True) for each in followed]

    def start(self) -> None:
        """Follow each stream in a thread of its own."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Follow them no more; a function that runs has a second to end."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(1)

    def _follow(self, stream: "_Stream", function: str) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            try:
                for records in stream.batches():
                    self._deliver(records, function)
            except (BotoCoreError, ClientError) as error:
                self._tell(f"{function}: the stream cannot be read: {error}\n")
                self._stopped.wait(AGAIN_SECONDS)

    def _deliver(self, records: list[dict[str, Any]], function: str) -> None:
        while records and not self._stopped.is_set():
            run = self._running.run(function, {"Records": records})
            self._tell(run.news)
            if run.is_done:
                records = _left(records, run.answer)
            if records:
                self._stopped.wait(AGAIN_SECONDS)

    def _tell(self, news: str) -> None:
        if not self._stopped.is_set():
            print(news, end="", file=sys.stderr, flush=True)


def _left(records: list[dict[str, Any]], answer: Any) -> list[dict[str, Any]]:
    """Return the records that are to be sent again."""
    failed = {each["itemIdentifier"] for each in (answer or {}).get("batchItemFailures", [])}
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    first = next((i for i, number in enumerate(numbers) if number in failed), len(records))
    return records[first:]


class _Stream:
    """One table's stream: its shards, each with the place to read on from."""

    def __init__(self, table: str, url: str) -> None:
        self._client = aws.client("dynamodbstreams", url)
        described = aws.client("dynamodb", url).describe_table(TableName=table)["Table"]
        self._arn = described["LatestStreamArn"]
        self._places: dict[str, str | None] = {}  # None: the shard is closed, and read to its end
        for shard in self._shards():
            self._open(shard, "LATEST")

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Yield what is new, as Lambda sends it; a batch is read on from when the next is asked."""
        for shard in self._shards():
            if shard["ShardId"] not in self._places:
                self._open(shard, "TRIM_HORIZON")
            if self._places.get(shard.get("ParentShardId", "")) is None:  # what came first is read
                yield from self._read(shard["ShardId"])

    def _shards(self) -> list[dict[str, Any]]:
        stream = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]
        shards: list[dict[str, Any]] = stream["Shards"]
        return shards

    def _open(self, shard: dict[str, Any], place: str) -> None:
        self._places[shard["ShardId"]] = self._client.get_shard_iterator(
            StreamArn=self._arn, ShardId=shard["ShardId"], ShardIteratorType=place
        )["ShardIterator"]

    def _read(self, shard_id: str) -> Iterator[list[dict[str, Any]]]:
        while place := self._places[shard_id]:
            page = self._client.get_records(ShardIterator=place, Limit=BATCH)
            if page["Records"]:
                yield [self._as_sent(record) for record in page["Records"]]
            self._places[shard_id] = page.get("NextShardIterator")
            if not page["Records"]:
                return

    def _as_sent(self, record: dict[str, Any]) -> dict[str, Any]:
        sent: dict[str, Any] = json.loads(json.dumps(record, default=_plain))
        return {**sent, "eventSourceARN": self._arn}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value))
