"""A release with everything that a file of it must cope with, and the manifest it was asked with."""

from dataclasses import replace
from functools import cache

import numpy as np

from federated.demo.papers import manifest_payload
from federated.manifest import parse_manifest
from federated.query import Dimension, Level, Measured, Table, Value
from federated.release import CouncilRecord
from protocols.identifiers import Digest
from tests.unit.federated import planning as given
from tests.unit.federated.released import councils_of, noise_of, plan_for, release_of

REASONS = Table(name="reasons", statistic="households", by=(Dimension(column="reason_loss"),))
CHILDREN = Table(
    name="children",
    statistic="mean",
    measures=(Measured(measure=Value(column="dependent_children_n"), low=0, high=6),),
    by=(Dimension(column="assessment_outcome"),),
)
CROSSING = Table(
    name="crossing", statistic="households", by=(Dimension(column="main_sex"), Dimension(column="main_age_band"))
)
REGIONS = Table(
    name="regions", statistic="rows", by=(Dimension(column="assessment_outcome"),), level=Level.REGION, max_cells=1
)
TOTAL = Table(name="everyone", statistic="households")
QUESTION = given.question(REASONS, CHILDREN, CROSSING, REGIONS, TOTAL)
MANIFEST = manifest_payload("outputs", QUESTION, today=given.TODAY)
LABEL = '=HYPERLINK("https://evil.example";"<b>here</b>")'
"""A label that a spreadsheet would take for a formula if it were written as one."""
TELLING = 1_234_567.8901234567
"""A figure that would lose digits if it were cut to six of them."""


@cache
def manifest():
    return parse_manifest(MANIFEST)


@cache
def release():
    """Figures of all kinds: usable, wide, small, negative, none, and one of many digits; and a council that is missing."""
    councils = councils_of("E12000001", "E12000002", most=14)
    plan = plan_for(QUESTION, councils)
    plan = replace(plan, terms=replace(plan.terms, manifest_digest=Digest(manifest().digest)))
    made = release_of(plan, noise_of(plan, np.random.default_rng(5))[0] + 100 * plan.scale)
    lost = CouncilRecord(council="E09000001", name="City of London", outcome="refused", reason="Policy: too small.")
    kept = tuple(record.model_copy(update={"extract_date": "2025-04-02"}) for record in made.councils)
    reasons = made.table("reasons")
    cells = list(reasons.cells)
    for place, changes in enumerate(
        (
            {"estimate": TELLING, "low": TELLING - 4, "high": TELLING + 4},
            {"estimate": 50.0, "low": 30.0, "high": 70.0},
            {"estimate": 4.0, "low": 1.0, "high": 7.0},
            {"estimate": -3.5, "low": -6.5, "high": -0.5},
            {"estimate": None, "standard_error": None, "low": 0.0, "high": 1e9, "coverage": 1.0},
        )
    ):
        cells[place] = cells[place].model_copy(update=changes)
    (axis,) = reasons.axes
    named = axis.model_copy(update={"labels": (LABEL, *axis.labels[1:])})
    reasons = reasons.model_copy(update={"cells": tuple(cells), "axes": (named,)})
    return made.model_copy(
        update={
            "councils": (*kept, lost),
            "data_cut_off": "2025-04-02",
            "tables": (reasons, *made.tables[1:]),
        }
    )
