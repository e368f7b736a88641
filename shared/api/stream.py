"""The way in of a DynamoDB stream: `@stream` makes a Lambda handler.

A module of its own: Powertools' batch utility is imported by nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, wraps
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from shared.api.deadline import Context, within
from shared.api.events import EventHandler
from shared.api.line import Line
from shared.api.problems import DEFECT, problem_of
from shared.api.request import Event

Record = Mapping[str, Any]


class NotReached(Exception):
    """A record follows one that failed."""


class BatchToSplit(Exception):
    """The first of several records fails by a defect: Lambda is to split the batch."""


def stream(handler: Callable[[Sequence[Record]], Iterator[None]]) -> EventHandler:
    """Make a Lambda handler of a function that takes a batch of records of a DynamoDB stream.

    The function takes the records in order, and yields once for each that is done. Where it raises,
    the batch ends, so that nothing overtakes the record that failed: all from there on are reported
    as failed, and Lambda sends them again (DynamoDB Developer Guide, "Partial batch response"; the
    event source mapping needs ReportBatchItemFailures).

    Lambda gives up a batch, not a record. So a defect at its first record is an error of the
    function, which BisectBatchOnFunctionError splits: in the end, that record is alone.
    """

    @wraps(handler)
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:
        log = Line(function=handler.__module__.removesuffix(".app"))
        records = handler(event["Records"])
        has_failed = False

        def take(record: Any) -> None:
            nonlocal has_failed
            if has_failed:
                raise NotReached
            try:
                within(context, partial(next, records))
            except Exception as error:
                has_failed = True
                log.add(failedAt=record.dynamodb.sequence_number)
                log.fail(error)
                is_one_of_several = len(event["Records"]) > 1
                processor.raise_on_entire_batch_failure = (
                    is_one_of_several and problem_of(error) is DEFECT
                )
                raise

        processor = BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)
        try:
            return dict(process_partial_response(dict(event), take, processor))
        except BatchProcessingError:
            raise BatchToSplit from None  # its text quotes the errors', which stay out of the log
        finally:
            status = "failed" if has_failed else "done"
            log.write(status=status, records=len(processor.success_messages))

    return lambda_handler
