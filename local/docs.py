"""The laptop's pages about the API: /openapi.json, and Swagger UI at /docs to read and to try it."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from werkzeug import Request, Response

from local.tokens import DEFAULT_USER, PATH

Page = Callable[[Request], Response]

# Nothing from anywhere else. React sets inline styles.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self';"
    " img-src 'self' data:"
)

HTML = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/index.css">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<style>
  .swagger-ui .try-out__btn { padding: 5px 10px; }
  .swagger-ui .response-col_links { display: none; }
</style>
<script src="/docs/swagger-ui-bundle.js" defer></script>
<script src="/docs/start.js" defer></script>
<main id="swagger-ui"></main>
"""

START = """\
"use strict";
const TOKENS = "%(tokens)s";

// A call without a token of its own gets one of %(user)s's.
async function authorize(request) {
  if (request.loadSpec || request.url.endsWith(TOKENS) || request.headers.Authorization) return request;
  const answer = await fetch(TOKENS, { method: "POST" });
  request.headers.Authorization = `Bearer ${(await answer.json()).access_token}`;
  return request;
}

// Swagger UI parses a JSON body and prints it again, which makes 10.50 of an amount 10.5.
function pretty(text) {
  const exact = (_name, value, { source }) => typeof value === "number" ? JSON.rawJSON(source) : value;
  try { return JSON.stringify(JSON.parse(text, exact), null, 2); } catch { return text; }
}
const exactNumbers = (ResponseBody, { React }) => (props) =>
  React.createElement(ResponseBody, { ...props, content: pretty(props.content), contentType: "text/plain" });

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

(async () => {
  const spec = await (await fetch("/openapi.json")).json();
  document.title = spec.info.title;
  for (const scheme of Object.values(spec.components.securitySchemes)) {
    if (scheme.type !== "oauth2") continue;
    const { scopes } = Object.values(scheme.flows)[0];
    scheme.description = "This machine's user pool: any user name, such as bob; leave the rest empty.";
    scheme.flows = { password: { tokenUrl: TOKENS, scopes } };
  }
  SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    tryItOutEnabled: true,
    requestInterceptor: authorize,
    plugins: [{ wrapComponents: { responseBody: exactNumbers } }],
  });
})();
""" % {"tokens": PATH, "user": DEFAULT_USER}


def pages(file: Path) -> dict[tuple[str, str], Page]:
    """Return the pages by method and path; the OpenAPI document is read anew for every call."""

    def document() -> str:
        here = [{"url": "/", "description": "This machine"}]
        return json.dumps({**json.loads(file.read_text(encoding="utf-8")), "servers": here})

    def packaged(name: str) -> Callable[[], str]:
        return (files("flask_swagger_ui") / "dist" / name).read_text

    if not file.is_file():
        return {}
    return {
        ("GET", path): _page(media_type, body)
        for path, media_type, body in (
            ("/openapi.json", "application/json", document),
            ("/docs", "text/html", lambda: HTML),
            ("/docs/start.js", "text/javascript", lambda: START),
            ("/docs/swagger-ui-bundle.js", "text/javascript", packaged("swagger-ui-bundle.js")),
            ("/docs/swagger-ui.css", "text/css", packaged("swagger-ui.css")),
            ("/docs/index.css", "text/css", packaged("index.css")),
        )
    }


def _page(media_type: str, body: Callable[[], str]) -> Page:
    headers = {
        "Content-Type": f"{media_type}; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return lambda request: Response(body(), 200, headers)  # noqa: ARG005
