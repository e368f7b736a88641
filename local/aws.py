"""AWS's services on the laptop, with the template's tables and buses."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from local import LocalError
from local.loopback import HOST
from local.template import REGION, Template

ACCESS_KEY = "local"  # and its secret: DynamoDB Local keeps a database for each

# Of what the template says, what matters on a laptop. All else is AWS's to keep.
_TABLE = (
    "TableName AttributeDefinitions KeySchema BillingMode ProvisionedThroughput"
    " GlobalSecondaryIndexes LocalSecondaryIndexes StreamSpecification"
)


@contextmanager
def emulator(port: int, folder: Path) -> Iterator[str]:
    """Run AWS's services on a port as long as the context, their state in a folder; give the URL.

    Raises:
        LocalError: they do not start.
    """
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "local.emulator", str(port), str(folder)]
    # A session of its own: Ctrl-C is for this process, whose calls are to end first.
    pipe = subprocess.PIPE  # whose end, with this process, is the emulator's as well
    with subprocess.Popen(command, stdin=pipe, start_new_session=True) as process:
        try:
            while not _answers(port):
                if process.poll() is not None:
                    raise LocalError(f"AWS's services on port {port} ended at their start")
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait()  # after Ctrl-C, Popen gives up before all is written


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def client(service: str, url: str) -> Any:
    """Return boto3's client of a service at `url`, with the laptop's keys."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}),
    )


def create_buses(template: Template, url: str) -> None:
    """Create the template's event buses at `url`, unless they are there."""
    events = client("events", url)
    for logical_id, properties in template.resources("AWS::Events::EventBus", "Name").items():
        template.ids[logical_id] = properties["Name"]
        with suppress(events.exceptions.ResourceAlreadyExistsException):
            events.create_event_bus(**properties)


def create_tables(template: Template, url: str) -> list[str]:
    """Create the template's tables in the DynamoDB at `url`, unless they are there; return names.

    Raises:
        LocalError: no DynamoDB answers there, or it refuses a table.
    """
    tables = []
    try:
        dynamodb = client("dynamodb", url)
        for logical_id, properties in template.resources("AWS::DynamoDB::Table", _TABLE).items():
            name = template.ids[logical_id] = properties.setdefault("TableName", logical_id)
            if stream := properties.get("StreamSpecification"):
                stream["StreamEnabled"] = True  # a template does not say it
            with suppress(dynamodb.exceptions.ResourceInUseException):
                dynamodb.create_table(**properties)
            dynamodb.get_waiter("table_exists").wait(
                TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
            )
            table = dynamodb.describe_table(TableName=name)["Table"]
            # A store that lasts may hold a table of an older template.
            if stream and "StreamSpecification" not in table:
                dynamodb.update_table(TableName=name, StreamSpecification=stream)
            tables.append(name)
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        raise LocalError(f"DynamoDB at {url}: {error}") from None
    return tables
