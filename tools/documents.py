"""The documents of docs/ that are made of what runs.

    python -m tools.documents            # write them
    python -m tools.documents --check    # fail where one is stale

`make openapi` writes them, `make lint` checks them.
"""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from local import LocalError
from tools import asyncapi, collection, dashboard, lifecycle, openapi
from tools.build import ROOT

Make = Callable[[], Mapping[str, Any] | str]
DOCUMENTS: dict[str, Make] = {
    "docs/openapi.json": openapi.document,
    "docs/asyncapi.json": asyncapi.document,
    "docs/postman/collection.json": collection.collection,
    "docs/postman/laptop.json": partial(collection.environment, "laptop"),
    "docs/postman/stack.json": partial(collection.environment, "stack"),
    "docs/dashboard.svg": dashboard.svg,
    "docs/life.md": lifecycle.page,
}


def keep(file: Path, make: Make, *, check: bool) -> bool:
    """Write a document, or check that it is what is made; tell whether that went well."""
    try:
        made = make()
    except LocalError as error:
        print(error, file=sys.stderr)
        return False
    if not isinstance(made, str):
        made = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    if not check:
        file.write_text(made)
    elif not file.is_file() or file.read_text() != made:
        print(f"{file.name} is stale: make openapi, and commit it", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    kept = [keep(ROOT / name, make, check=bool(sys.argv[1:])) for name, make in DOCUMENTS.items()]
    sys.exit(not all(kept))
