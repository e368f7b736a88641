"""docs/asyncapi.json (AsyncAPI 3.0), made of what runs: the events on the bus.

publish_events/events.yaml is its frame. The types come from the code, a payment's schema from
docs/openapi.json.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic.alias_generators import to_pascal

from local import LocalError
from shared.payments.events import TYPES
from tools import openapi
from tools.build import ROOT

FRAME = ROOT / "publish_events/events.yaml"
REFERENCE = re.compile(r'"#/components/schemas/(\w+)"')


def document() -> dict[str, Any]:
    """Return the document.

    Raises:
        LocalError: the frame's types are not the code's.
    """
    whole: dict[str, Any] = yaml.safe_load(FRAME.read_text())
    words = whole.pop("x-types")
    if set(words) != set(TYPES):
        raise LocalError(f"{FRAME.name}: x-types must name {', '.join(sorted(TYPES))}")
    schemas = whole["components"]["schemas"]
    api = openapi.document()["components"]["schemas"]
    schemas |= {name: api[name] for name in _reached(["Payment"], api)}
    messages = {to_pascal(name.replace(".", "_")): name for name in words}
    whole["components"]["messages"] = {
        key: _message(name, words[name], schemas) for key, name in messages.items()
    }
    whole["channels"]["payments"]["messages"] = {
        key: {"$ref": f"#/components/messages/{key}"} for key in messages
    }
    whole["operations"]["publishEvents"]["messages"] = [
        {"$ref": f"#/channels/payments/messages/{key}"} for key in messages
    ]
    return whole


def _reached(names: list[str], schemas: Mapping[str, Any]) -> list[str]:
    """Return the names of schemas, and of those that they are made of, in the document's order."""
    found: set[str] = set()
    while names:
        found.add(name := names.pop())
        names += [
            each for each in REFERENCE.findall(json.dumps(schemas[name])) if each not in found
        ]
    return [name for name in schemas if name in found]


def _message(name: str, words: str, schemas: Mapping[str, Any]) -> dict[str, Any]:
    title = name.partition(".")[2].replace("_", " ")
    message: dict[str, Any] = {
        "name": name,
        "title": f"Payment {title}",
        "summary": words,
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/Event"},
                {"type": "object", "properties": {"detail-type": {"const": name}}},
            ]
        },
    }
    if name == TYPES[0]:
        message["examples"] = [{"name": "created", "payload": _example(name, schemas)}]
    return message


def _example(name: str, schemas: Mapping[str, Any]) -> dict[str, Any]:
    [payment] = schemas["Payment"]["examples"]
    event_id = f"{payment['paymentId']}.{payment['version']}.{name.partition('.')[2]}"
    ids = {"eventId": event_id, "correlationId": "UkD1kF9kFiAEv2w="}
    owner = "5a1f5e0e-6c1b-4a8e-9a55-0d6c0b1f7c11"
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": name,
        "source": "payment-api",
        "account": "123456789012",
        "time": "2026-11-24T09:00:00Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": {**ids, **payment, "owner": owner},
    }
