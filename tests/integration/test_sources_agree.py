"""The same cases, however a council keeps them, give the same figures to the bit: CSV, XLSX, XLS, ODS, XML, PostgreSQL.

The cases are untidy ones of the synthetic world. The PostgreSQL server is a real one, which `make setup-system` installs.
"""

import csv
from datetime import date
from xml.sax.saxutils import escape

import numpy as np
import pytest
import yaml
from psycopg import sql

from council_node.local_statistic import compute_local_statistic
from council_node.mapping import load_mapping
from council_node.sources import check_coverage, load_extract
from council_node.sources.xml_head import SYNTHETIC_NAMESPACE, synthetic_paths
from federated.query import DatePart, Dimension, Level, Period, Table, measured
from federated.schema import load_schema
from federated.synthetic import Mess, style_of, synthesise, write_extract
from federated.synthetic.styles import mapping_document
from tests.integration.housing_database import as_owner, running_server, secret_file
from tests.spec.council import REGIONS, RUN_KEY, Planned, case_dataset, layout_of, question
from tests.unit.council_node.workbooks import save_ods, save_xls, save_xlsx

COUNCILS = ("E06000001", "E06000002", "E06000003", "E06000004")
MONTH = Dimension(column="assessment_date", part=DatePart.MONTH)
WEEK_OF = Dimension(column="application_date", part=DatePart.QUARTER)
OUTCOME, REASON, AGE, KIND = (
    Dimension(column=name) for name in ("assessment_outcome", "reason_loss_group", "main_age_band", "household_type")
)
CHILDREN = "dependent_children_n"
TABLES = (
    Table(name="outcomes", statistic="households", by=(OUTCOME, MONTH)),
    Table(name="reasons", statistic="households", by=(AGE, REASON), level=Level.REGION, max_cells=3),
    Table(name="rows", statistic="rows", by=(KIND,), max_cells=2),
    Table(name="children", statistic="sum", by=(MONTH,), measures=(measured(CHILDREN, 0, 3),)),
    Table(name="average", statistic="mean", measures=(measured(CHILDREN, 1, 4),), by=(WEEK_OF,)),
)
FEBRUARY = Period(column="assessment_date", start=date(2025, 2, 1), end=date(2025, 2, 28))
QUESTIONS = {
    "quarter": question(*TABLES),
    "month": question(*TABLES, period=FEBRUARY),
    "applied": question(TABLES[2], TABLES[3], period=Period(column="application_date", start=date(2025, 1, 1), end=date(2025, 3, 31))),
}  # fmt: skip
PATHS = {"case_key": "main", "household_key": "main", "main_age_band": "people", "main_sex": "people"}
DATES = ("application_date", "assessment_date")


def vectors(folder, document, name):
    """What a council's node counts for each question, from an extract of any kind."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    mapping = load_mapping(path, load_schema())
    found = {}
    for title, asked in QUESTIONS.items():
        check_coverage(mapping, case_dataset(), asked.columns(), directory=folder)
        planned = [Planned(table, layout_of(table, asked)) for table in asked.tables]
        with load_extract(
            mapping, case_dataset(), asked.columns(), directory=folder, run_key=RUN_KEY, period=asked.period
        ) as extract:
            found[title] = compute_local_statistic(extract, asked, planned, region=REGIONS[0][0]).vector
            assert extract.report.rows_unreadable == 0
    return found


class Council:
    """A council's untidy cases: their texts as its case system writes them."""

    def __init__(self, folder, code):
        self.folder, self.style = folder, style_of(code)
        write_extract(synthesise(code, 1), folder / "cases.csv", seed=1, style=self.style, mess=MESS)
        with (folder / "cases.csv").open(encoding="utf-8", newline="") as file:
            self.headings, *self.rows = csv.reader(file)
        self.document = mapping_document(self.style, file="cases.csv")
        self.column_of = {heading: name for name, heading in self.style.headings.items()}
        self.expected = vectors(folder, self.document, "csv")

    def mapping(self, **place):
        return {**{name: value for name, value in self.document.items() if name != "file"}, **place}

    def cells(self, *, typed):
        """The rows, with dates and numbers as such where they are."""
        kinds = [self.column_of.get(heading) for heading in self.headings]
        return [
            [self._typed(name, text) if typed else text for name, text in zip(kinds, row, strict=True)]
            for row in self.rows
        ]

    def day(self, text):
        parts = text.split("/")[::-1] if self.style.dates == "day_first" else text.split("-")
        try:
            return date(*map(int, parts))
        except (ValueError, TypeError):
            return None

    def _typed(self, name, text):
        if name in DATES:
            return self.day(text) or text
        return int(text) if name == CHILDREN and text else text


MESS = Mess(blank=0.03, outside_list=0.03, unreadable_date=0.03, duplicated=0.05, opted_out=0.05, respelled=0.3)


