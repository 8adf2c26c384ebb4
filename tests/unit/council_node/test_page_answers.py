"""An answer on the council's page: what must be said of a table stands above it."""

import numpy as np

from council_node.page import answers
from federated.crossings import caveat_of
from federated.query import Dimension, Table
from tests.unit.council_node.test_page_site import get
from tests.unit.federated import planning as given
from tests.unit.federated.released import councils_of, plan_for, release_of


def answered(*columns):
    table = Table(name="who", statistic="households", by=tuple(Dimension(column=column) for column in columns))
    plan = plan_for(given.question(table), councils_of("E12000001", "E12000002", most=14))
    return release_of(plan, np.full(plan.cells, 15 * plan.scale))


def page_of(release, monkeypatch):
    status, body = get(lambda desk, asked: answers._answer(desk, asked, release, None), monkeypatch)
    assert status == 200
    return " ".join(body.split())


def test_a_crossing_carries_its_caveat_and_hides_counts_under_twenty(monkeypatch):
    body = page_of(answered("main_sex", "main_age_band"), monkeypatch)
    assert caveat_of(("age", "sex")) in body
    assert 'numeric">[c]<' in body
    plain = page_of(answered("main_sex"), monkeypatch)
    assert "Caution" not in plain
    assert 'numeric">[c]<' not in plain
