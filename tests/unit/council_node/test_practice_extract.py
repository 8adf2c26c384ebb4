"""Practice records: what a council without an extract rehearses with, its own mapping beside it."""

import os
from datetime import date

from council_node.mapping import load_mapping
from council_node.practice_extract import write_practice_extract
from council_node.sources.layout import check_coverage
from federated.query import Period
from federated.schema import load_schema
from tests.docs.twelve_questions import questions

PERIOD = Period(column="relief_start", start=date(2025, 1, 1), end=date(2025, 3, 31))


def test_every_question_of_the_twelve_about_cases_can_be_rehearsed(tmp_path):
    schema = load_schema()
    mapping = load_mapping(write_practice_extract(tmp_path, "E06000001", PERIOD, os.urandom), schema)
    about_cases = [question for question in questions().values() if question.dataset == "case"]
    assert len(about_cases) == 8
    for question in about_cases:
        check_coverage(mapping, schema.dataset("case"), question.columns(), directory=tmp_path)
