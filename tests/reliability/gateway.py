"""A payment gateway on a loopback socket, with a ledger of its own, and the adapter for it.

What it is asked for happens once for each operation id. Asked again, it sends its first answer, as
it was then (`replays_first_answer`), or what is so now; real gateways do the one or the other. It
forgets an operation id when it is told to, as real ones do after a day.
"""

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from shared.errors import GatewayUnavailable
from shared.gateways.port import Gateway
from shared.payments.facts import Facts, RefundFacts
from shared.payments.payment import Operation, Payment
from tests.reliability.proxy import SILENT, Answer, Fault, FaultProxy, Request


class Outcome(Enum):
    """What a gateway makes of an operation, instead of doing it at once."""

    DECLINED = "refused for good"
    WORKING = "taken, and done later"
    PENDING = "the same, and said to be its last word on the operation"
    FAILING = "taken, and refused later"
    TURNING = "done, and undone later: a refund fails, a capture is reversed"
    REDIRECTED = "a start that needs the payer"


Trouble: TypeAlias = "Fault | Outcome"


@dataclass
class Account:
    """What the gateway knows of a payment; money in minor units.

    Attributes:
        effects: every movement of money: operation id, kind, amount.
        failed: the operations that were taken, and refused later.
    """

    amount: int
    capture: str
    state: str = "PENDING"
    captured: int = 0
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    effects: list[tuple[str, str, int]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    is_approved: bool = False

    def start(self, operation: str) -> str | None:
        if self.state not in ("PENDING", "REQUIRES_ACTION"):
            return "already_started"
        if self.capture == "manual":
            self.state = "AUTHORIZED"
            self.effects.append((operation, "hold", self.amount))
        else:
            self.state, self.captured = "CAPTURED", self.amount
            self.effects.append((operation, "capture", self.amount))
        return None

    def complete(self, operation: str) -> str | None:
        return self.start(operation) if self.is_approved else None

    def take(self, operation: str, amount: int) -> str | None:
        if self.state != "AUTHORIZED":
            return "not_authorized"
        self.state, self.captured = "CAPTURED", amount
        self.effects.append((operation, "capture", amount))
        return None

    def cancel(self, operation: str) -> str | None:
        if self.captured or self.state == "FAILED":
            return "too_late"
        self.state = "CANCELED"
        self.effects.append((operation, "release", self.amount))
        return None

    def refund(self, operation: str, refund: str, amount: int) -> str | None:
        taken = sum(each["amount"] for each in self.refunds.values() if each["status"] != "FAILED")
        if taken + amount > self.captured:
            return "too_much"
        self.refunds[refund] = {"amount": amount, "status": "SUCCEEDED"}
        self.effects.append((operation, "refund", amount))
        return None

    # What happens at the gateway, by the payer or by somebody who signs in there

    def pay(self) -> None:
        self.is_approved = True
        self.start("by the payer")

    def expire(self) -> None:
        self.state = "EXPIRED"

    def give_back(self, amount: int) -> None:
        self.refund("by hand", f"re_{len(self.refunds)}", amount)

    def fail_refunds(self) -> None:
        for each in self.refunds.values():
            each["status"] = "FAILED"

    def reverse(self) -> None:
        if self.captured:
            self.state, self.captured = "FAILED", 0

    @property
    def refunded(self) -> int:
        done = (each for each in self.refunds.values() if each["status"] == "SUCCEEDED")
        return sum(each["amount"] for each in done)

    @property
    def status(self) -> str:
        """The status that a payment has to have."""
        if not self.captured:
            return self.state
        if self.refunded == self.captured:
            return "REFUNDED"
        return "PARTIALLY_REFUNDED" if self.refunded else "CAPTURED"


class ScriptedGateway(FaultProxy):
    """The gateway; each request takes the next trouble of the plan, an outcome where it can."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.asked: list[tuple[str, str, str]] = []  # payment, kind, operation id
        self.replays_first_answer = True
        self._first_answers: dict[str, dict[str, Any]] = {}
        self._later: list[Callable[[], object]] = []
        self._outcome: Outcome | None = None
        super().__init__("http://127.0.0.1")

    def plan(self, *troubles: Trouble, **hooks: Callable[[], object]) -> None:
        """Let the coming requests meet these troubles, one each, and those after them none."""
        super().plan(*troubles, **hooks)
        Scripted.seconds = 30 if SILENT.isdisjoint(troubles) else 0.05

    def finish(self) -> None:
        """Let everything that is still going on come to its end."""
        later, self._later = self._later, []
        for each in later:
            each()

    def forget(self) -> None:
        """Forget the operations' ids: asked again, they would happen again."""
        self._first_answers = {}

    def _next_fault(self, request: Request) -> Fault:
        self._outcome = None
        if self._plan and isinstance(self._plan[0], Outcome):
            if request.method == "POST":  # what is only fetched has no outcome
                self._outcome = self._plan.popleft()
            return Fault.NONE
        return super()._next_fault(request)

    def _forward(self, request: Request) -> Answer:
        _, payment, kind = request.path.split("/")
        if request.method == "GET":
            answer = self._shown(payment)
        else:
            answer = self._ask(payment, kind, json.loads(request.body))
        return Answer(200, {}, json.dumps(answer).encode())

    def _ask(self, payment: str, kind: str, asked: dict[str, Any]) -> dict[str, Any]:
        operation = asked["operation"]
        self.asked.append((payment, kind, operation))
        if operation in self._first_answers:
            first = self._first_answers[operation]
            if self.replays_first_answer:
                return first
            now = self._shown(payment)
            return {**now, "error": first["error"], "isDone": now["state"] != "PROCESSING"}
        account = self.accounts.setdefault(payment, Account(asked["amount"], asked["capture"]))
        outcome, self._outcome = self._outcome, None

        def do() -> str | None:
            if kind == "refund":
                return account.refund(operation, asked["refund"], asked["amount"])
            if kind == "capture":
                return account.take(operation, asked["amount"])
            do = {"start": account.start, "complete": account.complete, "cancel": account.cancel}
            return do[kind](operation)

        error, is_done = None, True
        if account.state == "PROCESSING":
            error = "busy"
        elif outcome in (Outcome.DECLINED, Outcome.REDIRECTED):
            error = "declined" if outcome is Outcome.DECLINED else None
            if kind == "start":
                account.state = "REQUIRES_ACTION"
        elif outcome in (Outcome.WORKING, Outcome.PENDING, Outcome.FAILING):
            is_done = self._work(account, kind, do, asked, outcome)
        else:
            error = do()
            if outcome is Outcome.TURNING and not error:
                self._later.append(account.fail_refunds if kind == "refund" else account.reverse)
        answer = {**self._shown(payment), "error": error, "isDone": is_done}
        self._first_answers[operation] = answer
        return answer

    def _work(
        self,
        account: Account,
        kind: str,
        do: Callable[[], object],
        asked: dict[str, Any],
        outcome: Outcome,
    ) -> bool:
        """Take an operation, for `finish` to end; return whether the answer is definite."""
        if kind == "refund":
            do()
            if asked["refund"] not in account.refunds:
                return True
            account.refunds[asked["refund"]]["status"] = "PENDING"
            end = "FAILED" if outcome is Outcome.FAILING else "SUCCEEDED"
            self._later.append(lambda: account.refunds[asked["refund"]].update(status=end))
            return True
        before, account.state = account.state, "PROCESSING"

        def end() -> None:
            account.state = "REQUIRES_ACTION" if before == "PENDING" else before
            if outcome is Outcome.FAILING or do():
                account.failed.append(asked["operation"])

        self._later.append(end)
        return outcome is Outcome.PENDING

    def _shown(self, payment: str) -> dict[str, Any]:
        account = self.accounts.get(payment) or Account(0, "")
        shown = asdict(account)
        return {name: shown[name] for name in ("state", "captured", "refunds", "failed")}


class Scripted(Gateway):
    """The adapter, as one for a real gateway would be.

    Attributes:
        seconds: how long it waits for an answer.
    """

    is_instant = False
    repeat_seconds = 86_400.0
    seconds = 30.0

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc

    def start(self, payment: Payment, operation: Operation) -> Facts:
        return self._do(payment, operation)

    complete = capture = cancel = refund = start

    def fetch(self, payment: Payment) -> Facts:
        answer = self._call("GET", f"/{payment.payment_id}/")
        under_way = payment.operation and payment.operation.operation_id
        return self._facts(answer, under_way if under_way in answer["failed"] else None)

    def payment_id_in(self, headers: Mapping[str, str], body: bytes) -> str | None:
        raise NotImplementedError

    def _do(self, payment: Payment, operation: Operation) -> Facts:
        asked = {
            "operation": operation.operation_id,
            "amount": operation.amount_minor or payment.amount_minor,
            "capture": payment.capture,
            "refund": operation.refund_id,
        }
        answer = self._call("POST", f"/{payment.payment_id}/{operation.kind}", asked)
        return self._facts(answer, operation.operation_id if answer["isDone"] else None)

    def _call(self, method: str, path: str, asked: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, timeout=self.seconds)
        try:
            connection.request(method, path, json.dumps(asked))
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise GatewayUnavailable
            answer: dict[str, Any] = json.loads(text)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise GatewayUnavailable from error
        finally:
            connection.close()
        return answer

    def _facts(self, answer: dict[str, Any], answers: str | None) -> Facts:
        error = answer.get("error")
        return Facts(
            answer["state"],
            answer["captured"],
            tuple(
                RefundFacts(refund_id, refund["amount"], refund["status"])
                for refund_id, refund in answer["refunds"].items()
            ),
            last_error={"code": error, "message": f"The gateway says: {error}"} if error else None,
            answers=answers,
        )
