"""A process that is killed loses no payment and makes no second one."""

import os
import signal
from queue import Queue

import pytest

from tests.conftest import Client, proxy_event
from tests.reliability.conftest import Network
from tests.reliability.proxy import SILENT, Fault
from tests.reliability.test_faults import REQUEST, Items
from tests.reliability.worker import Worker

# What befell the call's requests before the one at which the process is killed.
NOTHING_YET = [(), (Fault.DROPPED_ANSWER,)]
EVERY_OTHER = [
    (fault,)
    for fault in Fault
    if fault not in SILENT and fault is not Fault.NONE and (fault,) not in NOTHING_YET
]
CASES = NOTHING_YET + [pytest.param(case, marks=pytest.mark.slow) for case in EVERY_OTHER]


class Killer:
    """Kills the process that handles the call when its n-th request to the store comes by."""

    def __init__(self, nth: int) -> None:
        self._nth = nth
        self.pid: Queue[int] = Queue()

    def __call__(self) -> None:
        self._nth -= 1
        if self._nth == 0:
            os.kill(self.pid.get(timeout=10), signal.SIGKILL)


@pytest.mark.parametrize("is_replay", [False, True], ids=["create", "replay"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("faults", CASES, ids=lambda case: "-".join(f.name for f in case) or "-")
def test_a_killed_create_is_finished_by_repeating_it(  # noqa: PLR0917
    alice: Client,
    network: Network,
    items: Items,
    workers: list[Worker],
    environment: dict[str, str],
    faults: tuple[Fault, ...],
    moment: str,
    is_replay: bool,
) -> None:
    event = proxy_event("create_payment", alice.user)
    event["body"] = '{"amount": 117, "currency": "USD", "description": "Order 1001"}'
    event["multiValueHeaders"]["Idempotency-Key"] = ["order-1"]
    if is_replay:
        first = alice.create(REQUEST, key="order-1")
    killer = Killer(len(faults) + 1)
    network.plan(*faults, **{moment: killer})

    killer.pid.put(workers[0].start([event], environment))
    answers = workers[0].answers()
    network.plan()
    response = alice.create(REQUEST, key="order-1")

    if answers is not None:  # it had its answer from a request before the one to die at
        assert answers[0]["statusCode"] in {201, 503}
    assert response.status == 201
    assert [item["paymentId"]["S"] for item in items(alice.user)] == [response.json["paymentId"]]
    assert alice.get(response.json["paymentId"]).text == response.text
    if is_replay:
        assert response.text == first.text
