"""The functions behind a network that fails on purpose."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from shared import wiring
from shared.gateways.manual import Manual
from shared.payments import clock
from shared.store import dynamodb
from shared.store import items as store_items
from shared.store import payments as store_payments
from tests.conftest import assert_no_secret, forget
from tests.gateways.standins import STAND_INS, take_keys
from tests.integration.conftest import emulator, store_url, table  # noqa: F401
from tests.reliability.gateway import Scripted, ScriptedGateway
from tests.reliability.life import Life, StandInLife
from tests.reliability.proxy import SILENT, Fault, FaultProxy
from tests.reliability.worker import Worker, shifted

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@pytest.fixture(scope="session")
def proxy(emulator: "str | WSGIApplication") -> Iterator[FaultProxy]:  # noqa: F811
    with closing(FaultProxy(emulator)) as proxy:
        yield proxy


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell how many cases showed each promise, on each store."""
    shown: Counter[tuple[str, str]] = Counter()
    figures: list[str] = []
    for report in terminalreporter.stats.get("passed", ()):
        figures += [str(value) for name, value in report.user_properties if name == "figure"]
        test, _, case = report.location[2].partition("[")
        for store in ("moto", "dynamodb-local"):
            if store in case and report.nodeid.startswith("tests/reliability/"):
                shown[test, store] += dict(report.user_properties).get("cases", 1)
    if shown:
        terminalreporter.section("cases")
    for (test, store), cases in sorted(shown.items()):
        promise = test.removeprefix("test_").replace("_", " ")
        terminalreporter.write_line(f"{cases:6,}  {store:14}  {promise}")
    for figure in figures:
        terminalreporter.write_line(figure)


class Network:
    """The proxy, and how long the functions wait for it.

    Where silence is planned, a function waits 100 ms for an answer. It may then give up on one that
    is slow on a busy machine as well: one more fault, on which no promise may depend. Everywhere
    else it waits long enough for nothing but the planned to happen.
    """

    def __init__(self, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proxy = proxy
        self._monkeypatch = monkeypatch
        self._wait = 0.0

    def plan(self, *faults: Fault, **hooks: Callable[[], object]) -> None:
        """Let the coming requests meet these faults, one each, and those after them none."""
        self.proxy.plan(*faults, **hooks)
        wait = 30 if SILENT.isdisjoint(faults) else 0.1
        if wait != self._wait:
            self.wait(0.05, wait)

    def wait(self, connect_seconds: float, answer_seconds: float) -> None:
        """Let the functions wait so long for the store."""
        self._monkeypatch.setattr(dynamodb, "CONNECT_SECONDS", connect_seconds)
        self._monkeypatch.setattr(dynamodb, "ANSWER_SECONDS", answer_seconds)
        self._wait = answer_seconds
        forget()


@pytest.fixture(autouse=True)
def network(
    function_environment: None,
    table: tuple[Any, str],  # noqa: F811
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Network]:
    """Point the functions at the proxy."""
    monkeypatch.setenv("TABLE_NAME", table[1])
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)
    monkeypatch.setattr(dynamodb, "LONGEST_PAUSE_SECONDS", 0)
    network = Network(proxy, monkeypatch)
    network.plan()
    yield network
    network.plan()


@pytest.fixture
def items(table: tuple[Any, str]) -> Any:  # noqa: F811
    """Return a function that tells which payments the store holds for these users."""
    client, name = table

    def of(*owners: str) -> list[dict[str, Any]]:
        found = client.scan(TableName=name, ConsistentRead=True)["Items"]
        for item in found:  # so that the next scan is short
            if item["owner"]["S"] not in owners:
                client.delete_item(TableName=name, Key={"paymentId": item["paymentId"]})
        return [item for item in found if item["owner"]["S"] in owners]

    return of


@pytest.fixture(scope="session")
def workers() -> Iterator[list[Worker]]:
    """Return workers, each of which handles calls in processes of its own."""
    workers = [Worker() for _ in range(4)]
    yield workers
    assert_no_secret("".join(worker.close() for worker in workers))


@pytest.fixture
def environment(network: Network) -> dict[str, str]:
    """Return the environment of a function in a worker."""
    names = ("TABLE_NAME", "AWS_ENDPOINT_URL_DYNAMODB", "ALLOWED_ORIGIN", "POWERTOOLS_SERVICE_NAME")
    aws = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    return {name: os.environ[name] for name in (*names, *aws)}


@pytest.fixture
def gateway(network: Network) -> Iterator[ScriptedGateway]:
    """Return a gateway that fails on purpose."""
    gateway = ScriptedGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def adapter(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Return the adapter by which the functions reach the gateway."""
    adapter = Scripted(gateway.url)
    monkeypatch.setenv("GATEWAYS", "manual,scripted")
    monkeypatch.setattr(wiring, "gateways", lambda: {"manual": Manual(), "scripted": adapter})
    forget()
    return adapter


def lives(*names: str) -> pytest.MarkDecorator:
    """Let a test have a life at each of these gateways."""
    return pytest.mark.parametrize("life", names, indirect=True)


@pytest.fixture
def life(
    request: pytest.FixtureRequest,
    network: Network,
    table: tuple[Any, str],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Life]:
    """Return a life of payments, with a clock that can be put on: at the scripted gateway, or at
    the stand-in that the test names."""
    alice, office = (request.getfixturevalue(name) for name in ("alice", "office"))
    name = getattr(request, "param", "scripted")
    with ExitStack() as stack:
        if name == "scripted":
            gateway = request.getfixturevalue("gateway")
            adapter = request.getfixturevalue("adapter")
            life = Life(network, gateway, adapter, alice, office, table)
        else:
            stand_in = STAND_INS[name]()
            stack.enter_context(stand_in.served())
            life = StandInLife(network, stand_in, alice, office, table)
            take_keys({name: stand_in.keys}, monkeypatch.setattr)
            monkeypatch.setenv("GATEWAYS", ",".join(dict.fromkeys(("manual", name))))
            forget()
        for module in (store_items, store_payments):
            monkeypatch.setattr(module, "DUE_SHARDS", 1)  # so that the schedule looks in one place
        monkeypatch.setattr(clock, "datetime", shifted(lambda: life.seconds_ahead))
        yield life
        life.delete()
