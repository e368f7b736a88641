"""The sample events answer what their names say, so that `sam local invoke` shows it too."""

import pytest

from create_payment.app import handler as create_payment
from get_payment.app import handler as get_payment
from tests.conftest import ROOT, call, proxy_event

ANSWERS = {
    "create_payment": (201, ""),
    "create_payment_card_number": (400, "card number"),
    "create_payment_not_json": (415, "application/json"),
    "create_payment_too_many_decimals": (400, "USD has 2 decimals, 10.505 has 3"),
    "create_payment_unknown_field": (400, "amout"),
    "create_payment_without_claims": (401, "Bearer"),
    "get_payment": (404, "no payment with this id"),
    "get_payment_malformed_id": (400, "must be pay_"),
    "get_payment_without_id": (400, "is required"),
}


def test_every_sample_event_is_tried() -> None:
    assert set(ANSWERS) == {path.stem for path in (ROOT / "events").glob("*.json")}


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_sample_event_is_answered_as_its_name_says(name: str) -> None:
    status, text = ANSWERS[name]
    handler = create_payment if name.startswith("create") else get_payment

    response = call(handler, proxy_event(name))

    assert response.status == status
    assert text in response.text
