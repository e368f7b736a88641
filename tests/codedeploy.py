"""A stand-in for AWS CodeDeploy and AWS Lambda, which runs the real handlers; over a socket."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from typing import Any
from urllib.parse import unquote

import pytest
from werkzeug import Request, Response

from local.loopback import listen, serving
from tests.conftest import Context, proxy_event

Handler = Callable[[dict[str, Any], Context], Any]
EVENT = proxy_event("check_release")
NAME, ALIAS = "payment-api-prod-{}-1A2B3C", "live"
VERSIONS = count(1)


class Deployment:
    """One deployment of a function, and what it hears.

    Attributes:
        version: the new version, another one in each test.
        statuses: what the hook said, in order.
        new: the new version's handler.
        invoked: function and qualifier of each call, in order.
        refused: AWS's operations that the role of the hook may not call.
    """

    def __init__(self, function: str) -> None:
        self.function = function
        self.version = str(next(VERSIONS))
        self.new: Handler = import_module(f"{function}.app").handler
        self.statuses: list[str] = []
        self.invoked: list[tuple[str, str]] = []
        self.refused: set[str] = set()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        operation = request.headers.get("X-Amz-Target", request.path).rpartition(".")[2]
        return self._answer(operation, request)(environ, start_response)

    def _answer(self, operation: str, request: Request) -> Response:
        target = {"functionName": NAME.format(self.function), "targetVersion": self.version}
        if operation.rpartition("/")[2] in self.refused:
            denied = {"__type": "AccessDeniedException", "message": "no"}
            return Response(json.dumps(denied), 400)
        if operation == "ListDeploymentTargets":
            return Response(json.dumps({"targetIds": ["1"]}))
        if operation == "GetDeploymentTarget":
            info = {"lambdaTarget": {"lambdaFunctionInfo": target}}
            return Response(json.dumps({"deploymentTarget": info}))
        if operation == "PutLifecycleEventHookExecutionStatus":
            asked = json.loads(request.data)
            assert asked["deploymentId"] == EVENT["DeploymentId"]
            hook = EVENT["LifecycleEventHookExecutionId"]
            assert asked["lifecycleEventHookExecutionId"] == hook
            self.statuses.append(asked["status"])
            return Response(json.dumps({}))
        called, what = operation.split("/")[-2:]
        name, _, qualifier = unquote(called).partition(":")
        folder = name.split("-")[-2]
        if what == "configuration":
            return Response(json.dumps({"Handler": f"{folder}.app.handler"}))
        self.invoked.append((folder, qualifier))
        return self._invoke(folder, qualifier, json.loads(request.data))

    def _invoke(self, folder: str, qualifier: str, event: dict[str, Any]) -> Response:
        is_new = (folder, qualifier) == (self.function, self.version)
        assert is_new or qualifier == ALIAS
        handler = self.new if is_new else import_module(f"{folder}.app").handler
        try:
            return Response(json.dumps(handler(event, Context())))
        except Exception as error:  # noqa: BLE001 - as Lambda tells it
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return Response(json.dumps(told), headers={"X-Amz-Function-Error": "Unhandled"})


@contextmanager
def deployment_of(function: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    deployment = Deployment(function)
    names = {
        each: NAME.format(each) for each in ("create_payment", "get_payment", "cancel_payment")
    }
    monkeypatch.setenv("FUNCTIONS", json.dumps(names))
    with serving(deployment, listen(0)) as url:
        for service in ("CODEDEPLOY", "LAMBDA"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", url)
        yield deployment
