"""One id leads through everything that a call sets off; the dashboard shows what is written."""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any

import boto3
import pytest

from publish_events.app import handler as publish_events
from tests.codedeploy import deployment_of
from tests.conftest import Context, Response, call, forget, proxy_event
from tests.gateways.standins import Network
from tests.infra.conftest import Stack, deployed
from tests.infra.test_alarms import alarms, dimensions, metrics
from tests.integration.conftest import new_table
from tests.reliability.conftest import lives
from tests.reliability.life import KEY, StandInLife
from tests.reliability.proxy import Answer, Fault, Request
from tests.reliability.test_events_out import read
from tools.functions import folders

Line = dict[str, Any]
gateways_with_pages = lives("stripe", "paypal")


@pytest.fixture(scope="module")
def table(store_url: str) -> Iterator[tuple[Any, str]]:
    """Return a table with its stream."""
    with new_table(store_url, stream=True) as made:
        yield made


@pytest.fixture
def bus(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return what reads the details of the events that a subscriber to the bus got."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", store_url)
    client, sqs = (boto3.client(name, endpoint_url=store_url) for name in ("events", "sqs"))
    client.create_event_bus(Name="payments")
    queue = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = "arn:aws:sqs:eu-central-1:123456789012:subscriber"
    pattern = json.dumps({"source": ["payment-api"]})
    client.put_rule(Name="all", EventBusName="payments", EventPattern=pattern)
    client.put_targets(Rule="all", EventBusName="payments", Targets=[{"Id": "all", "Arn": arn}])

    def details() -> list[dict[str, Any]]:
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        return [json.loads(each["Body"])["detail"] for each in got]

    yield details
    client.remove_targets(Rule="all", EventBusName="payments", Ids=["all"])
    client.delete_rule(Name="all", EventBusName="payments")
    client.delete_event_bus(Name="payments")
    sqs.delete_queue(QueueUrl=queue)


def lines(logs: io.StringIO) -> list[Line]:
    return [json.loads(line) for line in logs.getvalue().splitlines()]


def do(life: StandInLife, action: str, payment_id: str, trace_id: str, **body: object) -> Response:
    """Make a call that API Gateway gives this id."""
    client = life.office if action in ("capture", "refund") else life.alice
    event = client.event(payment_id, body, KEY)
    event["requestContext"]["extendedRequestId"] = trace_id
    return call(import_module(f"{action}_payment.app").handler, event)


def live(life: StandInLife) -> str:
    """Return a payment that was declined, paid, and given back by the schedule; each call's id is
    its name."""
    payment_id = life.made()
    assert do(life, "confirm", payment_id, "confirm").status == 200
    life.pay(payment_id, "decline")
    life.hear(life.stand_in.new_events())
    life.pay(payment_id)
    do(life, "confirm", payment_id, "confirm")  # PayPal moves money when it is asked to
    assert set(life.hear(life.stand_in.new_events())) == {204}
    life.stand_in.plan(*[Fault.DROPPED_ANSWER] * life.stand_in.tries)
    assert do(life, "refund", payment_id, "refund", amount=40).status == 202
    life.stand_in.plan()
    life.sweep()
    assert life.kept(payment_id).status == "PARTIALLY_REFUNDED"
    return payment_id


