"""What an attacker would try; docs/threat-model.md lists these tests, and those elsewhere."""

import ast
import io
import json
import re
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from create_payment.app import handler as create_payment
from shared.payments.payment import new_payment_id
from tests.conftest import ROOT, Client, assert_nothing_private, call, proxy_event

REQUEST = {"amount": 100, "currency": "USD"}
MALLORY = "5ab0ta9e-0000-4000-8000-000000000000"


# --- Somebody else's payment ---


def test_a_foreign_payment_and_none_cost_the_same_read(
    alice: Client, bob: Client, edge: Any
) -> None:
    foreign = alice.create(REQUEST).json["paymentId"]
    missing = "pay_" + "a" * 32
    sent: list[bytes] = []

    def listen(send: Any, headers: Any, body: bytes) -> Any:
        sent.append(body)
        return send(headers, body)

    edge(listen)

    for payment_id in (foreign, missing):
        assert bob.get(payment_id).status == 404

    # A second read, or a decoy's work, would be a clock that tells the two apart.
    assert len(sent) == 2
    assert sent[0].replace(foreign.encode(), b"") == sent[1].replace(missing.encode(), b"")


def test_a_foreign_payment_and_none_take_the_same_steps(alice: Client, bob: Client) -> None:
    foreign = alice.create({**REQUEST, "metadata": {f"k{n}": "v" for n in range(20)}})
    bob.get("pay_" + "a" * 32)  # what is done once is done

    def steps(payment_id: str) -> list[tuple[str, int]]:
        taken: list[tuple[str, int]] = []

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if {"shared", "get_payment"} & set(Path(frame.f_code.co_filename).parts):
                taken.append((frame.f_code.co_filename, frame.f_lineno))
                return trace
            return None

        before = threading.gettrace()
        threading.settrace(trace)  # a call is handled in a thread of its own
        try:
            assert bob.get(payment_id).status == 404
        finally:
            threading.settrace(before)
        return taken

    assert len(steps(foreign.json["paymentId"])) > 100
    assert steps(foreign.json["paymentId"]) == steps("pay_" + "a" * 32)


def test_a_foreign_key_opens_nothing(alice: Client, bob: Client) -> None:
    theirs = alice.create({**REQUEST, "description": "for alice"}, key="order-1")
    mine = bob.create({**REQUEST, "description": "for bob"}, key="order-1")

    assert mine.json["paymentId"] != theirs.json["paymentId"]
    assert "alice" not in mine.text
    assert "Idempotent-Replayed" not in mine.headers


def test_a_used_key_tells_nothing_of_its_payment(alice: Client) -> None:
    first = alice.create(
        {"amount": 123.45, "currency": "EUR", "description": "a secret"}, "order-1"
    )
    second = alice.create(REQUEST, key="order-1")

    assert second.status == 422
    for told in ("123", "EUR", "secret", first.json["paymentId"]):
        assert told not in second.text


@given(st.lists(st.text(max_size=8), min_size=4, max_size=4))
@example(["alice", "1", "alic", "e1"])
@example(['a","', "b", "a", '","b'])
@example(["", "ab", "a", "b"])
def test_two_owners_and_keys_never_run_together_into_one_id(names: list[str]) -> None:
    owner, key, other_owner, other_key = names

    is_same = new_payment_id(owner, key) == new_payment_id(other_owner, other_key)

    assert is_same == ((owner, key) == (other_owner, other_key))


def test_ids_without_a_key_cannot_be_foreseen() -> None:
    ids = {new_payment_id("alice", None) for _ in range(1000)}

    assert len(ids) == 1000
    for position in range(4, 36):
        assert len({payment_id[position] for payment_id in ids}) == 32


# --- Somebody else's identity ---


@pytest.mark.parametrize(
    "change",
    [
        {"queryStringParameters": {"sub": MALLORY, "owner": MALLORY}},
        {"multiValueQueryStringParameters": {"sub": [MALLORY], "claims": [MALLORY]}},
        {"pathParameters": {"sub": MALLORY}, "stageVariables": {"sub": MALLORY}},
        {"sub": MALLORY, "claims": {"sub": MALLORY}, "authorizer": {"claims": {"sub": MALLORY}}},
    ],
)
def test_the_caller_cannot_be_chosen_beside_the_token(
    alice: Client, change: dict[str, Any]
) -> None:
    event = {**proxy_event("create_payment", alice.user), **change}

    payment_id = call(create_payment, event).json["paymentId"]

    assert alice.get(payment_id).status == 200
    assert Client(MALLORY).get(payment_id).status == 404


@pytest.mark.parametrize(
    "name",
    ["sub", "X-User-Id", "X-Cognito-Sub", "X-Amzn-Oidc-Identity", "requestContext", "principalId"],
)
def test_no_header_names_the_caller(alice: Client, name: str) -> None:
    event = proxy_event("create_payment", alice.user)
    event["headers"][name] = MALLORY
    event["multiValueHeaders"][name] = [MALLORY]

    payment_id = call(create_payment, event).json["paymentId"]

    assert Client(MALLORY).get(payment_id).status == 404


