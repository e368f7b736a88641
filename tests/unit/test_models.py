"""What `sam build` compiles a request's model into takes and refuses what the model does."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from shared.api.body import parse
from shared.errors import InvalidRequest
from tests.conftest import ROOT
from tools.models import compiled, models

FOLDERS = sorted(path.parent.name for path in ROOT.glob("*/request.py"))
VALUES = [
    *(None, True, "", "x", "\ud800", "x" * 256, "x" * 2001, "4242 4242 4242 4242", [], {}),
    *(Decimal("10.5"), Decimal("10.505"), Decimal(0), Decimal("NaN"), "10.50", "1e2", "USD", "usd"),
    *("manual", "automatic", "stripe", "CAPTURED", "https://shop.example/", "http://shop.example/"),
    *({"key": "value"}, {"": "value"}, {"key": 1}, {str(n): "" for n in range(21)}),
]


def result(model: Any, body: object) -> object:
    try:
        return vars(parse(model, body))
    except InvalidRequest as error:
        return sorted(error.errors)


def bodies(names: list[str]) -> Iterator[object]:
    valid = {"amount": Decimal(1), "currency": "USD", "status": "FAILED"}
    valid = {name: value for name, value in valid.items() if name in names}
    yield from (valid, {**valid, "other": 1}, {}, [], None, "x")
    for name, value in product(names, VALUES):
        yield {**valid, name: value}
    for value in VALUES:
        yield dict.fromkeys(names, value)


@pytest.fixture
def compile_(tmp_path: Path) -> Callable[[str], Any]:
    def make(folder: str) -> Any:
        file = tmp_path / "request.py"
        file.write_text(compiled(folder))
        spec = importlib.util.spec_from_file_location(f"compiled_{folder}", file)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return make


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_compiled_model_agrees_with_the_model(
    folder: str, compile_: Callable[[str], Any]
) -> None:
    module = import_module(f"{folder}.request")
    for model in models(module):
        twin = getattr(compile_(folder), model.__name__)
        assert twin.names() == model.names()
        for body in bodies(model.names()):
            assert result(twin, body) == result(model, body), body


def test_every_request_is_compiled() -> None:
    assert len(FOLDERS) > 5
    assert all(models(import_module(f"{folder}.request")) for folder in FOLDERS)


def test_a_validator_that_needs_pydantic_is_named() -> None:
    code = (
        "import sys, types; from typing import Annotated; from pydantic import AfterValidator\n"
        "from shared.api.fields import Body; from tools.models import compiled\n"
        "module = types.ModuleType('note.request'); sys.modules['note.request'] = module\n"
        "def rule(text): return text\n"
        "rule.__module__ = 'note.request'\n"
        "class Note(Body):\n    text: Annotated[str, AfterValidator(rule)]\n"
        "Note.__module__ = 'note.request'; module.Note = Note\n"
        "compiled('note')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True
    )

    assert run.returncode == 1
    assert run.stderr.startswith("note.request: rule must stand in a module of its own")
