"""The life of a manual payment, from the front door: status updates, capture, cancel, refund."""

import json
from itertools import chain
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from shared.store.dynamodb import STORE
from shared.store.items import LIST_SHARDS
from tests.conftest import Client, Response, forget

REQUEST = {"amount": 100, "currency": "USD"}


def made(client: Client, **fields: Any) -> str:
    payment_id: str = client.create({**REQUEST, **fields}).json["paymentId"]
    return payment_id


def captured(client: Client, office: Client, **fields: Any) -> str:
    payment_id = made(client, **fields)
    assert office.do("capture", payment_id).status == 200
    return payment_id


def refund(office: Client, payment_id: str, key: str, **body: Any) -> Response:
    return office.do("refund", payment_id, body, {"Idempotency-Key": key})


def test_a_new_payment_shows_where_its_life_begins(alice: Client) -> None:
    payment = alice.create(REQUEST)

    assert payment.headers["ETag"] == '"1"'
    assert list(payment.json)[:9] == [
        *("paymentId", "amount", "amountMinor", "currency", "status"),
        *("createdAt", "updatedAt", "description", "metadata"),
    ]
    assert {**payment.json, "paymentId": "", "createdAt": "", "updatedAt": ""} == {
        "paymentId": "",
        "amount": 100,
        "amountMinor": 10000,
        "currency": "USD",
        "status": "PENDING",
        "createdAt": "",
        "updatedAt": "",
        "description": None,
        "metadata": {},
        "gateway": "manual",
        "capture": "automatic",
        "version": 1,
        "amountCaptured": 0,
        "amountRefunded": 0,
        "amountCapturedMinor": 0,
        "amountRefundedMinor": 0,
        "nextAction": None,
        "authorizedUntil": None,
        "lastError": None,
        "refunds": [],
        "history": [{"status": "PENDING", "at": payment.json["createdAt"], "cause": "create"}],
    }


def test_the_back_office_records_what_happened_to_a_manual_payment(
    alice: Client, office: Client
) -> None:
    payment_id = made(alice)

    for version, status in enumerate(("REQUIRES_ACTION", "AUTHORIZED", "CAPTURED"), 2):
        payment = office.do("update", payment_id, {"status": status})
        assert (payment.status, payment.json["status"]) == (200, status), payment.text
        assert payment.headers["ETag"] == f'"{version}"'
        assert alice.get(payment_id).json["status"] == status

    assert payment.json["amountCaptured"] == 100
    changes = [(change["status"], change["cause"]) for change in payment.json["history"]]
    assert changes == [
        ("PENDING", "create"),
        ("REQUIRES_ACTION", "update"),
        ("AUTHORIZED", "update"),
        ("CAPTURED", "update"),
    ]


def test_an_update_to_the_status_that_is_there_changes_nothing(
    alice: Client, office: Client
) -> None:
    payment_id = made(alice)
    first = office.do("update", payment_id, {"status": "FAILED"})
    again = office.do("update", payment_id, {"status": "FAILED"})

    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status, again.text) == (200, first.text)


@pytest.mark.parametrize(
    ("first", "then", "allowed"),
    [
        ("FAILED", "CAPTURED", []),
        ("CAPTURED", "PENDING", []),
        ("CAPTURED", "REFUNDED", []),
        ("AUTHORIZED", "REQUIRES_ACTION", ["CAPTURED", "CANCELED", "EXPIRED"]),
    ],
)
def test_an_illegal_move_is_a_409_that_says_what_is_legal(
    alice: Client, office: Client, first: str, then: str, allowed: list[str]
) -> None:
    payment_id = made(alice)
    office.do("update", payment_id, {"status": first})
    refused = office.do("update", payment_id, {"status": then})

    assert refused.status == 409
    assert refused.json["type"] == "urn:problem:payment-api:status-conflict"
    assert refused.json["currentStatus"] == first
    assert refused.json["allowed"] == allowed
    assert office.get(payment_id).json["version"] == 2


def test_a_capture_in_part_happens_once(alice: Client, office: Client) -> None:
    payment_id = made(alice)
    first = office.do("capture", payment_id, {"amount": "60.50"})
    again = office.do("capture", payment_id, {"amount": 60.5})
    other = office.do("capture", payment_id, {"amount": 60})
    rest = office.do("capture", payment_id)

    assert (first.status, first.json["status"]) == (200, "CAPTURED")
    assert '"amountCaptured": 60.50' in first.text
    assert (again.status, again.text) == (200, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status, rest.status) == (409, 409)


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        (100.01, "must be at most 100 USD, the amount of the payment"),
        ("10.505", "USD has 2 decimals, 10.505 has 3"),
        (0, "must be greater than zero"),
        (True, 'must be a number such as 10.50, or a string such as "10.50", not a boolean'),
    ],
)
def test_an_amount_that_cannot_be_captured_is_named(
    alice: Client, office: Client, amount: object, message: str
) -> None:
    refused = office.do("capture", made(alice), {"amount": amount})

    assert refused.status == 400
    assert refused.errors == {"amount": message}


