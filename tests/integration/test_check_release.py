"""The check before a release: a version that does not answer as it should gets no calls."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from check_release.app import handler
from check_release.checks import EVENTS, LIFE
from check_release.functions import ANSWER_SECONDS
from tests.codedeploy import ALIAS, EVENT, Deployment, deployment_of
from tests.conftest import Client, Context, forget
from tests.infra.conftest import deployed
from tools.build import folder_of

RELEASED = sorted(
    folder_of(alias["Properties"]["FunctionName"])
    for alias in deployed(Environment="prod").all("AWS::Lambda::Alias").values()
    if "UpdatePolicy" in alias
)
CHECKER = Client("release-check")


@pytest.fixture
def deployment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    with deployment_of(getattr(request, "param", "create_payment"), monkeypatch) as deployment:
        yield deployment


def check(seconds: float = 60) -> None:
    assert handler(dict(EVENT), Context(seconds)) == {}


def cause(logs: io.StringIO) -> str:
    """Return why a release was refused, as the log says."""
    lines = map(json.loads, logs.getvalue().splitlines())
    [line] = [each for each in lines if each.get("message") == "release refused"]
    assert (line["level"], line["deploymentId"]) == ("ERROR", EVENT["DeploymentId"])
    return str(line["cause"])


def made() -> dict[str, str]:
    """Return the status of each payment that checks have made, by its id."""
    listed = CHECKER.list(limit="100").json["payments"]
    return {each["paymentId"]: each["status"] for each in listed}


@pytest.mark.parametrize("gateways", ["manual", "manual,stripe,paypal"])
@pytest.mark.parametrize("deployment", RELEASED, indirect=True)
def test_a_good_version_of_any_function_is_called_and_passes(
    deployment: Deployment, gateways: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAYS", gateways)
    forget()

    check()

    assert deployment.statuses == ["Succeeded"]
    assert (deployment.function, deployment.version) in deployment.invoked


@pytest.mark.parametrize("deployment", LIFE, indirect=True)
def test_a_payment_is_made_read_and_canceled_and_a_repeat_makes_no_second_one(
    deployment: Deployment,
) -> None:
    before = made()

    check()
    [(payment_id, status)] = made().items() - before.items()
    check()

    assert (payment_id, status) in made().items() - before.items()
    assert len(made()) == len(before) + 1
    assert status == "CANCELED"
    assert deployment.statuses == ["Succeeded"] * 2
    others = {each for each in deployment.invoked if each[0] != deployment.function}
    assert others == {(each, ALIAS) for each in LIFE if each != deployment.function}
    assert set(deployment.invoked) - others == {(deployment.function, deployment.version)}


def raises(event: dict[str, Any], context: Context) -> Any:
    raise LookupError("4111 1111 1111 1111")


def answers(status: int, body: str) -> Callable[..., Any]:
    return lambda *_: {"statusCode": status, "body": body}


EMPTY = answers(200, "{}")
BROKEN = {
    "raises": raises,
    "is no handler": lambda *_: None,
    "fails": answers(500, "{}"),
    "answers no JSON": answers(200, "<html>"),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("deployment", sorted({*RELEASED} - EVENTS.keys()), indirect=True)
def test_a_broken_version_gets_no_calls(
    deployment: Deployment, broken: str, logs: io.StringIO
) -> None:
    deployment.new = BROKEN[broken]

    check()

    assert deployment.statuses == ["Failed"]
    assert "4111 1111" not in logs.getvalue()
    assert cause(logs)
    assert f'"release":"{deployment.function}:{deployment.version}"' in logs.getvalue()


@pytest.mark.parametrize("deployment", EVENTS, indirect=True)
def test_nor_does_one_that_cannot_take_an_event(deployment: Deployment) -> None:
    deployment.new = raises
    check()
    deployment.new = lambda *_: {"batchItemFailures": [{"itemIdentifier": "1"}]}
    check()

    assert deployment.statuses == ["Failed"] * 2


@pytest.mark.parametrize(
    ("deployment", "wrong", "said"),
    [
        ("create_payment", {"amountMinor": 2}, "another amountMinor"),
        ("create_payment", {"currency": None}, "another currency"),
        ("get_payment", {"paymentId": "pay_other"}, "another paymentId"),
        ("cancel_payment", {"status": "PENDING"}, "another status"),
        ("capture_payment", {"traceId": "other"}, "another traceId"),
    ],
    indirect=["deployment"],
)
def test_nor_does_one_that_answers_something_else(
    deployment: Deployment, wrong: dict[str, Any], said: str, logs: io.StringIO
) -> None:
    right = deployment.new

    def other(event: dict[str, Any], context: Context) -> Any:
        answer = right(event, context)
        return {**answer, "body": json.dumps({**json.loads(answer["body"]), **wrong})}

    deployment.new = other
    check()

    assert deployment.statuses == ["Failed"]
    assert cause(logs) == f"{deployment.function} answered {said}"


def test_nor_does_one_that_forgets_what_it_keeps(deployment: Deployment, logs: io.StringIO) -> None:
    """The second create, with the same key, has to find the first one's payment."""
    right, number = deployment.new, iter(range(2))

    def other(event: dict[str, Any], context: Context) -> Any:
        event["multiValueHeaders"]["Idempotency-Key"] = [f"other-{next(number)}"]
        return right(event, context)

    deployment.new = other
    check()

    assert deployment.statuses == ["Failed"]
    assert cause(logs) == "create_payment answered another paymentId"


def test_nor_does_one_that_answers_too_late(deployment: Deployment, logs: io.StringIO) -> None:
    is_over = threading.Event()
    deployment.new = lambda *_: is_over.wait(60)

    check(seconds=0.6)
    is_over.set()

    assert deployment.statuses == ["Failed"]
    assert cause(logs) == "DeadlineExceeded"


@pytest.mark.parametrize("operation", ["ListDeploymentTargets", "configuration", "invocations"])
def test_nor_does_one_that_cannot_be_checked(
    deployment: Deployment, operation: str, logs: io.StringIO
) -> None:
    deployment.refused = {operation}

    check()

    assert deployment.statuses == ["Failed"]
    assert cause(logs).endswith(": AccessDeniedException")


def test_codedeploy_that_cannot_be_told_is_an_error_of_the_function(deployment: Deployment) -> None:
    """An alarm rings, and CodeDeploy gives the deployment up after an hour."""
    deployment.refused = {"PutLifecycleEventHookExecutionStatus"}

    with pytest.raises(ClientError):
        check()


def test_a_route_without_a_probe_of_its_own_has_to_refuse_a_stranger(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("check_release.checks.PROBES", ())
    deployment.function = "capture_payment"

    check()
    deployment.new = answers(200, "{}")
    check()

    assert deployment.statuses == ["Succeeded", "Failed"]


def test_the_check_waits_for_any_function() -> None:
    timeouts = {name: each["Timeout"] for name, each in deployed().functions.items()}
    own = timeouts.pop("CheckReleaseFunction")

    assert max(timeouts.values()) < ANSWER_SECONDS < own
