"""Break what ships, one small change at a time, and see a test fail: `make mutation`.

Every change (a mutant) is written into a copy of the project, where the tests nearest to the module
run first, and all the fast ones where those noticed nothing. A mutant that no test notices is a
survivor: a gap in the tests, unless tools/mutants.yaml says why it changes nothing.
"""

import ast
import os
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

import hypothesis
import pytest
import yaml

ROOT = Path(__file__).parent.parent
EXPLAINED = Path(__file__).with_name("mutants.yaml")
COPIED = ("create_payment", "events", "get_payment", "local", "shared", "tests", "tools")
WORKERS = 2
NEAR_SECONDS, WIDE_SECONDS = 60, 240  # who takes longer hangs, which somebody would notice

# Imported once, before the forks: each of them would pay for it again.
PRELOADED = "boto3 botocore.auth hypothesis.strategies moneyed moto.dynamodb.urls moto.server"
PRELOADED += " anyio.pytest_plugin pytest_cov.plugin schemathesis.pytest.plugin xdist.plugin"
PRELOADED += " aws_lambda_powertools pydantic pydantic.functional_validators samcli.yamlhelper"

# The tests that know most of a module, then those that look at it from the front door.
UNIT, INTEGRATION = "tests/unit/test_", "tests/integration/test_"
MONEY = [f"{UNIT}money.py", f"{INTEGRATION}money.py"]
CALLS = [f"{INTEGRATION}{name}.py" for name in ("create_payment", "get_payment", "idempotency")]
STORE = [f"{INTEGRATION}{name}.py" for name in ("store", "dynamodb")]
NEAR = {
    "cards": [f"{UNIT}cards.py", f"{INTEGRATION}create_payment.py"],
    "dynamodb": [*STORE, CALLS[1], "tests/reliability/test_faults.py"],
    "errors": [f"{UNIT}errors.py", f"{INTEGRATION}create_payment.py", f"{INTEGRATION}input.py"],
    "http": [
        f"{UNIT}http.py",
        f"{UNIT}json.py",
        *CALLS,
        STORE[0],
        f"{INTEGRATION}logs.py",
        f"{INTEGRATION}events.py",
        "tests/security",
    ],
    "iso4217": [f"{UNIT}currencies.py", *MONEY],
    "models": [*CALLS, f"{INTEGRATION}input.py"],
    "money": [*MONEY, CALLS[0]],
    "payment": [*CALLS, STORE[0]],
    "prime": [f"{INTEGRATION}start.py"],
    "repository": [*CALLS, STORE[0], f"{INTEGRATION}start.py"],
    "settings": [f"{INTEGRATION}events.py", f"{INTEGRATION}dynamodb.py"],
}
FAST = ["tests/unit", "tests/integration", "tests/security"]
WIDE = {name: [*FAST, "tests/reliability"] for name in ("dynamodb", "repository")}

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


class Mutant(NamedTuple):
    """A module with one change, and the change as the line before and after."""

    module: str
    was: str
    becomes: str
    source: str


def mutants(module: str) -> Iterator[Mutant]:
    """Make every mutant of a module."""
    tree = ast.parse((ROOT / module).read_text())
    original = ast.unparse(tree)
    for _ in _changes(tree):
        source = ast.unparse(tree)
        was, becomes = _difference(original.splitlines(), source.splitlines())
        yield Mutant(module, was, becomes, source)


def _difference(old: list[str], new: list[str]) -> tuple[str, str]:
    first = next(i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1])
    return old[first].strip(), new[first].strip()


def _changes(node: ast.AST) -> Iterator[None]:
    """Change the tree below the node in place, once for each step, and change it back."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        is_list = isinstance(value, list)
        for index, child in enumerate(value if is_list else [value]):
            if not isinstance(child, ast.AST) or _is_left_out(child):
                continue
            put = partial(value.__setitem__, index) if is_list else partial(setattr, node, field)
            for other in _others(child):
                put(other)
                yield
            put(child)
            yield from _changes(child)


def _is_left_out(node: ast.AST) -> bool:
    """Tell whether it is for people or for mypy: a docstring, a sentence, a type."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, (ast.Constant, ast.JoinedStr)):
        parts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
        text = " ".join(part for part in parts if isinstance(part, str))
        return re.search("[A-Za-z]{2,},? +[A-Za-z]{2,}", text) is not None
    return False