def test_a_payment_that_is_not_captured_can_be_canceled_by_its_owner(alice: Client) -> None:
    payment_id = made(alice)
    first = alice.do("cancel", payment_id, {"reason": "Changed my mind"})
    again = alice.do("cancel", payment_id)

    assert (first.status, first.json["status"]) == (200, "CANCELED")
    assert first.json["cancellationReason"] == "Changed my mind"
    without = made(alice)
    assert "cancellationReason" not in alice.do("cancel", without).json
    assert first.json["history"][-1]["cause"] == "cancel"
    assert (again.status, again.text) == (200, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_captured_payment_is_not_canceled(alice: Client, office: Client) -> None:
    payment_id = captured(alice, office)
    refused = alice.do("cancel", payment_id)

    assert (refused.status, refused.json["currentStatus"]) == (409, "CAPTURED")
    assert refused.json["allowed"] == ["PARTIALLY_REFUNDED", "REFUNDED"]


def test_a_refund_happens_once_for_its_key(alice: Client, office: Client) -> None:
    payment_id = captured(alice, office)
    first = refund(office, payment_id, "r-1", amount=40, reason="Damaged")
    again = refund(office, payment_id, "r-1", amount="40.00", reason="Damaged")
    equal = refund(office, payment_id, "r-2", amount=40, reason="Damaged")
    payment = alice.get(payment_id).json

    assert first.status == 201
    assert first.json["status"] == "SUCCEEDED"
    assert first.json["paymentId"] == payment_id
    assert (first.json["amount"], first.json["amountMinor"]) == (40, 4000)
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert equal.json["refundId"] != first.json["refundId"]
    assert (payment["status"], payment["amountRefunded"]) == ("PARTIALLY_REFUNDED", 80)
    assert payment["refunds"] == [first.json, equal.json]


def test_a_refund_s_key_with_another_amount_is_a_422(alice: Client, office: Client) -> None:
    payment_id = captured(alice, office)
    refund(office, payment_id, "r-1", amount=40)
    other = refund(office, payment_id, "r-1", amount=41)

    assert other.status == 422
    assert alice.get(payment_id).json["amountRefunded"] == 40


def test_a_refund_without_a_key_is_refused(alice: Client, office: Client) -> None:
    refused = office.do("refund", captured(alice, office), {"amount": 1})

    assert refused.status == 400
    assert refused.errors["Idempotency-Key"].startswith("is required")


def test_no_more_is_refunded_than_was_captured(alice: Client, office: Client) -> None:
    payment_id = made(alice)
    office.do("capture", payment_id, {"amount": 60})
    refund(office, payment_id, "r-1", amount=40)
    too_much = refund(office, payment_id, "r-2", amount="20.01")
    rest = refund(office, payment_id, "r-3")
    nothing = refund(office, payment_id, "r-4")

    assert too_much.status == 400
    assert too_much.errors == {
        "amount": "must be at most 20 USD, what was captured and is not being refunded yet"
    }
    assert (rest.status, rest.json["amount"]) == (201, 20)
    assert (nothing.status, nothing.json["currentStatus"]) == (409, "REFUNDED")


def test_a_payment_has_at_most_fifty_refunds(alice: Client, office: Client) -> None:
    payment_id = captured(alice, office)
    for number in range(50):
        assert refund(office, payment_id, f"r-{number}", amount=1).status == 201

    assert refund(office, payment_id, "r-50", amount=1).status == 409
    assert refund(office, payment_id, "r-49", amount=1).status == 201  # the same again


def test_what_is_not_paid_is_not_refunded(alice: Client, office: Client) -> None:
    refused = refund(office, made(alice), "r-1")

    assert (refused.status, refused.json["currentStatus"]) == (409, "PENDING")


def test_a_manual_payment_is_confirmed_when_its_money_is_on_the_way(
    alice: Client, office: Client
) -> None:
    payment_id = made(alice)
    first = alice.do("confirm", payment_id)
    again = alice.do("confirm", payment_id)

    assert (first.status, first.json["status"]) == (200, "PROCESSING")
    assert (again.status, again.text) == (200, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert office.do("capture", payment_id).json["status"] == "CAPTURED"


@pytest.mark.parametrize(
    ("action", "body", "headers"),
    [
        ("update", {"status": "CAPTURED"}, {}),
        ("capture", {}, {}),
        ("cancel", {}, {}),
        ("confirm", {}, {}),
        ("refund", {}, {"Idempotency-Key": "r-1"}),
    ],
)
def test_somebody_else_s_payment_is_the_404_of_none(
    alice: Client, bob: Client, action: str, body: object, headers: dict[str, str]
) -> None:
    theirs = bob.do(action, made(alice), body, headers)
    none = bob.do(action, "pay_" + "a" * 32, body, headers)

    assert (theirs.status, theirs.text) == (404, none.text)


@pytest.mark.parametrize("action", ["update", "capture", "cancel", "confirm", "refund"])
def test_an_id_that_is_none_is_named(office: Client, action: str) -> None:
    refused = office.do(
        action,
        "pay_1",
        {"status": "FAILED"} if action == "update" else {},
        {"Idempotency-Key": "k"},
    )

    assert refused.status == 400
    assert list(refused.errors) == ["paymentId"]


@pytest.mark.parametrize("action", ["update", "capture", "cancel", "confirm", "refund"])
def test_an_unknown_field_is_refused_by_name(alice: Client, office: Client, action: str) -> None:
    body = {"status": "FAILED", "amout": 1} if action == "update" else {"amout": 1}
    refused = office.do(action, made(alice), body, {"Idempotency-Key": "k"})

    assert refused.status == 400
    assert list(refused.errors) == ["amout"]


def test_only_the_version_that_was_read_is_changed(alice: Client, office: Client) -> None:
    payment_id = made(alice)
    old = alice.get(payment_id).headers["ETag"]
    office.do("update", payment_id, {"status": "AUTHORIZED"})

    refused = office.do("capture", payment_id, headers={"If-Match": old})
    new = alice.get(payment_id).headers["ETag"]
    done = office.do("capture", payment_id, headers={"If-Match": new})
    again = office.do("capture", payment_id, headers={"If-Match": new})

    assert refused.status == 412
    assert refused.json["type"] == "urn:problem:payment-api:version-mismatch"
    assert done.status == 200
    assert (again.status, again.text) == (200, done.text)  # its answer was lost, say


@pytest.mark.parametrize("value", ["3", '"x"', '"0"', 'W/"3"', '"1", "2"', '""'])
def test_an_if_match_that_is_no_etag_is_named(alice: Client, office: Client, value: str) -> None:
    refused = office.do("capture", made(alice), headers={"If-Match": value})

    assert refused.status == 400
    assert list(refused.errors) == ["If-Match"]


def test_any_version_is_changed_where_any_will_do(alice: Client, office: Client) -> None:
    assert office.do("capture", made(alice), headers={"If-Match": "*"}).status == 200


def test_the_owner_is_shown_to_the_back_office_alone(alice: Client, office: Client) -> None:
    payment_id = made(alice)

    assert office.get(payment_id).json["owner"] == alice.user
    assert office.do("capture", payment_id).json["owner"] == alice.user
    assert "owner" not in alice.get(payment_id).json
    assert "owner" not in alice.create(REQUEST).json


def test_a_replay_of_the_create_shows_what_became_of_the_payment(
    alice: Client, office: Client
) -> None:
    payment_id = alice.create(REQUEST, key="order-1").json["paymentId"]
    office.do("capture", payment_id)
    refund(office, payment_id, "r-1", amount=5)

    again = alice.create(REQUEST, key="order-1")

    assert (again.status, again.json["status"]) == (201, "PARTIALLY_REFUNDED")
    assert again.text == alice.get(payment_id).text


def test_a_reason_with_a_card_number_is_refused(alice: Client, office: Client) -> None:
    payment_id = captured(alice, office)
    refused = refund(office, payment_id, "r-1", amount=1, reason="paid by 4242 4242 4242 4242")

    assert refused.status == 400
    assert "4242" not in refused.text


def test_a_payment_of_the_first_schema_is_what_it_was(
    alice: Client, office: Client, store: tuple[Any, str]
) -> None:
    """Made by the first release: an item without version, history and all that came later."""
    client, table = store
    payment_id = alice.create(REQUEST, key="order-1").json["paymentId"]
    key = {"paymentId": {"S": payment_id}}
    item = client.get_item(TableName=table, Key=key)["Item"]
    first = ("paymentId", "owner", "amountMinor", "currency", "decimals", "metadata", "status")
    client.put_item(
        TableName=table,
        Item={name: item[name] for name in (*first, "createdAt", "updatedAt", "writeId")},
    )

    again = alice.create(REQUEST, key="order-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.json["status"], again.json["version"]) == ("PENDING", 1)
    assert office.do("capture", payment_id).json["version"] == 2
    assert [payment["paymentId"] for payment in alice.list().json["payments"]] == [payment_id]


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"gateway": "stripe"}, "gateway", "must be a gateway of this stack: manual"),
        ({"gateway": 1}, "gateway", "must be a string"),
        ({"capture": "later"}, "capture", "must be 'automatic' or 'manual'"),
        ({"returnUrl": "http://shop.example/"}, "returnUrl", "must be a URL with https"),
        ({"returnUrl": "javascript:alert(1)"}, "returnUrl", "must be a URL with https"),
        ({"returnUrl": "https://[x"}, "returnUrl", "must be a URL with https"),
        ({"returnUrl": "https:///x"}, "returnUrl", "must be a URL with https"),
        ({"returnUrl": "https://shop.example/\n"}, "returnUrl", "must be a URL with https"),
    ],
)
def test_how_a_payment_is_to_be_made_is_checked(
    alice: Client, fields: dict[str, Any], field: str, message: str
) -> None:
    refused = alice.create({**REQUEST, **fields})

    assert refused.status == 400
    assert refused.errors.keys() == {field}
    assert refused.errors[field].startswith(message)


