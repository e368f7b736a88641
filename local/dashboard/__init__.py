"""The laptop's pages to look at payments: a list at /dashboard, and a page of each payment.

They show what the API answers, and beside it what `local.seen` keeps.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from werkzeug import Response
from werkzeug.utils import redirect

from local import pages as laptop

PATH = "/dashboard"
OURS = Path(__file__).parent
PAGES = {
    PATH: OURS / "list.html",
    f"{PATH}/payment": OURS / "payment.html",
    **{f"{PATH}/{name}": OURS / name for name in ("style.css", "page.js", "list.js", "payment.js")},
}


def pages(sign_in: str, owners: Callable[[], Mapping[str, str]]) -> laptop.Pages:
    """Return the pages, with what they show of this stack.

    Args:
        sign_in: the address of the login.
        owners: returns who may own payments: names by `sub`.
    """

    def stack(_: bytes) -> Response:
        document = {"owners": owners(), "signIn": sign_in}
        return Response(json.dumps(document), mimetype="application/json")

    return {
        ("GET", "/"): lambda _: redirect(PATH),
        ("GET", "/_local/stack"): stack,
        **laptop.of_files(PAGES),
    }
