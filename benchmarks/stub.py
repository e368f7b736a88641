"""DynamoDB's stand-in: answers at once over TLS, and counts what it is asked.

    python benchmarks/stub.py CERTIFICATE [URL]        (prints the port)

It stores nothing, so that nobody's database is measured: a GetItem finds the same payment always,
and a PutItem is taken. POST /count answers how many calls came since it was last asked.
With the URL of a DynamoDB Local it passes calls on, and counts their capacity units as well.
"""

import json
import ssl
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from zlib import crc32

ITEM = {
    "paymentId": {"S": "pay_" + "a" * 32},
    "owner": {"S": "0f3c1d52-7c1e-4d7b-9b6f-1d2b7b1f0a11"},
    "amountMinor": {"N": "10000"},
    "decimals": {"N": "2"},
    "currency": {"S": "USD"},
    "metadata": {"M": {}},
    "status": {"S": "PENDING"},
    "createdAt": {"S": "2026-11-23T15:07:00.123Z"},
    "updatedAt": {"S": "2026-11-23T15:07:00.123Z"},
}
ANSWERS = {
    "PutItem": b"{}",
    "UpdateItem": b"{}",
    "GetItem": json.dumps({"Item": ITEM}).encode(),
}
calls: Counter[str] = Counter()


class Handler(BaseHTTPRequestHandler):
    """DynamoDB's end of a connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer

    def do_POST(self) -> None:
        """Answer one operation, or what was counted."""
        request = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = 200
        if self.path == "/count":
            answer = json.dumps(calls).encode()
            calls.clear()
        else:
            operation = self.headers["X-Amz-Target"].partition(".")[2]
            calls[operation] += 1
            answer = ANSWERS[operation]
            if len(sys.argv) > 2:
                status, answer = self._pass_on(json.loads(request))
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("x-amz-crc32", str(crc32(answer)))
        self.send_header("x-amzn-RequestId", "R" * 52)
        self.end_headers()
        self.wfile.write(answer)

    def _pass_on(self, request: dict[str, object]) -> tuple[int, bytes]:
        """Ask DynamoDB Local, and count the units."""
        request["ReturnConsumedCapacity"] = "TOTAL"
        headers = {
            name: self.headers[name]
            for name in ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        }
        try:
            with urlopen(Request(sys.argv[2], json.dumps(request).encode(), headers)) as reply:
                answer = reply.read()
        except HTTPError as error:
            if "ConditionalCheckFailed" in (answer := error.read()).decode():
                calls["units"] += 1  # a refused write is billed like one (Developer Guide)
            return error.code, answer
        calls["units"] += json.loads(answer)["ConsumedCapacity"]["CapacityUnits"]
        return 200, answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()
