"""The way in of AWS CodeDeploy's hook: `@before_traffic` makes a Lambda handler."""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import boto3
from botocore.exceptions import ClientError

from check_release.functions import Release, WrongAnswer, folder_of
from shared.api.deadline import Context, within
from shared.api.events import EventHandler
from shared.api.line import Line
from shared.api.log import logger, stack
from shared.api.request import Event


def before_traffic(handler: Callable[[Release], None]) -> EventHandler:
    """Make a Lambda handler of a function that raises where a new version is not fit for calls.

    CodeDeploy waits for the answer, and goes by it alone (CodeDeploy User Guide, "AppSpec 'hooks'
    section for an AWS Lambda deployment"). The handler does not raise: CodeDeploy would not know.
    """

    @wraps(handler)
    def lambda_handler(event: Event, context: Context) -> dict[str, Any]:
        deployment_id = event["DeploymentId"]
        about = {"function": handler.__module__.removesuffix(".app"), "deploymentId": deployment_id}
        log = Line()

        def work() -> None:
            release = _release(deployment_id)
            about["release"] = f"{release.function}:{release.version}"
            handler(release)

        status = "Failed"
        try:
            within(context, work)
            status = "Succeeded"
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, CodeDeploy is told
            about["cause"] = _cause(error)
            logger().error("release refused", extra={**about, "stack": stack(error)})
        client().put_lifecycle_event_hook_execution_status(
            deploymentId=deployment_id,
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status=status,
        )
        log.write(**about, status=status)
        return {}

    return lambda_handler


def _release(deployment_id: str) -> Release:
    """Return what a deployment releases: its event names neither function nor version."""
    [target_id] = client().list_deployment_targets(deploymentId=deployment_id)["targetIds"]
    found = client().get_deployment_target(deploymentId=deployment_id, targetId=target_id)
    target = found["deploymentTarget"]["lambdaTarget"]["lambdaFunctionInfo"]
    name, version = target["functionName"], target["targetVersion"]
    return Release(deployment_id, name, version, folder_of(name))


def _cause(error: Exception) -> str:
    """Return why a version is refused. AWS's messages stay out of the log; their codes say it."""
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response['Error']['Code']}"
    return str(error) if isinstance(error, WrongAnswer) else type(error).__name__


@cache
def client() -> Any:
    """Return this execution environment's client of AWS CodeDeploy."""
    return boto3.client("codedeploy")
