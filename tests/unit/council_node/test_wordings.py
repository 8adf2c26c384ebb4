"""Wording of any kind is told apart, whatever signs it holds: the lists are handed to the engine as one text each."""

import pytest

from council_node.mapping import ExtractMapping
from council_node.sources import load_extract
from tests.spec.council import RUN_KEY, case_dataset, write_csv

HEADINGS = ("household_key", "opted_out", "main_sex")


def mapping(wording: str, code: str) -> ExtractMapping:
    columns = {name: {"from": name} for name in HEADINGS}
    columns["main_sex"]["codes"] = {wording: code}
    return ExtractMapping.model_validate(
        {"mapping": 1, "dataset": "case", "file": "extract.csv", "columns": columns}, strict=False
    )


@pytest.mark.parametrize("wording", ["it's", "\x01", "a\x01b", "\x01\x02\x03", "[a, b]", "$1", "{}", "x|y", 'say "f"'])
def test_signs_in_wording_mean_nothing(tmp_path, wording):
    written = wording.replace('"', '""')
    rows = [("H1", "", f'"{written}"'), ("H2", "no", "Female"), ("H3", "", "a"), ("H4", "", "b"), ("H5", "", "[a")]
    lines = [",".join(HEADINGS), *(",".join(row) for row in rows)]
    (tmp_path / "extract.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    dataset = case_dataset()
    with load_extract(mapping(wording, "male"), dataset, ("main_sex",), directory=tmp_path, run_key=RUN_KEY) as extract:
        found = extract.connection.execute("SELECT main_sex, count(*) FROM canonical_rows GROUP BY 1").fetchall()
        assert extract.report.rows_opted_out == 0
        assert extract.report.unknown_codes == {"main_sex": 3}
    codes = dataset.column("main_sex").code_list
    assert {codes[place]: count for place, count in found} == {"male": 1, "female": 1, "not_known": 3}


def test_an_objection_is_still_heard_beside_them(tmp_path):
    write_csv(tmp_path, HEADINGS, [("H1", "Objects", "Male"), ("H2", "No", "Male")])
    with load_extract(
        mapping("\x01", "male"), case_dataset(), ("main_sex",), directory=tmp_path, run_key=RUN_KEY
    ) as extract:
        assert extract.report.rows_opted_out == 1
