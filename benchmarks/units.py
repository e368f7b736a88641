"""Calls and capacity units on DynamoDB Local, as the table's owner is billed for them."""

import subprocess
from typing import Any

from benchmarks.stacks import NAMES, function
from benchmarks.standin import StandIn, dynamodb

STEPS = {"create": "create", "replay": "create", "read": "read"}
REPLAYING = {"ours", "powertools"}


def of(url: str) -> dict[str, Any]:
    """Count what each stack asks of the DynamoDB Local at the URL, for each step."""
    import botocore.session  # noqa: PLC0415 - would weigh on clocks.py's processes: see there

    session = botocore.session.Session()
    session.set_credentials("testing", "testing")
    client: Any = session.create_client("dynamodb", endpoint_url=url, region_name="eu-central-1")
    with dynamodb(forward=url) as store:
        for table, key in store.tables.items():
            client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )
        try:
            return {stack: _steps(stack, store) for stack in NAMES}
        finally:
            for table in store.tables:
                client.delete_table(TableName=table)


def _steps(stack: str, store: StandIn) -> dict[str, dict[str, float]]:
    found = {}
    for step, call in STEPS.items():
        if step == "replay" and stack not in REPLAYING:
            continue
        called = function(stack, call)
        # A read of what is not there fails, and is billed as one that finds it.
        subprocess.run(
            called.command(1), env=store.environment(called), capture_output=True, check=False
        )
        found[step] = store.asked()
    return found
