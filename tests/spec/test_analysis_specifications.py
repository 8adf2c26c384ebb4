"""Each analysis against its page: the worked figures are those of the analysis, and every command on it can be typed."""

import pytest

from federated.analysis import DerivedTable
from tests.docs.pages import ROOT, fenced, page
from tests.docs.test_examples import check_command
from tests.spec.analyses import PAGES, AnalysisPage, cells_table, pages, render

each = pytest.mark.parametrize("specified", PAGES, ids=lambda item: item.name)


@each
def test_manual_page_is_current(specified: AnalysisPage):
    place = f"docs/analyses/{specified.name}.md"
    assert (ROOT / place).read_text(encoding="utf-8") == render(specified), "run: python -m tests.docs.generate"
    assert pages()[place] == render(specified)


@each
def test_every_command_on_a_page_can_be_typed(specified: AnalysisPage):
    lines = [line for text in fenced(render(specified), "sh") for line in text.splitlines()]
    assert lines
    for line in lines:
        check_command(line)


@each
def test_every_worked_table_says_its_uncertainty_and_who_is_in_it(specified: AnalysisPage):
    for example in specified.examples:
        made = example.made()
        assert isinstance(made, DerivedTable)
        assert all(cell.low <= cell.high and 0.95 <= cell.coverage <= 1 for cell in made.cells)
        assert any("councils are in the figures" in note for note in made.notes)
        assert cells_table(made).count("\n") == len(made.cells) + 1


def test_every_page_is_in_the_index_of_analyses():
    index = page("docs/analyses/README.md")
    assert [item.name for item in PAGES if f"({item.name}.md)" not in index] == []
