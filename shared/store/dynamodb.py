"""DynamoDB's HTTP API: a call is one signed POST, its answer held against its checksum.

botocore's client does this and much else, for three quarters of a warm call's instructions and most
of a cold start's (docs/performance.md), and takes an answer that was cut off for an empty one. What
a payment needs of it is this page, which tests/reliability holds to its promises.
"""

import hashlib
import hmac
import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from random import uniform
from select import select
from time import gmtime, sleep, strftime
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

from shared.errors import StoreRefused, StoreUnavailable
from shared.settings import Settings

# Every try and the pause between them end well within the function's timeout.
TRIES = 2
CONNECT_SECONDS = 1
ANSWER_SECONDS = 2
LONGEST_PAUSE_SECONDS = 0.2

# Who vouches for AWS's endpoints: https://www.amazontrust.com/repository/ asks trust stores for
# these five. Reading a system's 150 would double the instructions of a cold read.
AMAZON_ROOTS = Path(__file__).with_name("amazon_roots.pem")

# Error codes that mean "later" (Amazon DynamoDB Developer Guide, "Error handling with DynamoDB").
BUSY = {
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
}

Answer = Mapping[str, Any]


class ConditionFailed(Exception):
    """The item that stands there, if any, does not meet the write's condition."""

    def __init__(self, item: Answer) -> None:
        self.item = item


class DynamoDB:
    """A client for one Region's endpoint; any number of threads may call it at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        url = urlsplit(settings.dynamodb_url)
        self._host = url.netloc
        self._new_connection: Callable[..., HTTPConnection] = HTTPConnection
        if url.scheme == "https":
            trusted = ssl.create_default_context(cafile=settings.ca_bundle or AMAZON_ROOTS)
            self._new_connection = partial(HTTPSConnection, context=trusted)
        self._idle: list[HTTPConnection] = []

    def call(self, operation: str, **parameters: object) -> Answer:
        """Make a call of the low-level API, such as GetItem, and return its answer.

        A failed call is tried again, which may repeat a write that happened.

        Raises:
            ConditionFailed: the write's condition does not hold.
            StoreUnavailable: there is no answer, or DynamoDB asks to come later.
            StoreRefused: DynamoDB refuses the call for good.
        """
        body = json.dumps(parameters).encode()
        for _ in range(TRIES - 1):
            with suppress(StoreUnavailable):
                return self._try(operation, body)
            sleep(uniform(0, LONGEST_PAUSE_SECONDS))
        return self._try(operation, body)

    def _try(self, operation: str, body: bytes) -> Answer:
        headers = _signed(self._settings, self._host, operation, body)
        try:
            response = self._send(headers, body)
            answer = _checked(response)
        except (OSError, HTTPException, ValueError) as error:
            raise StoreUnavailable from error
        if response.status == HTTPStatus.OK:
            return answer
        code = answer.get("__type", "").rpartition("#")[2]
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed(answer.get("Item", {}))
        if code in BUSY:
            raise StoreUnavailable from StoreRefused(code)
        raise StoreRefused(code)

    def _send(self, headers: Mapping[str, str], body: bytes) -> "_Response":
        connection = self._connection()
        try:
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return _Response(response.status, answer, response.headers.get("x-amz-crc32"))

    def _connection(self) -> HTTPConnection:
        """Return an idle connection that DynamoDB has not closed meanwhile, else a new one."""
        with suppress(IndexError):
            while _has_ended(connection := self._idle.pop()):
                connection.close()
            return connection
        connection = self._new_connection(self._host, timeout=CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        return connection


class _Response(NamedTuple):
    status: int
    body: bytes
    checksum: str | None


def _has_ended(connection: HTTPConnection) -> bool:
    """Tell whether it was closed, or something came unasked: the other side's goodbye."""
    return connection.sock is None or bool(select([connection.sock], [], [], 0)[0])


def _checked(response: _Response) -> dict[str, Any]:
    """Return the document in an answer that is what DynamoDB sent, by its CRC-32.

    DynamoDB sends the checksum with every answer, DynamoDB Local sends none with an error.

    Raises:
        ValueError: the answer is damaged, somebody else's, or DynamoDB's own word that it failed.
    """
    status, body, checksum = response
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ValueError(f"status {status}")
    is_locals_error = checksum is None and status != HTTPStatus.OK and b'"__type"' in body
    if not is_locals_error and checksum != str(crc32(body)):
        raise ValueError(f"an answer with status {status} is damaged or not DynamoDB's")
    document: dict[str, Any] = json.loads(body)
    return document


def _signed(settings: Settings, host: str, operation: str, body: bytes) -> dict[str, str]:
    """Return a request's headers, its signature among them.

    AWS Signature Version 4 (IAM User Guide, "Create a signed AWS API request").
    """
    now = strftime("%Y%m%dT%H%M%SZ", gmtime())
    headers = {  # in the order in which they are signed
        "content-type": "application/x-amz-json-1.0",
        "host": host,
        "x-amz-date": now,
        "x-amz-security-token": settings.session_token,
        "x-amz-target": f"DynamoDB_20120810.{operation}",
    }
    if not settings.session_token:
        del headers["x-amz-security-token"]
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{now[:8]}/{settings.region}/dynamodb/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{settings.secret_access_key}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={settings.access_key_id}/{scope},"
        f" SignedHeaders={names}, Signature={key.hex()}"
    )
    headers["user-agent"] = "payment-api"
    return headers