def _others(node: ast.AST) -> Iterator[ast.AST]:  # noqa: PLR0912 - a table in the form of code
    """Return what could stand in the node's place."""
    match node:
        case ast.Compare(left, ops, comparators):
            for i, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield ast.Compare(left, [*ops[:i], other(), *ops[i + 1 :]], comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for i in range(len(values)):
                yield ast.BoolOp(op, [*values[:i], *values[i + 1 :]])
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.If(test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.While(test, body, orelse):
            yield ast.While(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.comprehension(target, iter_, [test, *_], is_async):
            yield ast.comprehension(target, iter_, [ast.UnaryOp(ast.Not(), test)], is_async)
        case ast.BinOp(left, op, right):
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Constant(str() as value):
            yield ast.Constant("" if value else "mutant")
            for count in re.finditer(r"(?<=[{,])\d+(?=[,}])", value):
                for number in (int(count[0]) + 1, int(count[0]) - 1):
                    yield ast.Constant(f"{value[: count.start()]}{number}{value[count.end() :]}")
        case ast.Return(ast.expr() as value) if ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Raise() | ast.Expr() | ast.Delete() | ast.Assign([ast.Subscript()]):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Call(func, args, keywords):
            for i in range(len(keywords)):
                yield ast.Call(func, args, [*keywords[:i], *keywords[i + 1 :]])
        case ast.ExceptHandler(ast.Tuple(errors) as caught, name, body):
            for i in range(len(errors)):
                rest = ast.Tuple([*errors[:i], *errors[i + 1 :]], caught.ctx)
                yield ast.ExceptHandler(rest, name, body)


class _StopAtOnce:
    """A plugin for pytest: the first failure is the answer, and no teardown is waited for."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            os._exit(1)


def _start(mutant: Mutant, copy: Path, tests: list[str]) -> int:
    """Run the tests on the mutant in a process of its own; return its id."""
    (copy / mutant.module).write_text(mutant.source)
    shutil.rmtree(copy / "shared/__pycache__", ignore_errors=True)
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.setsid()
        os.chdir(copy)
        sys.path[:] = [str(copy), *(path for path in sys.path if path not in ("", str(ROOT)))]
        for name in [name for name in sys.modules if name.partition(".")[0] in COPIED]:
            del sys.modules[name]
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        options = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile", "mutation"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        code = int(pytest.main([*options, *tests], plugins=[_StopAtOnce()]) != 0)
    finally:  # never back into the parent's code
        os._exit(code)


def survivors(todo: list[Mutant]) -> Iterator[tuple[Mutant, bool]]:
    """Run the tests on every mutant; return each with whether it survived, as they end."""
    queue = [(mutant, False) for mutant in reversed(todo)]
    running: dict[int, tuple[Mutant, bool, Path, float]] = {}
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        free = [Path(folder, str(number)) for number in range(WORKERS)]
        for copy in free:
            _copy(copy)
        while queue or running:
            while queue and free:
                mutant, is_wide = queue.pop()
                copy, name = free.pop(), Path(mutant.module).stem
                tests = WIDE.get(name, FAST) if is_wide else NEAR[name]
                end = monotonic() + (WIDE_SECONDS if is_wide else NEAR_SECONDS)
                running[_start(mutant, copy, tests)] = (mutant, is_wide, copy, end)
            sleep(0.02)
            for pid, (mutant, is_wide, copy, end) in list(running.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if not ended and monotonic() < end:
                    continue
                with suppress(ProcessLookupError):  # what it started as well
                    os.killpg(pid, signal.SIGKILL)
                if not ended:
                    os.waitpid(pid, 0)
                shutil.copy(ROOT / mutant.module, copy / mutant.module)
                del running[pid]
                free.append(copy)
                survived = bool(ended) and status == 0
                if survived and not is_wide:
                    queue.append((mutant, True))
                else:
                    yield mutant, survived


def _pass_unchanged() -> bool:
    """Tell whether the tests pass without a change: else every mutant would look killed."""
    module = "shared/store/payments.py"  # every test has its turn on it
    unchanged = Mutant(module, "", "", (ROOT / module).read_text())
    return all(survived for _, survived in survivors([unchanged]))


def _copy(copy: Path) -> None:
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.name in COPIED:
            shutil.copytree(path, copy / path.name)
        elif path.is_file():
            shutil.copy(path, copy)
    for name in (".github", "ci", "docs"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, copy / name)


def main(modules: list[str]) -> int:
    """Run the modules' mutants, all modules' by default; print the survivors."""
    for name in PRELOADED.split():
        __import__(name)
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=100,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],  # a failure is not shrunk
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    )
    reasons = {
        (entry["module"], entry["was"], entry["becomes"])
        for entry in yaml.safe_load(EXPLAINED.read_text())
    }
    if not _pass_unchanged():
        print("the tests fail on what was not changed")
        return 1
    gaps = 0
    for module in modules or [f"shared/{name}.py" for name in NEAR]:
        start, counts = monotonic(), Counter[str]()
        todo = list(mutants(module))
        for done, (mutant, survived) in enumerate(survivors(todo), 1):
            is_explained = mutant[:3] in reasons
            counts["survived" if survived else "killed"] += 1
            gaps += survived and not is_explained
            if survived:
                word = "explained" if is_explained else "SURVIVED"
                print(f"{word} {module}\n  - {mutant.was}\n  + {mutant.becomes}", flush=True)
            if done % 25 == 0:
                print(f"{module}: {done} of {len(todo)}", file=sys.stderr, flush=True)
        print(
            f"{module}: {len(todo)} mutants, {counts['killed']} killed,"
            f" {counts['survived']} survived, {monotonic() - start:.0f} s",
            flush=True,
        )
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
