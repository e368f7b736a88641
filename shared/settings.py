"""What the functions are told by their environment, read once and in one place."""

import os
from functools import cache
from typing import NamedTuple


class Settings(NamedTuple):
    """The functions' settings.

    Attributes:
        table_name: the DynamoDB table of payments.
        allowed_origin: the web origin that browsers may call from, or `*`.
        gateways: the payment gateways that this stack may use, by name.
        is_sam_local: whether `sam local` runs the function: it has no authorizer.
        dynamodb_url: DynamoDB's endpoint, http or https.
        ca_bundle: a file of the authorities to trust instead of Amazon's own, if any.
        region: the AWS Region that requests are signed for, with the keys.
        session_token: belongs to the keys that Lambda hands over; others may have none.
    """

    table_name: str
    allowed_origin: str
    is_sam_local: bool
    gateways: tuple[str, ...]
    dynamodb_url: str
    ca_bundle: str | None
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str


@cache
def settings() -> Settings:
    """Return the settings of this execution environment."""
    return Settings(
        table_name=os.environ["TABLE_NAME"],
        allowed_origin=os.environ["ALLOWED_ORIGIN"],
        gateways=tuple(os.environ.get("GATEWAYS", "manual").split(",")),
        is_sam_local=os.environ.get("AWS_SAM_LOCAL") == "true",
        dynamodb_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"],
        ca_bundle=os.environ.get("AWS_CA_BUNDLE"),
        region=os.environ["AWS_DEFAULT_REGION"],
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        session_token=os.environ.get("AWS_SESSION_TOKEN", ""),
    )
