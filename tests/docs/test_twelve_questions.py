"""The twelve questions: one identity in three languages, each one that can be planned, and none left out."""

import pytest

from federated.query import load_query
from federated.query.check import check_query
from federated.schema import load_schema
from federated.statistics import STATISTICS
from tests.docs.twelve_questions import FOLDER, questions

SCHEMA = load_schema()
QUESTIONS = questions()


def test_there_are_twelve():
    assert list(QUESTIONS) == [f"q{number:02d}" for number in range(1, 13)]
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.yaml)" in page and f"({name}.sql)" in page for name in QUESTIONS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_python_yaml_and_sql_have_one_identity(name):
    asked = {QUESTIONS[name], load_query(FOLDER / f"{name}.yaml"), load_query(FOLDER / f"{name}.sql")}
    assert len({question.digest(SCHEMA.digest) for question in asked}) == 1


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_can_be_asked(name):
    dataset = check_query(QUESTIONS[name], SCHEMA)
    assert {table.statistic for table in QUESTIONS[name].tables} <= set(STATISTICS)
    assert QUESTIONS[name].columns() <= set(dataset.columns)
