"""The functions of the stack, called as API Gateway calls them, by AWS Lambda's Invoke."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from shared.settings import settings

CONNECT_SECONDS = 3
ANSWER_SECONDS = 65
"""More than the timeout of any function: what takes longer is Lambda's to end."""


class WrongAnswer(Exception):
    """A function does not answer as it should; the text says which, and holds no data."""


class Release(NamedTuple):
    """A function's new version, which has no calls yet.

    Attributes:
        deployment_id: CodeDeploy's.
        name: the function's on AWS.
        version: the new version.
        function: the function's folder.
    """

    deployment_id: str
    name: str
    version: str
    function: str

    def call(self, function: str, event: Mapping[str, Any]) -> Any:
        """Return what a function answers: the released one by its new version, others by the alias.

        Raises:
            WrongAnswer: it crashed, or took too long.
        """
        name, qualifier = self.name, self.version
        if function != self.function:
            name, qualifier = settings().functions[function], "live"
        answered = client().invoke(FunctionName=f"{name}:{qualifier}", Payload=json.dumps(event))
        answer = json.load(answered["Payload"])
        if "FunctionError" in answered:
            raise WrongAnswer(f"{function} ended with {answer.get('errorType')}")
        return answer


def folder_of(name: str) -> str:
    """Return the folder of a function: its handler is FOLDER.app.handler."""
    handler: str = client().get_function_configuration(FunctionName=name)["Handler"]
    return handler.partition(".")[0]


@cache
def client() -> Any:
    """Return this execution environment's client of AWS Lambda."""
    times = Config(connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS)
    return boto3.client("lambda", config=times)
