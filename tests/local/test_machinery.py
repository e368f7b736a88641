"""What API Gateway and Lambda do around a function, shown by functions made for it."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from local.functions import Functions
from local.stack import Function
from tests.local.conftest import FUNCTIONS, Stack, wait_for

Machinery = tuple[Stack, Path]


@pytest.fixture
def stack(machinery: Machinery) -> Stack:
    return machinery[0]


@pytest.fixture
def folder(machinery: Machinery) -> Path:
    return machinery[1]


def _edit(file: Path, source: str) -> None:
    """Replace a file's text by one of the same length, within the same second."""
    before = file.stat()
    file.write_text(source)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns // 10**9 * 10**9 + 1))


def test_the_event_is_that_of_a_rest_api(stack: Stack) -> None:
    headers = [("X-Twice", "1"), ("x-twice", "2"), ("User-Agent", "test/1")]

    response = stack.call("PUT", "/v1/echo/a%20b?q=1&q=2&empty=", None, {"a": "ä"}, headers)

    event = response.json["event"]
    assert event["resource"] == "/echo/{id}"
    assert event["path"] == "/echo/a b"
    assert event["httpMethod"] == "PUT"
    assert event["pathParameters"] == {"id": "a b"}
    assert event["queryStringParameters"] == {"q": "2", "empty": ""}
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"], "empty": [""]}
    assert event["headers"]["X-Twice"] == "2"
    assert event["multiValueHeaders"]["X-Twice"] == ["1", "2"]
    assert event["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert event["stageVariables"] is None
    assert json.loads(event["body"]) == {"a": "ä"}
    assert event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert context["requestId"] == response.headers["x-amzn-RequestId"]
    assert context["stage"] == "v1"
    assert context["resourcePath"] == "/echo/{id}"
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert context["identity"]["userAgent"] == "test/1"
    assert "authorizer" not in context


def test_an_event_without_query_or_body_says_null(stack: Stack) -> None:
    event = stack.call("GET", "/echo/1").json["event"]

    assert event["queryStringParameters"] is None
    assert event["multiValueQueryStringParameters"] is None
    assert event["body"] is None


def test_a_function_sees_its_own_environment_and_lambdas_only(stack: Stack) -> None:
    facts = stack.call("GET", "/echo/1").json

    environment = facts["environment"]
    ours = {"HOME", "PATH", "LANG", "TZ", "LC_CTYPE", "TABLE"}
    assert all(name.startswith(("AWS_", "LAMBDA_", "_")) for name in set(environment) - ours)
    assert "AWS_SAM_LOCAL" not in environment
    assert environment["TABLE"] == "Table"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "Echo"
    assert environment["AWS_ENDPOINT_URL_DYNAMODB"] == stack.dynamodb_url
    assert 0 < facts["remaining"] <= 1000
    assert facts["memory"] == "128"


def test_what_a_function_prints_goes_to_the_terminal(stack: Stack) -> None:
    stack.call("GET", "/echo/1")

    assert "printed by echo\n" in stack.log()


def test_a_functions_headers_go_out_but_for_those_that_api_gateway_keeps(stack: Stack) -> None:
    response = stack.call("GET", "/headers/1")

    assert response.status == 418
    assert response.text == "x"
    assert response.headers["Content-Type"] == "text/plain"
    assert response.headers.get_all("X-Twice") == ["1", "2"]
    assert response.headers["x-amzn-Remapped-WWW-Authenticate"] == "Bearer"
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize(
    ("function", "line"),
    [
        ("raises", "Raises: raises.py:1: KeyError: 'secret'"),
        ("exits", "Exits: exited with status 3"),
        ("sleeps", "Sleeps: timed out after 1 s"),
        ("malformed", "malformed answer of the function: {'status': 200}"),
    ],
)
def test_a_function_that_fails_is_a_502_that_tells_the_terminal_only(
    stack: Stack, function: str, line: str
) -> None:
    response = stack.call("GET", f"/{function}/1")

    assert response.status == 502
    assert response.headers["Content-Type"] == "application/problem+json"
    trace_id = response.headers["x-amz-apigw-id"]
    assert response.json == {"traceId": trace_id, "from": "127.0.0.1"}
    assert line in stack.log()
    assert "Traceback" not in response.text


def test_concurrent_calls_run_in_processes_of_their_own(stack: Stack) -> None:
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: stack.call("GET", "/meets/1"), range(2))

    assert first.status == second.status == 200
    assert first.text != second.text