@pytest.mark.parametrize(
    "field",
    [
        *("owner", "sub", "paymentId", "status", "createdAt", "amountMinor", "amount_minor"),
        *("writeId", "requestContext", "__proto__", "model_config"),
    ],
)
def test_a_field_that_is_not_the_clients_to_set_is_refused(alice: Client, field: str) -> None:
    for value in (MALLORY, 1, {"authorizer": {"claims": {"sub": MALLORY}}}):
        response = alice.create({**REQUEST, field: value})
        assert response.status == 400
        assert list(response.errors) == [field]


# --- The store ---

INJECTIONS = [
    "attribute_exists(paymentId)",
    "#owner = :owner",
    ":v) OR (paymentId <> :v",
    '{"S": "x"}',
    "$ne",
    "' OR '1'='1",
    "payments; --",
    "owner",
    "metadata.owner",
    "../../payments",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_an_expression_is_kept_as_text(alice: Client, text: str) -> None:
    created = alice.create({**REQUEST, "description": text, "metadata": {text: text}}, key=text)

    assert created.status == 201
    assert created.json["description"] == text
    assert created.json["metadata"] == {text: text}
    assert alice.get(created.json["paymentId"]).text == created.text


@pytest.mark.parametrize(
    "value", [{"S": "x"}, {"N": "1"}, {"$gt": ""}, [{"S": "x"}], {"NULL": True}]
)
def test_a_typed_value_is_no_way_into_an_item(alice: Client, value: object) -> None:
    for field in ("amount", "currency", "description"):
        assert field in alice.create({**REQUEST, field: value}).errors
    assert alice.create({**REQUEST, "metadata": {"key": value}}).status == 400


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_id_that_is_none_never_reaches_the_store(
    alice: Client, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")

    assert alice.get(text).status == 400


# --- Logs and answers ---


@pytest.mark.parametrize("end", ["\n", "\r\n", "\u2028", "\x1b[2K", "\x00", '"}\n'])
def test_a_log_line_cannot_be_forged(alice: Client, logs: io.StringIO, end: str) -> None:
    forged = end + '{"level": "INFO", "message": "call", "status": 201}'
    event = proxy_event("create_payment", alice.user)
    event["multiValueHeaders"] |= {"User-Agent": [forged], "Idempotency-Key": [forged]}
    call(create_payment, event)
    for body in ({**REQUEST, "currency": forged}, {**REQUEST, forged: 1}, forged):
        alice.create(body)
    alice.create({**REQUEST, "description": forged, "metadata": {"key": forged}})
    alice.get(forged)

    *lines, end_of_last = logs.getvalue().split("\n")
    assert end_of_last == ""
    entries = [json.loads(line) for line in lines]
    assert len(entries) == 12  # each call, and its metric
    assert [entry["status"] for entry in entries if "_aws" not in entry] == [
        400,
        400,
        400,
        400,
        201,
        400,
    ]


@pytest.mark.parametrize("end", ["\r\nSet-Cookie: a=b", "\nLocation: https://evil.example"])
def test_a_header_of_the_answer_cannot_be_forged(alice: Client, end: str) -> None:
    for response in (
        alice.create({**REQUEST, "description": end, "metadata": {"key": end}}),
        alice.create(REQUEST, key="order-1" + end),
        alice.create({**REQUEST, "currency": "USD" + end}),
        alice.get("pay_" + "a" * 32 + end),
    ):
        for name, value in response.headers.items():
            assert not re.search(r"[\r\n]|evil|a=b", name + value)


def test_an_answer_is_never_a_page(alice: Client) -> None:
    script = "<script>alert(1)</script>"

    for response in (
        alice.create({**REQUEST, "description": script}),
        alice.create({**REQUEST, script: 1}),
        alice.get(script),
    ):
        assert response.headers["Content-Type"] in {"application/json", "application/problem+json"}
        assert response.headers["Cache-Control"] == "no-store"


EVENT = {
    "body": '{"description": "a gift for Eve", "metadata": {"to": ["eve@shop.example"]}}',
    "multiValueHeaders": {"Idempotency-Key": ["order-1001"], "Accept": ["*/*"]},
    "multiValueQueryStringParameters": {"next": ["/a/secret/place"]},
    "requestContext": {"authorizer": {"claims": {"sub": MALLORY}}},
}


@pytest.mark.parametrize(
    "line",
    [
        "paid with 4242 4242 4242 4242",
        "Authorization: Bearer abc",
        "eyJhbGciOiJSUzI1NiJ9.e30.signature",
        EVENT["body"],
        json.dumps({"body": EVENT["body"]}),
        "a gift for Eve",
        "to eve@shop.example",
        "order-1001 was used",
        "/a/secret/place",
        f"called by {MALLORY}",
    ],
)
def test_the_search_of_the_logs_would_find_it(line: str) -> None:
    with pytest.raises(AssertionError):
        assert_nothing_private(f"{line}\n", EVENT)
    assert_nothing_private('{"level": "INFO", "paymentId": "pay_1", "status": 201}\n', EVENT)


# --- The threat model ---


def test_every_test_that_the_threat_model_names_is_there() -> None:
    text = (ROOT / "docs/threat-model.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)`((?:,? (?:and )?`test_\w+`)+)", text)

    assert len(named) > 15
    for path, names in named:
        tree = ast.parse((ROOT / path).read_text())
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert set(re.findall(r"test_\w+", names)) <= functions, path
