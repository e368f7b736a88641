"""The laptop's stack as a process of its own, called over HTTP."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from signal import SIGKILL
from types import SimpleNamespace
from typing import Any

import pytest

from local import tokens
from tests.conftest import ROOT, assert_no_secret


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of one laptop to one process, so that it is started once."""
    for item in items:
        for laptop in {"payments", "machinery"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(laptop))


class Response(SimpleNamespace):
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Calls what listens on a port."""

    def __init__(self, port: int) -> None:
        self.port = port

    def call(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: object = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Response:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path)
        if token is not None:
            connection.putheader("Authorization", f"Bearer {token}")
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
            if "Content-Type" not in dict(headers):
                connection.putheader("Content-Type", "application/json")
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        response = Response(
            status=answer.status, headers=answer.headers, text=answer.read().decode()
        )
        connection.close()
        return response

    def raw(self, request: bytes) -> Response:
        """Send what may be no HTTP, and nothing more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = HTTPResponse(connection)
            answer.begin()
            return Response(
                status=answer.status, headers=answer.headers, text=answer.read().decode()
            )


class Stack(Client):
    """A running `python -m local serve`."""

    def __init__(self, guide: str, log: Path, end: Callable[[int], None]) -> None:
        self.end = end
        super().__init__(int(re.search(r"http://127\.0\.0\.1:(\d+) is up", guide)[1]))
        self.guide = guide
        self._log = log
        self.dynamodb_url = re.search(r"DynamoDB: (\S+)", guide)[1]

    def token(self, user: str = "alice", scope: str = "", expired: bool = False) -> str:
        return tokens.fetch(self.port, user, scope, expired=expired)

    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def running(template: Path, log: Path, *options: str) -> Iterator[Stack]:
    command = [sys.executable, "-m", "local", "serve", "--port", "0", "--template", str(template)]
    command += ["--folder", f"{log}-kept"]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "dynamodb scan" in line:
                    break
            assert lines, log.read_text()
            ended: list[int] = []

            def end(signal: int) -> None:
                ended.append(signal)
                process.send_signal(signal)
                process.wait(timeout=20)

            yield Stack("".join(lines), log, end)
        finally:
            process.terminate()
        status = process.wait(timeout=20)
        assert status == 0 or SIGKILL in ended
    assert_no_secret(log.read_text())


@pytest.fixture(scope="session")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run the project itself."""
    log = tmp_path_factory.mktemp("payments") / "log"
    with running(ROOT / "template.yaml", log) as stack:
        yield stack


@pytest.fixture(scope="session")
def machinery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Path]]:
    """Run a project of functions that show, or break, one thing each; return its folder too."""
    folder = tmp_path_factory.mktemp("machinery")
    write_project(folder, FUNCTIONS)
    with running(folder / "template.yaml", folder / "log") as stack:
        yield stack, folder


FUNCTIONS = {
    "echo": """
import json, os
def handler(event, context):
    print("printed by echo")
    facts = {"event": event, "environment": dict(os.environ)}
    facts["remaining"] = context.get_remaining_time_in_millis()
    facts["memory"] = context.memory_limit_in_mb
    return {"statusCode": 200, "body": json.dumps(facts)}
""",
    "headers": """
def handler(event, context):
    return {
        "statusCode": 418,
        "headers": {"WWW-Authenticate": "Bearer", "Content-Type": "text/plain"},
        "multiValueHeaders": {"X-Twice": ["1", "2"]},
        "body": "eA==",
        "isBase64Encoded": True,
    }
""",
    "raises": "def handler(event, context): raise KeyError('secret')",
    "exits": "import os\ndef handler(event, context): os._exit(3)",
    "sleeps": "import time\ndef handler(event, context): time.sleep(30)",
    "malformed": "def handler(event, context): return {'status': 200}",
    "meets": """
import os, time
def handler(event, context):
    open(f"met-{os.getpid()}", "w").close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if sum(name.startswith("met-") for name in os.listdir(".")) >= 2:
            return {"statusCode": 200, "body": str(os.getpid())}
        time.sleep(0.01)
    return {"statusCode": 500}
""",
    "edited": "from common import answer\ndef handler(event, context): return answer()",
    "mended": "def handler(event, context): return {'statusCode': 200}",
}

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.13, Timeout: 1, Environment: {Variables: {TABLE: !Ref Table}}}
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      OpenApiVersion: 3.0.1
      GatewayResponses:
        DEFAULT_5XX:
          ResponseParameters: {Headers: {Content-Type: "'application/problem+json'"}}
          ResponseTemplates:
            application/json: >-
              {"traceId": "$context.extendedRequestId", "from": "$context.identity.sourceIp"}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: id, AttributeType: S}
        - {AttributeName: due, AttributeType: S}
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - IndexName: byDue
          KeySchema: [{AttributeName: due, KeyType: HASH}]
          Projection: {ProjectionType: KEYS_ONLY}
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
  Pool: {Type: AWS::Cognito::UserPool}
  Client:
    Type: AWS::Cognito::UserPoolClient
    Properties:
      {UserPoolId: !Ref Pool, AllowedOAuthFlows: [code], AllowedOAuthScopes: [openid]}
  ManageClient:
    Type: AWS::Cognito::UserPoolClient
    Properties:
      UserPoolId: !Ref Pool
      AllowedOAuthFlows: [client_credentials]
      AllowedOAuthScopes: [things/manage]
  Scheduled:
    Type: AWS::Serverless::Function
    Properties:
      Handler: scheduled.handler
      Events:
        Rule: {Type: Schedule, Properties: {Schedule: rate(1 hour), Input: '{"by": "rule"}'}}
  Streamed:
    Type: AWS::Serverless::Function
    Properties:
      Handler: streamed.handler
      Events:
        Stream:
          Type: DynamoDB
          Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: LATEST}
"""

FUNCTION = """
  {title}:
    Type: AWS::Serverless::Function
    Properties:
      Handler: {name}.handler
      Events:
        Any: {{Type: Api, Properties: {{RestApiId: !Ref Api, Path: '/{name}/{{id}}', Method: ANY}}}}
"""


def write_project(folder: Path, functions: dict[str, str]) -> None:
    (folder / "common.py").write_text("def answer(): return {'statusCode': 200, 'body': 'before'}")
    (folder / "scheduled.py").write_text("def handler(event, context): print('run', event)")
    (folder / "streamed.py").write_text("def handler(event, context): raise KeyError")
    template = TEMPLATE
    for name, source in functions.items():
        (folder / f"{name}.py").write_text(source)
        template += FUNCTION.format(name=name, title=name.title())
    (folder / "template.yaml").write_text(template)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    assert "AWS_SAM_LOCAL" not in os.environ


def wait_for(is_there: Callable[[], bool], told: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + 20
    while not is_there():
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)
