"""The laptop's pages about the API: /openapi.json, and Swagger UI at /docs to read and try it."""

import json
from importlib.resources import files
from pathlib import Path

from local import pages as laptop

OURS, SWAGGER_UI = Path(__file__).parent, Path(str(files("flask_swagger_ui"))) / "dist"
PAGES = {
    "/docs": OURS / "index.html",
    "/docs/start.js": OURS / "start.js",
    "/docs/swagger-ui-bundle.js": SWAGGER_UI / "swagger-ui-bundle.js",
    "/docs/swagger-ui.css": SWAGGER_UI / "swagger-ui.css",
    "/docs/index.css": SWAGGER_UI / "index.css",
}
# Swagger UI sets styles inline.
POLICY = laptop.POLICY.replace("style-src", "style-src 'unsafe-inline'")


def pages(file: Path) -> laptop.Pages:
    """Return the pages; the OpenAPI document is read anew for every call."""

    def document() -> str:
        here = [{"url": "/", "description": "This machine"}]
        return json.dumps({**json.loads(file.read_text(encoding="utf-8")), "servers": here})

    if not file.is_file():
        return {}
    return {
        ("GET", "/openapi.json"): laptop.of_text(file.name, document, POLICY),
        **laptop.of_files(PAGES, POLICY),
    }
