"""Calls of gateways on the map of AWS X-Ray: a subsegment of the invocation's trace for each.

Lambda's daemon takes it by UDP (X-Ray Developer Guide, "Sending trace data to X-Ray": "Segment
documents"). AWS's package for that is in maintenance, and would cost every start.
"""

import json
import os
from contextlib import suppress
from secrets import token_hex
from socket import AF_INET, SOCK_DGRAM, socket
from time import time


def add(name: str, seconds: float, correlation_id: str | None, *, is_fault: bool) -> None:
    """Add what has just ended to the trace of this invocation, if Lambda samples it."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "").split(";")
    trace = dict(part.split("=", 1) for part in header if "=" in part)
    host, _, port = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "").partition(":")
    if not port or trace.get("Sampled") != "1" or not {"Root", "Parent"} <= trace.keys():
        return
    end = time()
    document = {
        "type": "subsegment",
        "id": token_hex(8),
        "trace_id": trace["Root"],
        "parent_id": trace["Parent"],
        "name": name,
        "namespace": "remote",  # a node of its own on the map
        "start_time": end - seconds,
        "end_time": end,
        "fault": is_fault,
        "annotations": {"correlationId": correlation_id} if correlation_id else {},
    }
    # A daemon that is away or busy, or an address in another form, fails no payment.
    with suppress(OSError, OverflowError, ValueError), socket(AF_INET, SOCK_DGRAM) as daemon:
        daemon.setblocking(False)
        text = '{"format": "json", "version": 1}\n' + json.dumps(document)
        daemon.sendto(text.encode(), (host, int(port)))
