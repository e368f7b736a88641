"""Coverage-guided fuzzing (atheris) of how the handlers read an event: `make fuzz`.

Whatever comes, the answer is an HTTP response and never a 500. The store is a closed port: a call
that gets so far is a 503.
"""

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import atheris

FUNCTIONS = [path.parent.name for path in Path().glob("*/app.py")]

with atheris.instrument_imports(include=["shared", *FUNCTIONS]):
    from shared.store import dynamodb

    HANDLERS = {name: import_module(f"{name}.app").handler for name in FUNCTIONS}

SAMPLES = {name: json.loads(Path(f"events/{name}/default.json").read_text()) for name in FUNCTIONS}
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)


def one_input(data: bytes) -> None:
    """Make events of the bytes, as API Gateway might, and call every route's handler with one."""
    flags = data[-1] if data else 0
    text = data.decode(errors="replace")
    names = ["Content-Type", "idempotency-key", "Authorization", text[:12]]
    ours = {
        "multiValueHeaders": {name: [text] for bit, name in enumerate(names) if flags >> bit & 1},
        "body": text,
        "isBase64Encoded": bool(flags & 128),
    }
    for name, sample in SAMPLES.items():
        if "httpMethod" not in sample:  # a stream's or a schedule's: AWS writes those
            continue
        query = {key: [text] for key in sample["multiValueQueryStringParameters"] or ()}
        path = dict.fromkeys(sample["pathParameters"] or (), text)
        event = {**sample, "multiValueQueryStringParameters": query, "pathParameters": path, **ours}
        answer = HANDLERS[name](event, CONTEXT)
        json.loads(answer["body"])
        if answer["statusCode"] not in {400, 415, 503}:
            raise AssertionError(answer)


def seeds() -> Iterator[str]:
    """Yield what chance would take long to write: the sample events' bodies, JSON's far corners."""
    for path in Path("events").glob("*/*.json"):
        yield json.loads(path.read_text()).get("body") or ""
    for amount in ("1e999999999", "NaN", '"\\ud800"', "1" * 1000, '"10.50", "amount": 1'):
        yield f'{{"amount": {amount}, "currency": "USD", "metadata": {{"a": "b"}}}}'
    yield "\ufeff{}"
    yield "[" * 1500


if __name__ == "__main__":
    *_, corpus = sys.argv
    for number, seed in enumerate(seeds()):
        Path(corpus, f"seed-{number}").write_text(seed + " ")  # the last byte is flags: no header
    os.environ |= {
        "TABLE_NAME": "payments",
        "ALLOWED_ORIGIN": "*",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "POWERTOOLS_SERVICE_NAME": "payment-api",
        "GATEWAYS": "manual,stripe,paypal",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "POWERTOOLS_METRICS_DISABLED": "true",
    }
    dynamodb.TRIES = 1  # no pause before a second one
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
