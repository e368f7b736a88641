"""DynamoDB through boto3.

boto3 finds the Region, the endpoint and the keys, signs, and keeps the connections. This module
adds that every answer is checked, that a failed call is tried once more, and that errors are this
application's own; tests/reliability holds it to that. And it sets boto3 up for a short start.
"""

import hmac
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from random import uniform
from ssl import SSLCertVerificationError
from threading import Lock
from time import sleep
from typing import Any
from zlib import crc32

import botocore.session
from boto3.session import Session
from botocore.auth import AUTH_TYPE_MAPS, SigV4Auth
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    SSLError,
)
from botocore.exceptions import ConnectionError as ConnectError
from botocore.handlers import set_operation_specific_signer
from botocore.hooks import HierarchicalEmitter

from shared.errors import StoreRefused, StoreUnavailable
from shared.store.port import Answer, ConditionFailed

# Every try and the pause between them end well within the function's timeout.
TRIES = 2
CONNECT_SECONDS = 1
ANSWER_SECONDS = 2
LONGEST_PAUSE_SECONDS = 0.2

# The authorities of AWS's endpoints: https://www.amazontrust.com/repository/ asks trust stores for
# these five. Reading botocore's 120 would add a quarter to the instructions of a cold read.
AMAZON_ROOTS = Path(__file__).with_name("amazon_roots.pem")


class Remedy(Enum):
    """What makes a call succeed that DynamoDB refused."""

    TIME = "the same call, later"
    KEYS = "the call signed again, with keys that were loaded again"


# DynamoDB's errors that are not for good (Amazon DynamoDB Developer Guide, "Error handling with
# DynamoDB"; API Reference, "Common Errors"). A wrong clock is an InvalidSignatureException too.
REMEDIES = {
    "ProvisionedThroughputExceededException": Remedy.TIME,
    "ReplicatedWriteConflictException": Remedy.TIME,
    "RequestLimitExceeded": Remedy.TIME,
    "ThrottlingException": Remedy.TIME,
    "TransactionConflictException": Remedy.TIME,
    "ExpiredTokenException": Remedy.KEYS,
    "InvalidSignatureException": Remedy.KEYS,
    "RequestExpired": Remedy.KEYS,
    "UnrecognizedClientException": Remedy.KEYS,
}


class DamagedAnswer(Exception):
    """An answer is damaged or another server's, or DynamoDB's own that it failed."""


NO_ANSWER = (
    ConnectError,
    HTTPClientError,
    DamagedAnswer,
    CredentialRetrievalError,
    RuntimeError,  # botocore raises it for new keys that have expired already
)


class DynamoDB:
    """A `Store` that makes its client on the first call; threads may share it."""

    def __init__(self) -> None:
        self._making = Lock()
        self._client: Any = None
        self._roots: str | None = str(AMAZON_ROOTS)

    def call(self, operation: str, **parameters: object) -> Answer:
        """See `Store.call`."""
        for _ in range(TRIES - 1):
            with suppress(StoreUnavailable):
                return self._try(operation, parameters)
            sleep(uniform(0, LONGEST_PAUSE_SECONDS))
        return self._try(operation, parameters)

    def reset(self) -> None:
        """Drop the client, its connections and its keys: the next call makes another."""
        self._disconnect()
        self._client = None

    def _try(self, operation: str, parameters: Mapping[str, object]) -> Answer:
        try:
            answer: Answer = getattr(self._ready(), operation)(**parameters)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ConditionalCheckFailedException":
                item: Any = error.response.get("Item", {})
                raise ConditionFailed(item) from None
            if code not in REMEDIES:
                raise StoreRefused(code) from None
            if REMEDIES[code] is Remedy.KEYS:
                self.reset()
            raise StoreUnavailable from StoreRefused(code)
        except NO_ANSWER as error:
            self._disconnect()  # the rest of a damaged answer is no answer to the next call
            if isinstance(error, SSLError):
                self._trust_more(error)
            raise StoreUnavailable from error
        return answer

    def _ready(self) -> Any:
        """Return the client; a slow priming call and the first request share one."""
        with self._making:
            client = self._client
            if client is None:
                session = _new_session()
                if session.get_config_variable("ca_bundle"):  # AWS_CA_BUNDLE, or a profile's
                    self._roots = None
                client = self._client = _new_client(session, self._roots)
            return client

    def _disconnect(self) -> None:
        if client := self._client:
            client.close()

    def _trust_more(self, error: SSLError) -> None:
        """Trust botocore's authorities if a certificate did not verify by Amazon's five."""
        reasons = error.kwargs["error"].args
        if self._roots and any(isinstance(each, SSLCertVerificationError) for each in reasons):
            logging.getLogger(__name__).warning(
                "The certificate of %s does not verify by Amazon's authorities (%s): botocore's are"
                " trusted from now on, which makes every start longer",
                error.kwargs["endpoint_url"],
                error.kwargs["error"],
            )
            self._roots = None
            self.reset()


