"""A function's surroundings: DynamoDB's stand-in over TLS, and the environment that leads there."""

import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stacks import HERE, Function, run
from tools.build import ROOT


class StandIn:
    """A running stub.py, whose certificate lies in the folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self.tables = {f"payments-{uuid.uuid4()}": "paymentId", f"keys-{uuid.uuid4()}": "id"}
        """The names of the tables that the functions use, and their keys."""

    def environment(self, function: Function) -> dict[str, str]:
        """Return all that the function is told."""
        table, idempotency_table = self.tables
        return {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "testing",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_DYNAMODB": self._url,
            "AWS_CA_BUNDLE": self._trusted_by(function),
            "AWS_XRAY_SDK_ENABLED": "false",
            "TABLE_NAME": table,
            "IDEMPOTENCY_TABLE": idempotency_table,
            "ALLOWED_ORIGIN": "*",
            "POWERTOOLS_SERVICE_NAME": "payment-api",
            "POWERTOOLS_METRICS_NAMESPACE": "payments",
            "PYTHONHASHSEED": "0",
            "PATH": os.environ["PATH"],
        }

    def asked(self) -> dict[str, float]:
        """Return how often each operation was asked for since the last time, and the units."""
        context = ssl.create_default_context(cafile=self._folder / "certificate.pem")
        request = urllib.request.Request(f"{self._url}/count", b"")
        with urllib.request.urlopen(request, context=context) as answer:
            return dict(json.load(answer))

    def _trusted_by(self, function: Function) -> str:
        """Return a file of the authorities in the function's package, and the stub's own."""
        shipped = function.task / "botocore/cacert.pem"
        if not shipped.exists():  # this API, and the limit, which parses no authority more
            shipped = ROOT / "shared/amazon_roots.pem"
        bundle = self._folder / f"{function.task.parent.name}-{function.task.name}.pem"
        own = self._folder / "certificate.pem"
        bundle.write_text(shipped.read_text() + own.read_text())
        return str(bundle)


@contextmanager
def dynamodb(forward: str = "") -> Iterator[StandIn]:
    """Run stub.py; with the URL of a DynamoDB Local it passes calls on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        run(*new, *named, "-keyout", key, "-out", certificate)
        both = folder / "both.pem"
        both.write_text(key.read_text() + certificate.read_text())
        command = [
            sys.executable,
            str(HERE / "stub.py"),
            str(both),
            *([forward] if forward else []),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                port = server.stdout.readline().strip() if server.stdout else ""
                yield StandIn(f"https://127.0.0.1:{port}", folder)
            finally:
                server.terminate()