def publish(table: tuple[Any, str], payment_id: str) -> None:
    """Let the stream's records of a payment be told, as Lambda does."""
    records = [each for each in read(*table) if payment_id in json.dumps(each["dynamodb"])]
    assert publish_events({"Records": records}, Context()) == {"batchItemFailures": []}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the ids that the gateway gives its requests."""
    ids: set[str] = set()
    forward = Network._forward

    def noted(network: Network, request: Request) -> Answer:
        answer = forward(network, request)
        names = ("request-id", "paypal-debug-id")
        ids.update(text for name, text in answer.headers.items() if name.lower() in names)
        return answer

    monkeypatch.setattr(Network, "_forward", noted)
    return ids


@gateways_with_pages
def test_the_id_of_a_call_is_on_all_that_it_led_to(
    life: StandInLife,
    table: tuple[Any, str],
    bus: Callable[[], list[dict[str, Any]]],
    given: set[str],
    logs: io.StringIO,
) -> None:
    payment_id = live(life)
    publish(table, payment_id)

    told = [each for each in lines(logs) if each.get("paymentId") == payment_id]

    def led_to(trace_id: str) -> set[tuple[str, str]]:
        found = [each for each in told if each["correlationId"] == trace_id]
        return {
            (each["message"], each.get("operation") or each.get("type") or each.get("route", ""))
            for each in found
        }

    hook = f"POST /webhook/{life.name}"
    assert led_to("confirm") >= {
        ("gateway", "start"),
        ("gateway", "fetch"),
        ("call", hook),
        ("event", "payment.requires_action"),
        ("event", "payment.captured"),
    }
    refunded = {("gateway", "refund"), ("settled", ""), ("event", "payment.refunded")}
    assert led_to("refund") >= refunded
    [settled] = [each for each in told if each["message"] == "settled"]
    assert settled["outcome"] == "done"

    asked = [each for each in told if each["message"] == "gateway"]
    assert {each["outcome"] for each in asked} == {"done", "declined", "unknown"}
    assert all(each["requestIds"] for each in asked if each["outcome"] != "unknown")
    assert {each for line in asked for each in line["requestIds"]} <= given
    assert all(each["cause"] for each in asked if each["outcome"] == "unknown")

    causes = {each["eventId"].rpartition(".")[2]: each["correlationId"] for each in bus()}
    assert causes["captured"] == "confirm"
    assert causes["refunded"] == "refund"
    assert causes["created"] not in ("confirm", "refund", None)


@gateways_with_pages
def test_a_repeat_that_goes_on_with_an_operation_keeps_the_first_id(
    life: StandInLife, logs: io.StringIO
) -> None:
    payment_id = life.made("manual", "AUTHORIZED")
    life.stand_in.plan(*[Fault.DROPPED_REQUEST] * life.stand_in.tries)
    assert do(life, "capture", payment_id, "first").status == 202
    life.stand_in.plan()

    assert do(life, "capture", payment_id, "second").status == 200

    line = lines(logs)[-1]
    assert (line["traceId"], line["correlationId"]) == ("second", "first")
    assert life.kept(payment_id).correlation_id == "first"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket]:
    """Return what stands for Lambda's X-Ray daemon."""
    with socket(AF_INET, SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
        yield listening


@gateways_with_pages
@pytest.mark.parametrize("is_fault", [False, True])
def test_a_sampled_call_is_on_the_map_under_its_gateway(
    life: StandInLife, is_fault: bool, daemon: socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id = life.made()
    root, parent = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={root};Parent={parent};Sampled=1;Lineage=a:0")
    life.stand_in.plan(*[Fault.DROPPED_ANSWER] * life.stand_in.tries * is_fault)

    do(life, "confirm", payment_id, "confirm")

    header, document = map(json.loads, daemon.recv(65_536).splitlines())
    assert header == {"format": "json", "version": 1}
    assert re.fullmatch("[0-9a-f]{16}", document.pop("id"))
    assert 0 < document.pop("end_time") - document.pop("start_time") < 30
    assert document == {
        "type": "subsegment",
        "trace_id": root,
        "parent_id": parent,
        "name": life.name,
        "namespace": "remote",
        "fault": is_fault,
        "annotations": {"correlationId": "confirm"},
    }


@lives("stripe")
@pytest.mark.parametrize(
    "header",
    ["", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0", "Sampled=1"],
)
def test_what_is_not_sampled_is_not_sent(
    life: StandInLife, header: str, daemon: socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    assert do(life, "confirm", life.made(), "confirm").status == 200

    daemon.setblocking(False)
    with pytest.raises(BlockingIOError):
        daemon.recv(65_536)


@lives("stripe")
@pytest.mark.parametrize("address", ["127.0.0.1:99999", "tcp:127.0.0.1:2000"])
def test_a_trace_that_cannot_be_sent_fails_no_call(
    life: StandInLife, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-a;Parent=b;Sampled=1")

    assert do(life, "confirm", life.made(), "confirm").status == 200


# --- The dashboard, the alarms and the saved queries ask for what is written ---


@pytest.fixture
def everything(
    life: StandInLife,
    table: tuple[Any, str],
    bus: object,
    logs: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> list[Line]:
    """Return the lines of a payment's life, of each function's sample event, and of failures."""
    publish(table, live(life))
    life.alice.create({"amount": 1, "currency": "USD"}, key="once")
    life.alice.create({"amount": 1, "currency": "USD"}, key="once")
    monkeypatch.setenv("GATEWAYS", "manual,stripe,paypal")
    forget()
    with deployment_of("publish_events", monkeypatch):
        for folder in folders():
            import_module(f"{folder}.app").handler(proxy_event(folder), Context())
    unreadable = {"SequenceNumber": "1", "NewImage": {"paymentId": {"S": "1"}}}
    publish_events({"Records": [{"dynamodb": unreadable}]}, Context())
    monkeypatch.setenv("TABLE_NAME", "none")
    life.alice.create({"amount": 1, "currency": "USD"})  # a defect
    return lines(logs)


def written_metrics(lines: list[Line]) -> set[tuple[str, str, frozenset[str]]]:
    """Return namespace, name and dimensions of each metric that lines hold."""
    return {
        (directive["Namespace"], each["Name"], frozenset(names))
        for line in lines
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ())
        for names in directive["Dimensions"]
        for each in directive["Metrics"]
    }


def widgets(stack: Stack) -> list[dict[str, Any]]:
    body = json.loads(stack.one("AWS::CloudWatch::Dashboard")["DashboardBody"])
    return [each["properties"] for each in body["widgets"]]


def shown_metrics(stack: Stack) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield namespace, name and dimensions of each metric of the dashboard's."""
    for widget in widgets(stack):
        above: list[str] = []
        for metric in widget.get("metrics", ()):
            if isinstance(metric[0], dict):
                search = re.search(r'\{([^}]+)\} MetricName="(\w+)"', metric[0]["expression"])
                assert search, metric
                namespace, *names = search[1].split(",")
                yield namespace, search[2], frozenset(names)
                continue
            texts = [each for each in metric if isinstance(each, str)]
            above = [above[i] if text == "." else text for i, text in enumerate(texts)]
            yield above[0], above[1], frozenset(above[2::2])


@lives("stripe")
def test_the_dashboard_shows_each_metric_that_the_functions_write_and_no_other(
    everything: list[Line],
) -> None:
    stack = deployed()
    written = written_metrics(everything)
    shown = set(shown_metrics(stack))

    assert {each for each in shown if each[0] == "PaymentApi"} == written
    counted = {
        (made["MetricNamespace"], made["MetricName"], frozenset[str]())
        for each in stack.all("AWS::Logs::MetricFilter").values()
        for made in each["Properties"]["MetricTransformations"]
    }
    assert {each for each in shown if each[0].startswith("PaymentApi/")} == counted
    assert {each[0] for each in shown} - {"PaymentApi"} <= {
        *{each[0] for each in counted},
        *("AWS/ApiGateway", "AWS/Lambda", "AWS/DynamoDB", "AWS/SQS"),
    }
    watched = {
        (metric["Namespace"], metric["MetricName"], frozenset(dimensions(metric)))
        for alarm in alarms(stack).values()
        for metric in metrics(alarm)
    }
    assert {each for each in watched if each[0] == "PaymentApi"} <= written


@lives("stripe")
def test_each_function_has_a_row_of_its_own(everything: list[Line]) -> None:
    rows_of = "filter message = 'call' | fields coalesce(route, function) as what"
    assert [each for each in widgets(deployed()) if rows_of in each.get("query", "")]

    calls = [each for each in everything if each.get("message") == "call"]
    rows = {each.get("route") or each["function"] for each in calls}
    assert len(rows) == len(folders())


# Of the report that Lambda writes for each invocation (see the metric filter of crashes).
OF_LAMBDA = {"type", "record.status", "record.errorType"}
WORDS = {"SOURCE", "filter", "fields", "stats", "sort", "limit", "by", "as", "and", "or", "in"}
WORDS |= {"like", "desc"}


def fields(line: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in line.items():
        yield prefix + name
        if isinstance(value, list):
            yield f"{prefix}{name}.0"


def asked_for(query: str) -> set[str]:
    """Return the fields that a query of Logs Insights names."""
    bare = re.sub(r"'[^']*'|/[^/]*/|\b(as|bin)\s*\(?\w+\)?", " ", query)
    names = re.findall(r"[@A-Za-z][\w.]*(?!\w*\()", bare)
    made = re.findall(r"\bas (\w+)", query)
    return {each for each in names if each[0] != "@" and each not in (*WORDS, *made)}


def queries(stack: Stack) -> Iterator[tuple[str, bool]]:
    """Yield each query, and whether it looks at the access log too."""
    for widget in widgets(stack):
        if "query" in widget:
            yield widget["query"], False
    for saved in stack.all("AWS::Logs::QueryDefinition").values():
        properties = saved["Properties"]
        assert properties["Name"].startswith(f"{stack.one('AWS::ApiGateway::RestApi')['Name']}/")
        yield properties["QueryString"], "AccessLogs" in properties["LogGroupNames"]


@lives("stripe")
def test_queries_ask_for_fields_that_lines_have(everything: list[Line]) -> None:
    stack = deployed()
    written = {name for line in everything for name in fields(line)}
    access = set(json.loads(stack.one("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"]))
    found = list(queries(stack))

    assert len(found) > 10
    for query, looks_at_access_log in found:
        known = written | OF_LAMBDA | (access if looks_at_access_log else set())
        assert asked_for(query) <= known, query
    messages = {each.get("message") for each in everything}
    for message in {each for query, _ in found for each in re.findall(r"message = '(\w+)'", query)}:
        assert message in messages
