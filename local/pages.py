"""Pages that only the laptop has: files of this machine, and nothing from anywhere else."""

from collections.abc import Callable, Mapping
from mimetypes import guess_type
from pathlib import Path

from werkzeug import Request, Response

from local.loopback import HOST

Page = Callable[[bytes], Response]  # from the request's form: its body, or else its query
Pages = dict[tuple[str, str], Page]
"""By method and path."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def is_own(request: Request) -> bool:
    """Tell whether no page of another web site asks.

    Such a site may have a name that leads to this machine: then its pages could read the answers.
    """
    name, origin = request.host.partition(":")[0], request.headers.get("Origin")
    return name in (HOST, "localhost") and origin in (None, request.host_url.rstrip("/"))


def of_files(files: Mapping[str, Path], policy: str = POLICY) -> Pages:
    """Return a page of each file by its path; a file is read anew for every call."""
    return {
        ("GET", path): of_text(file.name, file.read_text, policy) for path, file in files.items()
    }


def of_text(name: str, text: Callable[[], str], policy: str = POLICY) -> Page:
    """Return a page of a text, whose type is told by a file's name."""
    headers = {
        "Content-Type": f"{guess_type(name)[0]}; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return lambda sent: Response(text(), 200, headers)  # noqa: ARG005
