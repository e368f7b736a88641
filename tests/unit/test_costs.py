"""The documented costs are those that the prices make."""

from tests.conftest import ROOT
from tools.costs import tables


def test_the_documented_tables_are_worked_out() -> None:
    page = (ROOT / "docs/costs.md").read_text()

    assert all(table in page for table in tables())
