"""A function's surroundings: its environment, and a stand-in for DynamoDB, over TLS.

The stand-in answers at once, so that nobody's database is measured. It keeps one item, the first
that it is given: this API's create goes first, and every read and update finds its payment.
"""

import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from zlib import crc32

from benchmarks.functions import Function

ITEM_FOR: dict[str, dict[str, dict[str, str]]] = {
    "refund_payment": {
        "status": {"S": "CAPTURED"},
        "state": {"S": "CAPTURED"},
        "capturedMinor": {"N": "10000"},
    }
}
"""What a function needs changed in the item."""


class StandIn:
    """The running stand-in.

    Attributes:
        asked: how many calls it answered.
    """

    def __init__(self, url: str, certificate: Path) -> None:
        self.asked = 0
        self._url = url
        self._certificate = certificate
        self._item: dict[str, Any] = {}
        self._changes: dict[str, Any] = {}

    def environment(self, function: Function) -> dict[str, str]:
        """Return the function's environment; from here on it finds the item that it needs."""
        self._changes = ITEM_FOR.get(function.name, {})
        # The authorities that the package trusts, and the stand-in's own.
        trusted = [*function.task.glob("shared/**/*.pem"), function.task / "botocore/cacert.pem"]
        bundle = self._certificate.with_name(f"{function.name}.pem")
        files = [path for path in (trusted[0], self._certificate) if path.exists()]
        bundle.write_text("".join(path.read_text() for path in files))
        return {
            **function.variables,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "testing",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_DYNAMODB": self._url,
            "AWS_ENDPOINT_URL_EVENTBRIDGE": self._url,
            "AWS_CA_BUNDLE": str(bundle),
            "NODE_EXTRA_CA_CERTS": str(self._certificate),
            "PYTHONHASHSEED": "0",
            "PATH": os.environ["PATH"],
        }

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return what DynamoDB or EventBridge answers where all goes well."""
        self.asked += 1
        self._item = self._item or request.get("Item", {})
        item = {**self._item, **self._changes}
        match operation:
            case "GetItem":
                return {"Item": item}
            case "UpdateItem":
                return {"Attributes": item}
            case "PutEvents":
                return {
                    "FailedEntryCount": 0,
                    "Entries": [{"EventId": "-"}] * len(request["Entries"]),
                }
            case "Query" | "Scan":
                return {"Items": [item], "Count": 1, "ScannedCount": 1}
        return {}


@contextmanager
def dynamodb() -> Iterator[StandIn]:
    """Run the stand-in on a port of the loopback address."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadingHTTPServer(("127.0.0.1", 0), _Call) as server,
    ):
        key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", key, "-out", certificate]
        subprocess.run([*new, *named, *files], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        _Call.store = StandIn(f"https://127.0.0.1:{server.server_port}", Path(certificate))
        Thread(target=server.serve_forever, daemon=True).start()
        yield _Call.store
        server.shutdown()


class _Call(BaseHTTPRequestHandler):
    store: StandIn
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        answer = json.dumps(self.store.answer(operation, request)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("x-amz-crc32", str(crc32(answer)))
        self.send_header("x-amzn-RequestId", "R" * 52)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass
