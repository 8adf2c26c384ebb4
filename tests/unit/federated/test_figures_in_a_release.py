"""Statistics whose printed figures are not their cells, from the plan to the tables of a release."""

from dataclasses import replace
from math import isfinite

import numpy as np
import pytest

from federated.plan import derive_plan
from federated.presentation import presented
from federated.privacy import Mechanism
from federated.release import make_tables
from federated.statistics import statistic
from tests.spec.statistics import specifications
from tests.unit.federated.planning import SCHEMA, agreement, question, roster, terms

SPECIFICATIONS = {item.code: item for item in specifications()}


@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("code", ["survival", "pathway", "co_occurrence"])
@pytest.mark.parametrize("most", [0, 3000])
def test_every_printed_figure_is_in_the_release(code, mechanism, most):
    table = replace(SPECIFICATIONS[code].universes[0].table, name="t")
    plan = derive_plan(
        question(table), agreement=agreement(), roster=roster(), schema=SCHEMA, mechanism=mechanism, terms=terms()
    )
    (planned,) = plan.tables
    assert plan.noise.blocks[0].parameter > 0
    exact = np.random.default_rng(1).integers(0, most + 1, plan.cells)
    (record,) = make_tables(plan, exact * plan.scale, joined=12, contributors=12)
    assert len(record.cells) == planned.layout.printed_cells
    assert [axis.codes for axis in record.axes] == [axis.codes for axis in planned.layout.printed]
    for cell in record.cells:
        assert all(code in axis.codes for code, axis in zip(cell.codes, record.axes, strict=True))
        assert isfinite(cell.low)
        assert cell.low <= cell.high < float("inf")
        assert cell.estimate is None or cell.low <= cell.estimate <= cell.high
        assert presented(record, cell, national=True)
    # The large table is spread evenly: its median is not reached by the last edge.
    missing = {cell.codes[-1] for cell in record.cells if cell.estimate is None} - {"median"}
    assert bool(missing) == (most == 0 and code != "co_occurrence")
    assert statistic(code).title == record.title
