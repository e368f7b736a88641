"""DynamoDB and EventBridge, by moto in this process, with the template's tables and buses."""

from collections.abc import Iterable
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local import LocalError
from local.template import REGION, Template

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ACCESS_KEY = "local"  # and its secret: DynamoDB Local keeps a database for each

# Of what the template says, what matters on a laptop. All else is AWS's to keep.
_TABLE = (
    "TableName AttributeDefinitions KeySchema BillingMode ProvisionedThroughput"
    " GlobalSecondaryIndexes LocalSecondaryIndexes StreamSpecification"
)


def moto() -> "WSGIApplication":
    """Return AWS's services as an application that answers one call at a time.

    moto checks a write's condition in one step and writes in another.
    """
    services: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = Lock()

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with one_at_a_time:
            return services(environ, start_response)

    return app


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
    """Create the template's event buses at `url`."""
    events = client("events", url)
    for logical_id, properties in template.resources("AWS::Events::EventBus", "Name").items():
        name = template.ids[logical_id] = properties["Name"]
        events.create_event_bus(Name=name)


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
            if (
                stream and "StreamSpecification" not in table
            ):  # an older table, in a store that lasts
                dynamodb.update_table(TableName=name, StreamSpecification=stream)
            tables.append(name)
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        raise LocalError(f"DynamoDB at {url}: {error}") from None
    return tables
