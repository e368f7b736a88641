"""The documented costs are those that the prices make."""

from tests.conftest import ROOT
from tools.costs import table


def test_the_documented_table_is_worked_out() -> None:
    assert table() in (ROOT / "docs/costs.md").read_text()
