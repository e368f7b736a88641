"""The laptop's pages about the API: /openapi.json, and Swagger UI at /docs to read and try it."""

import json
from collections.abc import Callable
from importlib.resources import files
from mimetypes import guess_type
from pathlib import Path

from werkzeug import Response

Page = Callable[[bytes], Response]

OURS, SWAGGER_UI = files(__name__), files("flask_swagger_ui") / "dist"
PAGES = {
    "/docs": OURS / "index.html",
    "/docs/start.js": OURS / "start.js",
    "/docs/swagger-ui-bundle.js": SWAGGER_UI / "swagger-ui-bundle.js",
    "/docs/swagger-ui.css": SWAGGER_UI / "swagger-ui.css",
    "/docs/index.css": SWAGGER_UI / "index.css",
}
# Nothing from anywhere else. Swagger UI sets styles inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self';"
    " img-src data:"
)


def pages(file: Path) -> dict[tuple[str, str], Page]:
    """Return the pages by method and path; the OpenAPI document is read anew for every call."""

    def document() -> str:
        here = [{"url": "/", "description": "This machine"}]
        return json.dumps({**json.loads(file.read_text(encoding="utf-8")), "servers": here})

    if not file.is_file():
        return {}
    return {
        ("GET", "/openapi.json"): _page("openapi.json", document),
        **{("GET", path): _page(each.name, each.read_text) for path, each in PAGES.items()},
    }


def _page(name: str, body: Callable[[], str]) -> Page:
    headers = {
        "Content-Type": f"{guess_type(name)[0]}; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return lambda sent: Response(body(), 200, headers)  # noqa: ARG005