@pytest.fixture(scope="module", params=COUNCILS[:2])
def council(request, tmp_path_factory):
    made = Council(tmp_path_factory.mktemp(request.param), request.param)
    assert all(vector.any() for vector in made.expected.values())
    return made


def same(council, document, name):
    found = vectors(council.folder, document, name)
    for title, expected in council.expected.items():
        assert found[title].dtype == expected.dtype
        assert np.array_equal(found[title], expected), title


TITLES = [["Homelessness cases"], [], ["Printed", date(2025, 4, 2)], []]


def test_a_workbook_with_titles_and_real_dates(council):
    rows = [*TITLES, council.headings, *council.cells(typed=True)]
    save_xlsx(council.folder / "cases.xlsx", {"Notes": [["Notes"], ["Sex", "as told"]], "Cases": rows})
    same(council, council.mapping(file="cases.xlsx"), "xlsx")


def test_a_workbook_of_texts(council):
    save_xlsx(council.folder / "texts.xlsx", {"Cases": [*TITLES, council.headings, *council.cells(typed=False)]})
    same(council, council.mapping(file="texts.xlsx"), "texts")


def test_a_workbook_that_counts_from_1904(council):
    rows = [council.headings, *council.cells(typed=True)]
    save_xlsx(council.folder / "mac.xlsx", {"Cases": rows}, from_1904=True)
    same(council, council.mapping(file="mac.xlsx"), "mac")


def test_an_old_workbook(council):
    save_xls(council.folder / "cases.xls", {"Cases": [*TITLES, council.headings, *council.cells(typed=True)]})
    same(council, council.mapping(file="cases.xls"), "xls")


def test_an_open_document(council):
    save_ods(council.folder / "cases.ods", {"Cases": [*TITLES, council.headings, *council.cells(typed=True)]})
    same(council, council.mapping(file="cases.ods"), "ods")


def test_xml_in_the_synthetic_form_of_the_return(council):
    at = {path.rsplit("/", 1)[1].lower(): path for path in synthetic_paths(None)}
    path_of = {name: at[name.replace("_", "")] for name in council.style.headings}
    places = {name: council.headings.index(heading) for name, heading in council.style.headings.items()}
    with (council.folder / "cases.xml").open("w", encoding="utf-8") as file:
        file.write(f'<homelessness_return xmlns="{SYNTHETIC_NAMESPACE}">')
        for row in council.rows:
            file.write("<case>")
            for section in dict.fromkeys(path.split("/")[0] for path in path_of.values()):
                file.write(f"<{section}>")
                for name, path in path_of.items():
                    if path.startswith(f"{section}/"):
                        text = row[places[name]]
                        day = council.day(text) if name in DATES else None
                        leaf = path.split("/")[1]
                        file.write(f"<{leaf}>{escape(text if day is None else day.isoformat())}</{leaf}>")
                file.write(f"</{section}>")
            file.write("</case>")
        file.write("</homelessness_return>")
    document = council.mapping(file="cases.xml")
    document["columns"] = {n: {**c, "from": path_of[n]} for n, c in document["columns"].items()}
    same(council, document, "xml")


@pytest.fixture(scope="module")
def server():
    with running_server() as folder:
        yield folder


@pytest.fixture
def owner(server):
    with as_owner(server) as connection:
        yield connection


def make_table(owner, council, name, *, typed):
    """The cases as a table of the council's own headings, all texts or with real types."""
    kinds = dict.fromkeys(council.headings, "text")
    if typed:
        kinds |= {council.style.headings[column]: "date" for column in DATES}
        kinds[council.style.headings[CHILDREN]] = "numeric(6,2)"
    columns = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(h), sql.SQL(k)) for h, k in kinds.items())
    table = sql.Identifier("housing", name)
    owner.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(table))
    owner.execute(sql.SQL("CREATE TABLE {} ({})").format(table, columns))
    with owner.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN").format(table)) as copy:
        for row in council.cells(typed=typed):
            # A date column cannot hold what is no date, nor a number column a blank.
            copy.write_row(
                [
                    None if typed and k != "text" and isinstance(c, str) else c
                    for k, c in zip(kinds.values(), row, strict=True)
                ]
            )
    owner.execute(sql.SQL("GRANT SELECT ON {} TO reader").format(table))


@pytest.mark.parametrize("typed", [True, False])
def test_a_table_of_a_database(council, server, owner, typed):
    make_table(owner, council, "cases", typed=typed)
    document = council.mapping(database=secret_file(council.folder, server), table="housing.cases")
    same(council, document, "table")


def test_a_view_of_a_database(council, server, owner):
    make_table(owner, council, "cases", typed=True)
    owner.execute("CREATE VIEW housing.to_share AS SELECT * FROM housing.cases")
    owner.execute("GRANT SELECT ON housing.to_share TO reader")
    same(council, council.mapping(database=secret_file(council.folder, server), table="housing.to_share"), "view")
