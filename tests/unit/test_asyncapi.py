"""The AsyncAPI document: what is put on the bus is what it describes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, ValidationError
from pydantic.alias_generators import to_pascal

from shared.bus import SOURCE
from shared.payments.events import TYPES, Event, events
from shared.payments.payment import Refund, new_payment
from tests.conftest import ROOT
from tools import asyncapi, documents

FILE = ROOT / "docs/asyncapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text())
MESSAGES = DOCUMENT["components"]["messages"]


def delivered(event: Event) -> dict[str, Any]:
    """Return the event as EventBridge delivers it (User Guide, "Events in Amazon EventBridge")."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": event.type,
        "source": SOURCE,
        "account": "123456789012",
        "time": "2026-11-24T09:00:00Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": json.loads(event.detail),
    }


def validate(event: dict[str, Any]) -> None:
    name = to_pascal(event["detail-type"].replace(".", "_"))
    reference = f"#/components/messages/{name}/payload"
    Draft7Validator({**DOCUMENT, "$ref": reference}).validate(event)


def made(kind: str) -> Event:
    """Return an event of this type, of a payment with as much as it may have."""
    payment = new_payment(
        "somebody", None, amount_minor=1050, currency="USD", metadata={"a": "ä"}, description="b"
    )
    then = payment.created_at
    after = replace(
        payment,
        return_url="https://shop.example/back",
        next_action={"type": "redirect", "url": "https://pay.example", "expiresAt": then},
        last_error={"code": "card_declined", "message": "No"},
        authorized_until=then,
        captured_minor=1050,
        version=2,
    ).with_refund(Refund("ref_1", 425, "SUCCEEDED", then, then, error="x", reason="y"))
    return Event(kind, after)


def test_the_document_is_what_runs() -> None:
    assert documents.keep(FILE, asyncapi.document, check=True)


def test_every_reference_of_the_document_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)))

    assert len(references) > 20
    for reference in references:
        place: Any = DOCUMENT
        for part in reference.split("/"):
            place = place[part]


def test_every_type_of_event_is_described() -> None:
    assert {message["name"] for message in MESSAGES.values()} == set(TYPES)
    [operation] = DOCUMENT["operations"].values()
    assert len(operation["messages"]) == len(DOCUMENT["channels"]["payments"]["messages"]) == 9


@pytest.mark.parametrize("kind", TYPES)
def test_an_event_is_as_the_document_says(kind: str) -> None:
    validate(delivered(made(kind)))


def test_a_new_payment_s_event_is_as_the_document_says() -> None:
    [event] = events(None, new_payment("a", None, amount_minor=1, currency="JPY"))

    validate(delivered(event))


def test_the_example_is_as_the_document_says() -> None:
    [example] = [each for message in MESSAGES.values() for each in message.get("examples", [])]

    validate(example["payload"])


@pytest.mark.parametrize("missing", ["eventId", "owner", "paymentId", "history", "amountMinor"])
def test_the_document_tells_what_no_event_lacks(missing: str) -> None:
    event = delivered(made("payment.captured"))
    del event["detail"][missing]

    with pytest.raises(ValidationError, match=missing):
        validate(event)


def test_the_document_tells_events_apart() -> None:
    event = delivered(made("payment.captured"))
    reference = "#/components/messages/PaymentRefunded/payload"

    assert not Draft7Validator({**DOCUMENT, "$ref": reference}).is_valid(event)


def test_a_type_without_words_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = tmp_path / "events.yaml"
    frame.write_text(asyncapi.FRAME.read_text().replace("payment.expired:", "payment.gone:"))
    monkeypatch.setattr(asyncapi, "FRAME", frame)

    assert not documents.keep(FILE, asyncapi.document, check=True)
    told = capsys.readouterr().err
    assert re.fullmatch(r"events\.yaml: x-types must name .*payment\.expired.*\n", told)


def test_the_page_names_every_type_and_shows_an_event() -> None:
    page = (ROOT / "docs/events.md").read_text()

    assert all(f"`{kind}`" in page for kind in TYPES)
    [shown] = re.findall(r"```json\n(.*?)```", page, re.S)
    event = json.loads(shown)
    whole = delivered(made(event["detail-type"]))
    assert set(event) == set(whole)
    assert set(event["detail"]) < set(whole["detail"])
    assert event["detail"]["eventId"] == f"{event['detail']['paymentId']}.2.captured"
