"""The picture in docs/life.md is the table's."""

import re

from shared.payments.lifecycle import MOVES, STATUSES
from tests.conftest import ROOT
from tools.lifecycle import PAGE, diagram, page


def test_the_page_shows_the_table_of_today() -> None:
    assert page() == PAGE.read_text(), "make it anew: make openapi"
    assert (ROOT / "docs/life.md").samefile(PAGE)


def test_the_picture_has_every_move_that_is_not_by_an_update_alone() -> None:
    arrows = {tuple(line.split(" --> ")) for line in diagram().splitlines() if " --> " in line}
    boxes = {"FAILED": "Ended", "CANCELED": "Ended", "EXPIRED": "Ended"}
    boxes |= {"CAPTURED": "Paid", "PARTIALLY_REFUNDED": "Paid", "REFUNDED": "Paid"}

    for status in STATUSES:
        for to, causes in MOVES[status].items():
            calls = [cause for cause in causes if cause != "update"]
            drawn = {
                (start.strip(), f"{to}: {', '.join(calls)}")
                for start in (status, boxes.get(status, ""))
            }
            found = drawn & {(start.strip(), end) for start, end in arrows}
            assert bool(found) == bool(calls), (status, to)


def test_the_readme_s_picture_is_of_moves_that_there_are() -> None:
    arrows = re.findall(r"^    (\w+) --> (\w+): (\w+)$", (ROOT / "README.md").read_text(), re.M)

    assert len(arrows) > 5
    assert all(cause in MOVES[before][after] for before, after, cause in arrows)
