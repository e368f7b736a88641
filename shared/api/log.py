"""What the functions write: one JSON line for each call, and CloudWatch metrics."""

import hashlib
import json
import logging
import sys
import traceback
from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.base import MetricManager

from shared.errors import Refused

NAMESPACE = "PaymentApi"

# No line says them (Python's Logging HOWTO, "Optimization").
logging.logProcesses = logging.logThreads = logging.logMultiprocessing = False
# It says where it found its keys, at each start.
logging.getLogger("botocore").setLevel(logging.WARNING)

_JSON = json.JSONEncoder(separators=(",", ":"))


@cache
def logger() -> Logger:
    """Return the functions' logger; Lambda takes a line's time in RFC 3339 alone."""
    return Logger(use_rfc3339=True, location=None)


def count(name: str, **dimensions: str) -> None:
    """Add one to a CloudWatch metric of this service: see `measure`."""
    measure(name, 1, **dimensions)


def measure(name: str, value: float, unit: str = "Count", **dimensions: str) -> None:
    """Write a value of a CloudWatch metric of this service (Embedded Metric Format).

    Args:
        name: the metric.
        value: in the unit. CloudWatch keeps how many values there were, their sum and percentiles.
        unit: CloudWatch's name of it, such as Seconds.
        dimensions: what tells its kinds apart, beside the service. Each kind is charged for.
    """
    metrics = {name: {"Unit": unit, "Value": [float(value)]}}
    line = _emf().serialize_metric_set(metrics, {"service": logger().service, **dimensions}, {})
    # In one piece: `print` writes the end of a line apart, and other threads write lines meanwhile.
    sys.stdout.write(f"{_JSON.encode(line)}\n")


@cache
def _emf() -> MetricManager:
    return MetricManager(namespace=NAMESPACE)


def pseudonym(sub: str) -> str:
    """Return a name that follows a caller through the log without saying who it is.

    A `sub` is random, so nobody can find it from its hash; anyone who knows the `sub` can find its
    log lines.
    """
    return hashlib.sha256(sub.encode()).hexdigest()[:16]


def stack(error: BaseException | None) -> str:
    """Return where an error happened, without its text: that may quote what a client sent."""
    stacks = []
    while error:
        name = repr(error) if isinstance(error, Refused) else type(error).__qualname__
        stacks.append("".join(traceback.format_tb(error.__traceback__)) + name)
        error = error.__cause__ or error.__context__
    return "\ncaused by\n".join(stacks)
