"""The laptop's stack, and pages in chromium that want every request to succeed, on this machine."""

# Playwright is not in the environment that mypy sees.
# mypy: ignore-errors

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv/bin/python"
LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost)[:/]|data:")


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Run `make run`; give its `url`, and `call`, which answers the JSON of a call of the API."""
    folder = tmp_path_factory.mktemp("laptop")
    command = [PYTHON, "-m", "local", "serve", "--port", "0", "--folder", folder / "data"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        url = re.search(r"http://\S+", server.stdout.readline())[0]

        def call(method: str, path: str, body: object = None, **token: str) -> dict:
            form = urllib.parse.urlencode(token).encode()
            with urllib.request.urlopen(f"{url}/_local/token", form) as answer:
                bearer = f"Bearer {json.load(answer)['access_token']}"
            headers = {"Authorization": bearer, "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(url + path, data, headers, method=method)
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)

        yield SimpleNamespace(url=url, call=call)
        server.terminate()


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or pytest.skip("no chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def wrong() -> list[str]:
    """Collect what must not be: messages in the console, and requests that fail or leave here."""
    return []


@pytest.fixture
def open_page(
    browser: object, laptop: SimpleNamespace, wrong: list[str]
) -> Iterator[Callable[..., Page]]:
    """Give what opens a page, with Playwright's options of a browser's context."""
    contexts = []

    def open_page(**options: object) -> Page:
        context = browser.new_context(base_url=laptop.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: wrong.append(f"{message.text} {message.location}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(f"{request.url} {request.failure}"))
        page.on("request", lambda request: LOOPBACK.match(request.url) or wrong.append(request.url))
        return page

    yield open_page
    for context in contexts:
        context.close()
    # A request is aborted when its page is left.
    assert [each for each in wrong if "ERR_ABORTED" not in each] == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()
