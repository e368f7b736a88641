"""However many ask at once, and from however many processes, a key makes one payment."""

from collections import Counter
from typing import Any

import pytest

from tests.conftest import Client, Response, proxy_event
from tests.reliability.test_faults import Items
from tests.reliability.worker import Worker

CLIENTS = [
    pytest.param(16, id="64 clients"),
    pytest.param(75, id="300 clients", marks=pytest.mark.slow),
]


@pytest.fixture
def at_once(
    store_url: str,
    request: pytest.FixtureRequest,
    workers: list[Worker],
    environment: dict[str, str],
) -> Any:
    """Return a function that makes every process send its events, all at the same time."""
    # moto checks the condition and writes in two steps: behind the proxy it does one at a time.
    if "dynamodb-local" in request.node.name:
        environment["AWS_ENDPOINT_URL_DYNAMODB"] = store_url

    for worker in workers:
        worker.begin()
    assert all(worker.is_ready for worker in workers)

    def send(events: list[list[dict[str, Any]]]) -> list[Response]:
        for worker, share in zip(workers, events, strict=True):
            worker.start(share, environment)
        answers = [answer for worker in workers for answer in worker.answers() or []]
        return [
            Response(status=answer["statusCode"], headers=answer["headers"], text=answer["body"])
            for answer in answers
            if answer  # the schedule has none
        ]

    return send


def create(user: str, body: str) -> dict[str, Any]:
    event = proxy_event("create_payment", user)
    event["multiValueHeaders"]["Idempotency-Key"] = ["order-1"]
    event["body"] = body
    return event


@pytest.mark.parametrize("number", CLIENTS)
def test_one_key_and_one_body_make_one_payment(
    alice: Client, at_once: Any, items: Items, number: int
) -> None:
    event = create(alice.user, '{"amount": 100, "currency": "USD"}')

    responses = at_once([[event] * number] * 4)

    assert Counter(response.status for response in responses) == {201: 4 * number}
    assert len({response.text for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in responses) == 1
    assert len(items(alice.user)) == 1


@pytest.mark.parametrize("number", CLIENTS)
def test_one_key_and_many_bodies_make_the_first_ones_payment(
    alice: Client, at_once: Any, items: Items, number: int
) -> None:
    amounts = [["1", "2", "3", "4"][client % 4] for client in range(number)]
    events = [
        create(alice.user, f'{{"amount": {amount}, "currency": "USD"}}') for amount in amounts
    ]

    responses = at_once([events] * 4)

    [item] = items(alice.user)
    winner = int(item["amountMinor"]["N"]) // 100
    expected = [201 if amount == str(winner) else 422 for amount in amounts] * 4
    assert [response.status for response in responses] == expected
    paid = {response.text for response in responses if response.status == 201}
    assert len(paid) == 1
    assert (
        sum(
            response.status == 201 and "Idempotent-Replayed" not in response.headers
            for response in responses
        )
        == 1
    )
