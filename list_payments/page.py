"""Which page of a list is asked for, and the cursor that leads to the next one."""

import base64
import re
from dataclasses import dataclass

from shared.api.request import Request, refuse, valid
from shared.payments.ids import fingerprint
from shared.payments.lifecycle import STATUSES

DEFAULT_LIMIT = 20
LONGEST_OWNER = 128
"""Characters; a `sub` has 36, an app client's id at most 128."""

_LIMITS = frozenset(map(str, range(1, 101)))
_PLACE = re.compile(r"[0-9-]{10}T[0-9:.]{12}Z#pay_[a-z2-7]{32}")
_STATUS_RULE = f"must be one of {', '.join(STATUSES)}"


@dataclass(frozen=True)
class PageRequest:
    """A page of an owner's payments.

    Attributes:
        status: which alone are asked for; None: all.
        limit: how many at most, 1 to 100.
        after: the place in the list that the page follows; None: the first page.
    """

    owner: str
    status: str | None
    limit: int
    after: str | None

    @classmethod
    def of(cls, request: Request) -> "PageRequest":
        """Return what the query asks for.

        Raises:
            InvalidRequest: a parameter is not right, or the cursor is of another list.
        """
        owner = request.query("owner")
        if owner is not None and not request.caller.is_back_office:
            refuse("owner", "is for tokens with the scope payments/manage alone")
        if owner is not None and len(owner) > LONGEST_OWNER:
            refuse("owner", f"must have at most {LONGEST_OWNER} characters")
        owner = owner or request.caller.sub
        status = request.query("status")
        if status is not None:
            valid("status", status, STATUSES.__contains__, _STATUS_RULE)
        limit = request.query("limit") or str(DEFAULT_LIMIT)
        valid("limit", limit, _LIMITS.__contains__, "must be a whole number from 1 to 100")
        page = cls(owner, status, int(limit), None)
        cursor = request.query("cursor")
        return page if cursor is None else page._following(cursor)

    def cursor(self, place: str | None) -> str | None:
        """Return the cursor of the page that follows a place in the list; None at its end."""
        if place is None:
            return None
        return base64.urlsafe_b64encode(f"{place} {self._seal(place)}".encode()).decode()

    def _following(self, cursor: str) -> "PageRequest":
        try:
            place, _, seal = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        except ValueError:
            place = seal = ""
        if not _PLACE.fullmatch(place) or seal != self._seal(place):
            refuse("cursor", "must be the nextCursor of the same list: same owner, same status")
        return PageRequest(self.owner, self.status, self.limit, place)

    def _seal(self, place: str) -> str:
        """Tell a cursor of this list from one of another. It opens nothing: no secret is needed.

        Anybody can make one of their own list: a place is what a place can be, or refused.
        """
        return fingerprint("cursor", self.owner, self.status, place)[:16]