def test_a_payment_says_how_it_is_to_be_made(alice: Client) -> None:
    payment = alice.create(
        {**REQUEST, "gateway": "manual", "capture": "manual", "returnUrl": "https://shop.example/"}
    )
    nulls = {"gateway": None, "capture": None, "returnUrl": None}

    assert payment.json["capture"] == "manual"
    assert payment.json["returnUrl"] == "https://shop.example/"
    assert alice.create({**REQUEST, **nulls}, key="k").status == 201
    assert alice.create(REQUEST, key="k").headers["Idempotent-Replayed"] == "true"
    assert alice.create({**REQUEST, "capture": "manual"}, key="k").status == 422


def test_a_list_has_an_owners_payments_the_newest_first(
    alice: Client, bob: Client, office: Client
) -> None:
    made(bob)
    ids = [made(alice, metadata={"number": str(number)}) for number in range(12)]
    office.do("capture", ids[3])

    pages: list[dict[str, Any]] = [alice.list(limit="5").json]
    while cursor := pages[-1]["nextCursor"]:
        pages.append(alice.list(limit="5", cursor=cursor).json)

    listed = [payment for page in pages for payment in page["payments"]]
    assert [len(page["payments"]) for page in pages] == [5, 5, 2]
    assert [payment["paymentId"] for payment in listed] == ids[::-1]
    whole = alice.get(ids[3]).json
    assert {**listed[8], "refunds": [], "history": whole["history"]} == whole
    assert not {"refunds", "history", "owner"} & set(listed[0])


