"""Whatever is sent, the answer is a payment or a clear 4xx, and soon."""

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from create_payment.app import handler as create_payment
from get_payment.app import handler as get_payment
from shared.api.problems import MAX_BODY_BYTES
from shared.api.request import MAX_DELIMITERS
from shared.payments.ids import is_payment_id
from tests.conftest import Client, Response, call, proxy_event

VALID = '{"amount": 10.50, "currency": "USD", "description": "ä", "metadata": {"order": "7"}}'
FIELDS = ["amount", "currency", "description", "metadata", "amout", "", "constructor", "__proto__"]

any_text = st.text(st.characters(), max_size=30)  # with lone surrogates, which JSON can write
any_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | any_text
    | st.sampled_from(["10.50", "USD", "usd", 100, 1.5, {"order": "7"}, "4242 4242 4242 4242"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, text: str = VALID) -> str:
    """Return the text with a few stretches of it cut out, doubled or replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 4))
        text = text[:start] + draw(st.text(max_size=3) | st.just(text[start:end] * 2)) + text[end:]
    return text


def check(response: Response) -> None:
    """A payment, or a problem that says what to mend; never a 5xx."""
    if response.status == 201:
        assert is_payment_id(response.json["paymentId"])
        assert response.headers["Content-Type"] == "application/json"
        return
    assert response.status in {400, 415}, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json["status"] == response.status
    assert response.json["detail"]
    assert response.text.isascii()
    assert len(response.text) < 20_000


@given(damaged() | st.text())
@example('{"\\ud800": 1}')
@example('{"metadata": {"\\ud800": "\\udfff"}}')
@example('{"\\u0000": "\\u0000"}')
def test_a_damaged_body_is_a_payment_or_a_clear_400(body: str) -> None:
    check(Client("alice").create(body))


@given(st.dictionaries(st.sampled_from(FIELDS) | any_text, any_value, max_size=6))
def test_any_value_in_any_field_is_a_payment_or_a_clear_400(body: dict[str, Any]) -> None:
    check(Client("alice").create(json.dumps(body)))


@settings(max_examples=50)
@given(any_value, any_value, st.text(max_size=300), st.dictionaries(st.text(), st.text()))
def test_what_is_taken_comes_back_unchanged(
    amount: object, currency: object, description: str, metadata: dict[str, str]
) -> None:
    alice = Client("alice")
    for money in ({"amount": amount, "currency": currency}, {"amount": 1, "currency": "USD"}):
        created = alice.create({**money, "description": description, "metadata": metadata})
        check(created)
        if created.status == 201:
            assert created.json["description"] == description
            assert created.json["metadata"] == metadata
            assert alice.get(created.json["paymentId"]).text == created.text


@given(
    st.dictionaries(
        st.sampled_from(["content-type", "Idempotency-Key", "Authorization", "X-Amzn-Trace-Id"])
        | st.text(),
        st.lists(st.text(max_size=300), max_size=3),
        max_size=4,
    )
)
def test_any_header_is_a_payment_or_a_clear_4xx(headers: dict[str, list[str]]) -> None:
    event = proxy_event("create_payment")
    event["multiValueHeaders"] = headers

    check(call(create_payment, event))


@given(
    st.dictionaries(
        st.sampled_from(["paymentId", "paymentid", "paymentId[]"]),
        st.lists(st.text(max_size=40) | st.from_regex(r"pay_[a-z2-7]{32}\n?"), max_size=3),
        max_size=3,
    )
    | st.none()
)
def test_any_query_is_a_clear_400_or_404(query: dict[str, list[str]] | None) -> None:
    event = proxy_event("get_payment")
    event["multiValueQueryStringParameters"] = query

    response = call(get_payment, event)

    ids = (query or {}).get("paymentId", [])
    assert response.status == (404 if len(ids) == 1 and is_payment_id(ids[0]) else 400)


def filled(start: str, unit: str, end: str = "") -> str:
    return start + unit * ((MAX_BODY_BYTES - len(start + end)) // len(unit)) + end


COSTLY = {
    "a long integer": filled('{"currency": "USD", "amount": ', "1", "}"),
    "a long fraction": filled('{"currency": "USD", "amount": 0.', "1", "}"),
    "a long decimal string": filled('{"currency": "USD", "amount": "0.', "1", '"}'),
    "a huge exponent": '{"currency": "USD", "amount": 1e999999999999999999}',
    "a tiny exponent": '{"currency": "USD", "amount": 1e-999999999999999999}',
    "many numbers": filled('{"amount": [', "1,", "1]}"),
    "many huge exponents": filled('{"amount": [', "1e99999999999999999999,", "1]}"),
    "many objects": filled('{"amount": [', "{},", "1]}"),
    "arrays without an end": "[" * MAX_DELIMITERS,
    "objects without an end": MAX_DELIMITERS * '{"a":',
    "many fields": json.dumps(dict.fromkeys(map(str, range(15_000)))),
    "long fields": json.dumps({f"{'4 ' * 2500}{number}": "" for number in range(49)}),
    "as many fields as are read": json.dumps(dict.fromkeys(map(str, range(MAX_DELIMITERS)), 0.1)),
    "as many objects as are read": f"[{'{},' * (MAX_DELIMITERS // 2 - 1)}1]",
    "much metadata": json.dumps({"metadata": dict.fromkeys(map(str, range(15_000)))}),
    "escapes": filled('{"description": "', "\\u0041", '"}'),
    "digits in groups": filled('{"description": "', "4 ", '"}'),
    "digits everywhere": json.dumps(
        {
            "description": "4 " * 127,
            "metadata": {f"{number:02}{'4 ' * 19}": "4 " * 250 for number in range(20)},
        }
    ),
    "digits in fours": json.dumps(
        {
            **json.loads(VALID),
            "description": "4000 " * 51,
            "metadata": {f"{number:02} {'4000 ' * 7}": "4000 " * 100 for number in range(20)},
        }
    ),
    "lines": filled('{"amount":', "\n", "x"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_no_body_costs_more_than_its_size(name: str, alice: Client) -> None:
    # The processor's time, best of three, on a machine that may be busy: alone, the worst of
    # these takes 10 ms. What grows faster than the body takes many seconds.
    spent = []
    for _ in range(3):
        start = time.thread_time()
        check(alice.create(COSTLY[name]))
        spent.append(time.thread_time() - start)

    assert min(spent) < 0.5
