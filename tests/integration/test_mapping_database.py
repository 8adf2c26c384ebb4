"""`council-node map` on a table of a real database: proposed as from any file, without asking for a name."""

from datetime import date, timedelta

import pytest

from tests.integration.housing_database import PASSWORD, as_owner, running_server, secret_file, statements
from tests.unit.council_node.mapping_shop import map_extract


@pytest.fixture(scope="module")
def server():
    with running_server() as folder:
        yield folder


def test_a_table_is_mapped_and_its_names_are_not_read(tmp_path, server):
    with as_owner(server) as owner:
        owner.execute(
            'CREATE TABLE housing.applications ("case_ref" text, "household_ref" text, "assessment_date" date, '
            '"household_type" text, "sex" text, "dependent_children" numeric, "opt_out" boolean, "surname" text)'
        )
        rows = [
            (
                f"C{n}",
                f"H{n % 40}",
                date(2025, 1, 1) + timedelta(days=n),
                "Single man",
                "M",
                n % 4,
                False,
                "CANARY-NAME",
            )
            for n in range(60)
        ]
        with owner.cursor() as cursor:
            cursor.executemany("INSERT INTO housing.applications VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", rows)
        owner.execute("GRANT SELECT ON housing.applications TO reader")
    before = len(statements(server))
    made = map_extract(tmp_path / secret_file(tmp_path, server), "--table", "housing.applications")
    assert made.headings() == {
        "case_key": "case_ref", "household_key": "household_ref", "assessment_date": "assessment_date",
        "household_type": "household_type", "main_sex": "sex", "dependent_children_n": "dependent_children", "opted_out": "opt_out",
    }  # fmt: skip
    assert made.code("household_type", "Single man") == "single_adult_male"
    assert {item["heading"]: item["kind"] for item in made.report["never_read"]} == {"surname": "a name"}
    read = [line for line in statements(server)[before:].replace("\n\t", " ").splitlines() if "DECLARE" in line]
    assert any("household_type" in line for line in read)
    assert not any("surname" in line for line in read)
    written = made.path.read_text(encoding="utf-8")
    assert PASSWORD not in written + made.said
    assert "CANARY" not in written + made.said
