"""What the functions are told by their environment, read once and in one place."""

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple


class Settings(NamedTuple):
    """The functions' settings.

    Attributes:
        table_name: the DynamoDB table of payments.
        stack: the name of the stack.
        allowed_origin: the web origin that browsers may call from, or `*`.
        event_bus: the name of the event bus, for the function that publishes events.
        gateways: the payment gateways that this stack may use, by name.
        functions: the names on AWS of the functions that a release's check calls, by their folders.
        is_sam_local: whether `sam local` runs the function: it has no authorizer.
    """

    table_name: str
    stack: str
    allowed_origin: str
    is_sam_local: bool
    gateways: tuple[str, ...]
    event_bus: str
    functions: Mapping[str, str]


@cache
def settings() -> Settings:
    """Return the settings of this execution environment."""
    return Settings(
        table_name=os.environ["TABLE_NAME"],
        stack=os.environ["POWERTOOLS_SERVICE_NAME"],
        allowed_origin=os.environ["ALLOWED_ORIGIN"],
        gateways=tuple(os.environ.get("GATEWAYS", "manual").split(",")),
        event_bus=os.environ.get("EVENT_BUS_NAME", ""),
        functions=json.loads(os.environ.get("FUNCTIONS", "{}")),
        is_sam_local=os.environ.get("AWS_SAM_LOCAL") == "true",
    )