def test_an_edit_of_an_imported_file_counts_from_the_next_call_on(
    stack: Stack, folder: Path
) -> None:
    assert stack.call("GET", "/edited/1").text == "before"

    _edit(folder / "common.py", (folder / "common.py").read_text().replace("before", "behind"))

    assert stack.call("GET", "/edited/1").text == "behind"


def test_a_handler_broken_by_an_edit_is_a_502_until_the_next_edit(
    stack: Stack, folder: Path
) -> None:
    file = folder / "mended.py"

    file.write_text("import os\ndef handler(event, context) return 1\n")
    broken = stack.call("GET", "/mended/1")
    file.write_text(FUNCTIONS["mended"])

    assert broken.status == 502
    assert "Mended: mended.py:2: SyntaxError: " in stack.log()
    assert stack.call("GET", "/mended/1").status == 200


def _wait_for(text: str, stack: Stack) -> None:
    deadline = time.monotonic() + 20
    while text not in stack.log():
        assert time.monotonic() < deadline, stack.log()
        time.sleep(0.1)


def test_a_function_with_a_schedule_runs_by_itself_with_its_input(stack: Stack) -> None:
    _wait_for("run {'by': 'rule'}\n", stack)


def test_the_end_ends_a_schedules_run(tmp_path: Path) -> None:
    source = "import pathlib, time\ndef handler(*_): pathlib.Path('begun').touch(); time.sleep(50)"
    (tmp_path / "due.py").write_text(source)
    function = Function("Due", "due.handler", tmp_path, {}, timeout=60, memory=128, schedule={})
    functions = Functions([function], {})
    with ThreadPoolExecutor() as pool:
        run = pool.submit(functions.run_schedules)
        wait_for((tmp_path / "begun").exists)
        functions.stop()

        assert "Due: exited with status -9" in run.result()
        assert functions.run_schedules() == ""


def test_a_schedules_output_is_shown_when_it_is_news(tmp_path: Path) -> None:
    (tmp_path / "due.py").write_text("""
import json, pathlib, sys, time
def handler(event, context):
    settled = int(pathlib.Path("due").read_text())
    print(json.dumps({"timestamp": str(time.time_ns()), "settled": settled}))
    return 1 / (5 - settled)
""")
    function = Function("Due", "due.handler", tmp_path, {}, timeout=5, memory=128, schedule={})
    functions = Functions([function], {})
    try:
        runs = []
        for due in ("0", "0", "2", "2", "0", "5", "5"):
            (tmp_path / "due").write_text(due)
            runs.append(functions.run_schedules())
    finally:
        functions.stop()

    shown = ['"settled": 0}', "", '"settled": 2}', "", '"settled": 0}', "ZeroDivisionError", ""]
    for run, text in zip(runs, shown, strict=True):
        assert text in run if text else not run
    assert "Due: due.py:6: ZeroDivisionError: division by zero\n" in runs[5]


def test_a_table_has_its_indexes_and_its_stream(stack: Stack) -> None:
    dynamodb = boto3.client("dynamodb", endpoint_url=stack.dynamodb_url, region_name="us-east-1")

    table = dynamodb.describe_table(TableName="Table")["Table"]

    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["byDue"]
    assert table["StreamSpecification"] == {
        "StreamEnabled": True,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }


def test_a_changed_template_is_told(stack: Stack, folder: Path) -> None:
    (folder / "template.yaml").touch()

    _wait_for("template.yaml has changed: Ctrl-C and make run", stack)
