"""The spreadsheet opened by a real LibreOffice, as the people who get it open it."""

import csv
import shutil
import subprocess

import pytest

from federated.outputs.spreadsheet import release_ods, sheets_of
from federated.presentation import NOT_AVAILABLE
from tests.unit.federated.outputs.answers import LABEL, manifest, release

DIGITS = 12
"""LibreOffice writes 15 digits into a text file."""
ALL_SHEETS = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"
"""UTF-8, commas, the values rather than what is shown, one file for each sheet."""
TIMEOUT_S = 180


def opened(content, folder):
    """What LibreOffice reads on each sheet, in a profile of its own that is gone afterwards."""
    (folder / "release.ods").write_bytes(content)
    program = shutil.which("soffice")
    assert program, "LibreOffice is not there: run `make setup-system`"
    done = subprocess.run(
        [
            program,
            f"-env:UserInstallation=file://{folder}/profile",
            "--headless",
            "--convert-to",
            ALL_SHEETS,
            "--outdir",
            str(folder),
            str(folder / "release.ods"),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    found = {}
    for path in folder.glob("release-*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            found[path.stem.removeprefix("release-")] = list(csv.reader(file))
    assert found, done.stdout + done.stderr
    return found


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    return opened(release_ods(release(), manifest()), tmp_path_factory.mktemp("office"))


def test_it_finds_every_sheet(read):
    assert set(read) == {sheet.name for sheet in sheets_of(release())}
    for sheet in sheets_of(release(), manifest()):
        assert read[sheet.name][0][0] == sheet.title
        assert [row[0] for row in read[sheet.name][1 : len(sheet.lines) + 1]] == [line.text for line in sheet.lines]


@pytest.mark.parametrize(("number", "name"), enumerate((table.name for table in release().tables), start=1))
def test_it_reads_the_figures_of_every_table(read, number, name):
    table, rows = release().table(name), read[f"Table_{number}"]
    start = next(place for place, row in enumerate(rows) if "Estimate, not rounded" in row)
    heads, body = rows[start], rows[start + 1 :]
    assert len(body) == len(table.cells)
    for row, cell in zip(body, table.cells, strict=True):
        named = dict(zip(heads, row, strict=True))
        assert tuple(named[f"{axis.name}, code"] for axis in table.axes) == cell.codes
        for head, value in (
            ("Estimate, not rounded", cell.estimate),
            ("Standard error", cell.standard_error),
            ("Interval, lower end", cell.low),
            ("Interval, upper end", cell.high),
        ):
            if value is None:
                assert named[head] == NOT_AVAILABLE
            else:
                assert float(named[head]) == pytest.approx(value, rel=10**-DIGITS)


def test_it_takes_no_text_for_a_formula(read):
    """A formula would give its result, or an error, in place of its text."""
    assert any(LABEL in row for row in read["Table_1"])


def test_a_figure_that_is_not_the_release_s_is_seen(tmp_path):
    table = release().table("everyone")
    cell = table.cells[0].model_copy(update={"estimate": (table.cells[0].estimate or 0) + 1})
    others = (*release().tables[:-1], table.model_copy(update={"cells": (cell,)}))
    number = len(others)
    rows = opened(release_ods(release().model_copy(update={"tables": others})), tmp_path)[f"Table_{number}"]
    assert float(rows[-1][1]) == pytest.approx(cell.estimate)
    with pytest.raises(AssertionError):
        test_it_reads_the_figures_of_every_table({f"Table_{number}": rows}, number, "everyone")
