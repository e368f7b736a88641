"""Before CodeDeploy moves calls to a function's new version: call that version, and judge it."""

from check_release.checks import check
from check_release.deployment import before_traffic
from check_release.functions import Release


@before_traffic
def handler(release: Release) -> None:
    """Let the new version pass, or raise `WrongAnswer`."""
    check(release)
