"""The laptop's pages about the API: /openapi.json, and /docs to read it and to try it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from werkzeug import Request, Response

Page = Callable[[Request], Response]

FOLDER = Path(__file__).parent
# Nothing from anywhere else, and nothing inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"
)


def pages(file: Path, users: tuple[str, ...]) -> dict[tuple[str, str], Page]:
    """Return the pages by method and path, read anew for every call.

    Args:
        file: the OpenAPI document.
        users: who is offered to try a call as.
    """

    def api() -> dict[str, Any]:
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {**document, "servers": [{"url": "/", "description": "This machine"}]}

    if not file.is_file():
        return {}
    return {
        ("GET", "/openapi.json"): _page("application/json", lambda: json.dumps(api(), indent=2)),
        ("GET", "/docs"): _page("text/html", lambda: _html(api(), users)),
        ("GET", "/docs/page.css"): _page("text/css", lambda: _read("page.css")),
        ("GET", "/docs/page.js"): _page("text/javascript", lambda: _read("page.js")),
    }


def _html(api: Mapping[str, Any], users: tuple[str, ...]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["json"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    environment.globals["resolve"] = lambda value: _resolve(api, value)
    environment.globals["type_of"] = lambda schema: _type(api, schema)
    return environment.get_template("page.html").render(api=api, users=users)


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _page(media_type: str, body: Callable[[], str]) -> Page:
    headers = {
        "Content-Type": f"{media_type}; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return lambda request: Response(body(), 200, headers)  # noqa: ARG005


def _resolve(document: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reference refers to, with what stands beside it."""
    if "$ref" not in value:
        return dict(value)
    found: Any = document
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return {**found, **{name: each for name, each in value.items() if name != "$ref"}}


def _type(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return a schema's type and limits in a few words."""
    schema = _resolve(document, schema)
    if "anyOf" in schema:
        return " or ".join(_type(document, each) for each in schema["anyOf"])
    words = str(schema.get("type", "any"))
    if "enum" in schema:
        words += f", one of {len(schema['enum'])}"
    if "maxLength" in schema:
        words += f" of up to {schema['maxLength']} characters"
    if "maxProperties" in schema:
        words += f" of up to {schema['maxProperties']} entries"
    if "exclusiveMaximum" in schema:
        words += f" below {schema['exclusiveMaximum']:,}"
    return f"{words} ({schema['format']})" if "format" in schema else words