STORE = DynamoDB()
"""The store that all repositories of this execution environment share."""


def _new_session() -> botocore.session.Session:
    """Return a session without the handlers that botocore, boto3 and Powertools add to each.

    The start and every call of its clients are shorter.
    """
    session = botocore.session.Session(include_builtin_handlers=False)
    handlers = HierarchicalEmitter()
    # A laptop's single sign-on fetches its keys by a call that is not signed.
    handlers.register("choose-signer", set_operation_specific_signer)
    session.register_component("event_emitter", handlers)
    return session


def _new_client(session: botocore.session.Session, roots: str | None) -> Any:
    """Return boto3's client; it trusts the authorities in the file `roots`, or boto3's own."""
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},  # `call` tries again
        parameter_validation=False,  # DynamoDB validates
        signature_version=_Signature.NAME,
        user_agent="payment-api",  # else botocore composes one for each call
    )
    client: Any = Session(botocore_session=session).client("dynamodb", verify=roots, config=config)
    # It would judge each answer, to try again none of them.
    client.meta.events.unregister("needs-retry.dynamodb", unique_id="retry-config-dynamodb")
    client.meta.events.register("provide-client-params.dynamodb", _write)
    client.meta.events.register("before-call.dynamodb", _put_body)
    client.meta.events.register("before-parse.dynamodb", _read)
    return client


class _Signature(SigV4Auth):
    """botocore's signature. The key that it is made with is one for a day, and kept."""

    NAME = "v4-kept-key"

    def signature(self, string_to_sign: str, request: Any) -> str:
        key = _signing_key(self.credentials.secret_key, self.credential_scope(request))
        return hmac.digest(key, string_to_sign.encode(), "sha256").hex()


AUTH_TYPE_MAPS[_Signature.NAME] = _Signature


@lru_cache(maxsize=1)
def _signing_key(secret: str, scope: str) -> bytes:
    """Return the key that signs in a scope: the day, the Region, the service.

    It is derived as the IAM User Guide says in "Create a signed AWS API request".
    """
    key = f"AWS4{secret}".encode()
    for name in scope.split("/"):
        key = hmac.digest(key, name.encode(), "sha256")
    return key


def _write(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    """Write a request's body as JSON; leave botocore no parameters to write.

    The parameters are what DynamoDB's JSON says (but for binary values, which this table has none
    of), and botocore would look each of their members up in DynamoDB's description.
    """
    context["body"] = json.dumps(params).encode()
    return {}


def _put_body(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = context["body"]


def _read(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Read an answer before botocore does, if it is what DynamoDB sent, by its CRC-32.

    botocore takes one that was cut off, or is another server's, for an empty one. DynamoDB sends
    the checksum with every answer, DynamoDB Local sends none with an error. And botocore looks for
    every type of value in every attribute, though an answer's JSON is what it makes of it (but for
    binary values, which this table has none of).

    Raises:
        DamagedAnswer: it is not.
    """
    status, body = response_dict["status_code"], response_dict["body"]
    checksum = response_dict["headers"].get("x-amz-crc32")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise DamagedAnswer(f"status {status}")
    is_locals_error = checksum is None and status != HTTPStatus.OK and b'"__type"' in body
    if not is_locals_error and checksum != str(crc32(body)):
        raise DamagedAnswer(f"with status {status}, its checksum is not DynamoDB's")
    if body[:1] + body[-1:] != b"{}":
        raise DamagedAnswer(f"with status {status}, it is no JSON object")
    if status == HTTPStatus.OK:
        customized_response_dict.update(json.loads(body))
        response_dict["body"] = b"{}"
