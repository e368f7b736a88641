"""The keys of gateways: one SecureString parameter of SSM each, of JSON.

    /<stack>/gateways/stripe  {"secretKey": "…", "webhookSecrets": ["…"]}
    /<stack>/gateways/paypal  {"clientId": "…", "clientSecret": "…", "webhookIds": ["…"]}

A list holds an old secret beside its successor while one is rolled. Where the gateway's address is
not the usual one, it stands beside them as `url`. They are kept for five minutes.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import (
    GetParameterError,
    TransformParameterError,
)
from botocore.config import Config
from botocore.exceptions import ClientError

from shared.errors import GatewayKeysRefused, GatewayUnavailable
from shared.settings import settings

MAX_AGE_SECONDS = 300


def keys(gateway: str, *, fresh: bool = False) -> Mapping[str, Any]:
    """Return a gateway's keys.

    Raises:
        GatewayKeysRefused: there are none, or they may not be read.
        GatewayUnavailable: SSM did not answer.
    """
    try:
        found: Any = _parameters().get(
            f"/{settings().stack}/gateways/{gateway}",
            max_age=MAX_AGE_SECONDS,
            transform="json",
            decrypt=True,
            force_fetch=fresh,
        )
    except GetParameterError as error:
        is_refusal = isinstance(error.__context__, ClientError)
        raise GatewayKeysRefused if is_refusal else GatewayUnavailable from error
    except TransformParameterError as error:
        raise GatewayKeysRefused from error
    if not isinstance(found, dict):
        raise GatewayKeysRefused
    return found


@cache
def _parameters() -> SSMProvider:
    times = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2})
    return SSMProvider(boto3_client=boto3.client("ssm", config=times))
