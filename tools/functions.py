"""The functions: a folder with an app.py each, and a function of template.yaml each.

    python -m tools.functions

Part of `make lint`. Holds the two against each other, and every folder to the import rules of
pyproject.toml, where `<functions>` stands for them.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from importlinter.cli import lint_imports
from samtranslator.yaml_helper import yaml_parse

from tools.build import ROOT, folder_of


def folders(root: Path = ROOT) -> list[str]:
    """Return the folder of every function."""
    return sorted(path.parent.name for path in root.glob("*/app.py"))


def resources(root: Path = ROOT) -> dict[str, Any]:
    """Return the resources of the template as it is written, by their names."""
    template = yaml_parse((root / "template.yaml").read_text())  # type: ignore[no-untyped-call]
    return dict(template["Resources"])


def handlers(root: Path = ROOT) -> dict[str, str]:
    """Return the handler of every function of the template by its name there."""
    return {
        name: resource["Properties"]["Handler"]
        for name, resource in resources(root).items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def mistakes(root: Path = ROOT) -> Iterator[str]:
    """Yield in one line each where folders and template do not agree."""
    for name, handler in handlers(root).items():
        if not (root / folder_of(name) / "app.py").is_file():
            yield f"template.yaml: {name}: there is no {folder_of(name)}/app.py"
        elif handler != f"{folder_of(name)}.app.handler":
            yield f"template.yaml: {name}: its Handler must be {folder_of(name)}.app.handler"
    for folder in folders(root):
        if not (root / folder / "__init__.py").is_file():
            yield f"{folder}/: there is no __init__.py"
        if folder not in map(folder_of, handlers(root)):
            name = f"{folder.title().replace('_', '')}Function"
            yield f"{folder}/: template.yaml has no {name}"


def keep_import_rules() -> bool:
    """Tell whether import-linter finds every rule kept; it prints those that are not."""
    rules = (ROOT / "pyproject.toml").read_text()
    rules = rules.replace("<functions>", '", "'.join(folders()))
    rules = rules.replace("<function> | <function>", " | ".join(folders()))
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(rules)
        file.flush()
        return lint_imports(config_filename=file.name, no_logo=True) == 0


if __name__ == "__main__":
    found = list(mistakes())
    print(*found, sep="\n", end="\n" * bool(found), file=sys.stderr)
    sys.exit(1 if found or not keep_import_rules() else 0)
