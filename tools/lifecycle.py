"""The picture in docs/life.md: the life of a payment, drawn from its table.

The picture leaves out what only the update of a manual payment does.
"""

from collections.abc import Iterator
from pathlib import Path

from shared.payments.lifecycle import ENDS, MOVES, PAID, PENDING, STATUSES, UPDATE

PAGE = Path(__file__).parent.parent / "docs/life.md"
BEGIN, END = "<!-- made by tools/lifecycle.py -->\n", "<!-- /made -->\n"
GROUPS = {"Paid": PAID, "Ended": ENDS}
"""Statuses that are drawn in a box; a move that all of them have is one arrow of the box."""


def diagram() -> str:
    """Return the table's moves as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {PENDING}: create"]
    for name, members in GROUPS.items():
        inside = [status for status in STATUSES if status in members]
        lines += [f"    state {name} {{", *(f"        {status}" for status in inside), "    }"]
    lines += [f"    {arrow}" for arrow in dict.fromkeys(_arrows())]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page with the picture of the table between its markers."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}```mermaid\n{diagram()}```\n{END}{after}"


def _arrows() -> Iterator[str]:
    for status, moves in MOVES.items():
        for to, causes in moves.items():
            calls = [cause for cause in causes if cause != UPDATE]
            if calls:
                yield f"{_start(status, to)} --> {to}: {', '.join(calls)}"


def _start(status: str, to: str) -> str:
    """Return where the arrow begins: at the box, if all in it have the move."""
    for name, members in GROUPS.items():
        moves = {MOVES[each].get(to) for each in members}
        if status in members and len(moves) == 1:
            return name
    return status