def pages_of(client: Client, limit: int, **query: str) -> list[list[str]]:
    """Return the ids of each page of a list, to its end."""
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.list(limit=str(limit), **query, **({"cursor": cursor} if cursor else {})).json
        pages.append([payment["paymentId"] for payment in page["payments"]])
        cursor = page["nextCursor"]
    return pages


@pytest.mark.parametrize("limit", [1, 2, 12])
def test_every_payment_is_on_one_page_of_a_list(alice: Client, limit: int) -> None:
    ids = [made(alice) for _ in range(12)]

    pages = pages_of(alice, limit)

    assert list(chain(*pages)) == ids[::-1]
    assert {len(page) for page in pages[: 12 // limit]} == {limit}


def test_a_page_that_ends_the_list_has_no_cursor(alice: Client) -> None:
    ids = [made(alice) for _ in range(12)]

    assert pages_of(alice, 12) == [ids[::-1]]


def test_a_list_of_one_status_is_whole_however_few_have_it(
    alice: Client, office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.store.payments.MOST_READ", 1)
    ids = [made(alice) for _ in range(12)]
    for payment_id in (ids[0], ids[5], ids[11]):
        office.do("capture", payment_id)

    pages = pages_of(alice, 2, status="CAPTURED")

    assert list(chain(*pages)) == [ids[11], ids[5], ids[0]]
    assert len(pages) > 2  # no call looked at all payments


def test_a_page_of_a_list_reads_no_more_than_its_limit_of_each_part(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(24):
        made(alice)
    read, call = [], STORE.call

    def counted(operation: str, **parameters: Any) -> Any:
        answer = call(operation, **parameters)
        read.append(answer["ScannedCount"])
        return answer

    monkeypatch.setattr(STORE, "call", counted)
    alice.list(limit="2")

    assert len(read) == LIST_SHARDS
    assert max(read) == 2


def test_a_list_of_one_status_has_no_other(alice: Client, office: Client) -> None:
    ids = [made(alice) for _ in range(9)]
    for payment_id in ids[::3]:
        office.do("capture", payment_id)

    listed = alice.list(status="CAPTURED").json["payments"]

    assert [payment["paymentId"] for payment in listed] == ids[::3][::-1]


def test_the_back_office_lists_a_users_payments(alice: Client, office: Client) -> None:
    payment_id = made(alice)

    [listed] = office.list(owner=alice.user).json["payments"]
    assert (listed["paymentId"], listed["owner"]) == (payment_id, alice.user)
    assert office.list().json == {"payments": [], "nextCursor": None}


def test_nobody_else_names_an_owner(alice: Client, bob: Client) -> None:
    made(alice)
    refused = bob.list(owner=alice.user)

    assert refused.status == 400
    assert list(refused.errors) == ["owner"]


def test_a_cursor_of_another_list_is_refused(alice: Client, bob: Client) -> None:
    for client in (alice, bob):
        made(client)
        made(client)
    cursor = alice.list(limit="1").json["nextCursor"]

    assert alice.list(limit="2", cursor=cursor).status == 200
    for refused in (
        bob.list(limit="1", cursor=cursor),
        alice.list(cursor=cursor, status="PENDING"),
        alice.list(cursor="AAAA"),
        alice.list(cursor="é"),
        alice.list(cursor=""),
        alice.list(cursor=cursor[:-4]),
    ):
        assert refused.status == 400
        assert list(refused.errors) == ["cursor"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "x", "٣", "001"])
def test_a_limit_is_a_whole_number_from_1_to_100(alice: Client, limit: str) -> None:
    assert list(alice.list(limit=limit).errors) == ["limit"]


def test_a_status_of_a_list_is_a_status(alice: Client) -> None:
    assert list(alice.list(status="captured").errors) == ["status"]


def test_one_update_of_many_at_once_is_the_first(alice: Client, office: Client) -> None:
    payment_id = made(alice)
    old = json.loads(alice.get(payment_id).headers["ETag"])

    answers = [
        office.do("update", payment_id, {"status": status}, {"If-Match": f'"{old}"'})
        for status in ("AUTHORIZED", "FAILED", "EXPIRED")
    ]

    assert [answer.status for answer in answers] == [200, 412, 412]


def test_a_manual_payment_goes_on_after_the_payer_acted(alice: Client, office: Client) -> None:
    payment_id = made(alice)
    office.do("update", payment_id, {"status": "REQUIRES_ACTION"})

    assert alice.do("confirm", payment_id).json["status"] == "PROCESSING"


def test_money_that_is_held_is_released(alice: Client, office: Client) -> None:
    payment_id = made(alice)
    office.do("update", payment_id, {"status": "AUTHORIZED"})

    assert alice.do("cancel", payment_id).json["status"] == "CANCELED"


def test_a_gateway_with_pages_needs_to_know_where_the_payer_comes_back_to(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAYS", "manual,stripe")
    forget()
    refused = alice.create({**REQUEST, "gateway": "stripe"})
    made = alice.create({**REQUEST, "gateway": "stripe", "returnUrl": "http://localhost:8080/"})

    assert refused.errors["returnUrl"].startswith("is required with stripe")
    assert (made.status, made.json["gateway"]) == (201, "stripe")


def test_a_change_whose_answer_was_lost_happened_once(
    alice: Client, office: Client, edge: Any
) -> None:
    payment_id = made(alice)
    sent: list[str] = []

    def lose_the_first_answer(send: Any, request: Any) -> Any:
        operation = request.headers["X-Amz-Target"]
        sent.append(operation.decode() if isinstance(operation, bytes) else operation)
        answer = send(request)
        if sum(each.endswith("UpdateItem") for each in sent) == 1 and "Update" in sent[-1]:
            raise ConnectionClosedError(endpoint_url="http://127.0.0.1")
        return answer

    edge(lose_the_first_answer)
    captured = office.do("capture", payment_id)

    assert (captured.status, captured.json["version"]) == (200, 2)
    assert "Idempotent-Replayed" not in captured.headers
    assert len(sent) == 3
