"""Each statistic against its specification: by the node, by the reference, as an answer, and as its manual page."""

import numpy as np
import pytest

from federated.query.check import check_query
from federated.schema import load_schema
from federated.statistics import STATISTICS, statistic
from federated.statistics.without_noise import NEXT_TO_NONE
from tests.spec.council import REGIONS, node_vectors
from tests.spec.reference_evaluator import reference_vector
from tests.spec.render import ROOT, SPECIFICATIONS, render
from tests.spec.specification import Specification

each = pytest.mark.parametrize("specification", SPECIFICATIONS, ids=lambda item: item.code)


def test_every_statistic_has_a_specification():
    assert {specification.code for specification in SPECIFICATIONS} == set(STATISTICS)


@each
def test_question_is_one_that_can_be_asked(specification: Specification):
    assert check_query(specification.asked, load_schema()).name == specification.asked.dataset
    assert {row["household"] for row in specification.rows} == {name for name, _ in specification.reasons}


@each
def test_node_and_reference_give_the_worked_figures(specification: Specification, tmp_path):
    expected = specification.vector(specification.exact)
    found = node_vectors(
        tmp_path,
        specification.rows,
        specification.asked,
        mechanism=specification.mechanism,
        coefficients=specification.coefficients,
    )
    assert found == [expected]
    table, layout = specification.asked.tables[0], specification.layout
    found = reference_vector(
        specification.rows,
        specification.asked,
        table,
        layout,
        load_schema().dataset(specification.asked.dataset),
        region=REGIONS[0][0],
        draw=lambda household, identity: hash((household, identity)),
        mechanism=specification.mechanism,
        coefficients=specification.coefficients,
    )
    assert found == expected


@each
def test_worked_answer_is_what_is_written_down(specification: Specification):
    found = [(cell.codes, cell.estimate, cell.low, cell.high) for cell in specification.answer()]
    written = [
        (codes, *(pytest.approx(figure, abs=1e-4, nan_ok=True) for figure in figures))
        for codes, *figures in specification.answers
    ]
    assert found == written


@each
def test_exact_numbers_can_be_decoded_with_next_to_no_noise(specification: Specification):
    # The council's own page does so; a figure that divides by the noise would fail there.
    table, layout = specification.asked.tables[0], specification.layout
    totals = np.array(specification.vector(specification.totals), dtype=float)
    found = statistic(specification.code).decode(table, layout, totals, NEXT_TO_NONE)
    assert len(found) == layout.printed_cells
    assert any(np.isfinite(cell.estimate) for cell in found)


@each
def test_manual_page_is_current(specification: Specification):
    place = f"docs/statistics/{specification.code}.md"
    assert (ROOT / place).read_text(encoding="utf-8") == render(specification), "run: python -m tests.spec.render"
