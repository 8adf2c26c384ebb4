"""The page of the files of a release names every file, column and mark that there is, and no other."""

from federated.outputs.chart import MAX_CHART_CELLS
from federated.outputs.figures import columns_of
from federated.outputs.formats import FILES, TableFile
from federated.outputs.spreadsheet import MOST_ROWS, NOT_APPLICABLE
from federated.presentation import SHORTHAND
from tests.docs.pages import page, rows
from tests.unit.federated.outputs.answers import release

PAGE = page("docs/reference/outputs.md")


def test_it_lists_the_files():
    listed = {(row[0].strip("`"), row[1].strip("`")) for row in rows(PAGE) if len(row) == 3 and "." in row[1]}
    assert listed == {
        (file.format, f"TABLE{file.suffix}" if isinstance(file, TableFile) else file.name) for file in FILES
    }


def test_it_lists_the_columns_in_order_with_their_types():
    listed = [(row[0].strip("`"), row[1]) for row in rows(PAGE) if len(row) == 3 and row[1] in {"text", "number"}]
    columns = columns_of(release().table("crossing"))
    axes = {name for axis in release().table("crossing").axes for name in (axis.name, f"{axis.name}_label")}
    own = [(column.name, "number" if column.is_number else "text") for column in columns if column.name not in axes]
    assert listed == [*own[:2], ("the breakdowns", "text"), *own[2:]]


def test_it_lists_the_marks_and_the_limits():
    marks = {row[0].strip("`") for row in rows(PAGE) if row[0].startswith("`[")}
    assert marks == {*SHORTHAND, NOT_APPLICABLE, "[note 1]"}
    assert f"up to {MAX_CHART_CELLS} figures" in PAGE
    assert f"up to {MOST_ROWS:,} rows" in PAGE
