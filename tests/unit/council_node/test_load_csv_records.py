"""Where records of a CSV file begin and end: by one rule whatever the size, and no line changes how another is read."""

import random

import duckdb
import pytest

from council_node.mapping import CsvEncoding
from council_node.sources import csv_records, load_extract
from council_node.sources.csv_records import CsvRecords
from tests.spec.council import RUN_KEY, case_dataset, mapping_for, pseudonym_of

HEAD = b"household_key,main_sex,assessment_date\n"
GOOD = b"H1,female,2025-01-15\n"
COLUMNS = ("main_sex", "assessment_date")
SIGNS = (b"a", b"b", b'"', b'""', b",", b"\n", b"\r\n", b"\r", b" ", b"xy", b'"q"', b'"m\nn"', b"\xe9", "é".encode())


def read(folder, raw, encoding=CsvEncoding.AUTO):
    path = folder / "extract.csv"
    path.write_bytes(raw)
    records = CsvRecords(path, ",", encoding)
    return list(records.pieces()), records


def database_rows(folder, raw):
    path = folder / "database.csv"
    path.write_bytes(raw)
    with duckdb.connect(config={"threads": 1}) as connection:
        return connection.execute(
            "SELECT * FROM read_csv(?, columns = {a: 'VARCHAR', b: 'VARCHAR', c: 'VARCHAR'}, auto_detect = false, "
            "header = true, quote = '\"', escape = '\"', null_padding = true, strict_mode = false, delim = ',', "
            "ignore_errors = true, parallel = false)",
            [str(path)],
        ).fetchall()


def garbage(seed):
    draw = random.Random(seed)
    return b"a,b,c\n" + b"".join(draw.choice(SIGNS) for _ in range(draw.randrange(5, 60)))


SEEDS = [*range(50), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(50, 400))]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_size_of_a_block_changes_nothing(tmp_path, monkeypatch, seed):
    whole = b"".join(read(tmp_path, garbage(seed))[0])
    monkeypatch.setattr(csv_records, "MAX_LINE_BYTES", 200)
    for block in (1, 7, 64):
        monkeypatch.setattr(csv_records, "BLOCK_BYTES", block)
        assert b"".join(read(tmp_path, garbage(seed))[0]) == whole


@pytest.mark.drawn(10)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_database_reads_each_record_alone_as_it_reads_it_among_the_others(tmp_path, seed):
    [*pieces], records = read(tmp_path, garbage(seed))
    whole = b"".join(pieces)
    heading, *rows = (found.group() for found in records._record.finditer(whole))
    assert heading + b"".join(rows) == whole
    alone = [found for row in rows for found in database_rows(tmp_path, heading + row)]
    assert alone == database_rows(tmp_path, whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_given_to_the_database_as_it_is_would_be_read_the_same_in_pieces(tmp_path, seed):
    pieces, records = read(tmp_path, garbage(seed))
    if records.is_plain():
        assert database_rows(tmp_path, garbage(seed)) == database_rows(tmp_path, b"".join(pieces))


def test_left_to_the_database_a_quotation_mark_swallows_what_follows_it(tmp_path):
    # What the rule above is for: were this no longer so, the rule could go.
    raw = b'a,b,c\n"open,1,2\n' + b"x,y,z\n" * 5
    assert len(database_rows(tmp_path, raw)) == 1
    assert len(database_rows(tmp_path, b"".join(read(tmp_path, raw)[0]))) == 6


@pytest.mark.parametrize("line", [b'"open,1,2', b'op"en,1,2', b'"op"en,1,2', b'op,"en,2', b'"', b'"""'])
def test_a_quotation_mark_too_many_stays_in_its_own_line(tmp_path, line):
    (tmp_path / "extract.csv").write_bytes(HEAD + GOOD * 2 + line + b"\n" + GOOD.replace(b"H1", b"H2") * 3)
    mapping = mapping_for(("household_key", *COLUMNS))
    with load_extract(mapping, case_dataset(), COLUMNS, directory=tmp_path, run_key=RUN_KEY) as extract:
        rows = extract.rows().run(extract.connection).fetchall()
    assert [row[0] for row in rows].count(pseudonym_of("H1")) == 2
    assert [row[0] for row in rows].count(pseudonym_of("H2")) == 3


def test_line_breaks_between_quotation_marks_are_part_of_a_field(tmp_path):
    pieces, records = read(tmp_path, HEAD + b'"H\n1",female,"2025\r\n-01-15"\n')
    assert pieces == [HEAD + b'"H\n1",female,"2025\r\n-01-15"\n']
    assert records.is_plain()


def test_a_line_beyond_all_reason_is_left_out_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", 64)
    monkeypatch.setattr(csv_records, "MAX_LINE_BYTES", 128)
    raw = HEAD + GOOD + b'"' + b"x" * 1000 + b"\n" + GOOD + b"y" * 1000 + b"\n" + GOOD + b"z" * 1000
    pieces, records = read(tmp_path, raw)
    assert b"".join(pieces) == HEAD + GOOD * 3
    assert records.left_out == 3


@pytest.mark.parametrize("before", range(0, 400, 20))
def test_what_stands_before_a_record_beyond_reason_does_not_decide_how_it_is_read(tmp_path, monkeypatch, before):
    # Taken whole where it fits into a window and by its lines elsewhere, it would be no row here and three there.
    long = b'"H8\nH9,female,2025-01-15\n' + b"x" * 150 + b'",female,2025-01-15\n'
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", 256)
    monkeypatch.setattr(csv_records, "MAX_LINE_BYTES", 128)
    padding = (
        b"H0,female," + b" " * before + b"\n" if before < 100 else (b"H0,female," + b" " * 90 + b"\n") * (before // 100)
    )
    pieces, records = read(tmp_path, HEAD + padding + long + GOOD * 30)
    assert b"".join(pieces) == HEAD + padding + b"H8\nH9,female,2025-01-15\n" + GOOD * 30
    assert records.left_out == 1
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", 64 * 1024)
    assert not records.is_plain()


def test_alphabets_are_settled_record_by_record(tmp_path):
    raw = HEAD + "H\u00e9,female,\n".encode() + b"H\xe9,female,\n"
    pieces, records = read(tmp_path, raw)
    assert b"".join(pieces) == HEAD + "H\u00e9,female,\n".encode() * 2
    assert (records.recoded, records.left_out) == (True, 0)
    pieces, records = read(tmp_path, raw, CsvEncoding.UTF_8)
    assert b"".join(pieces) == HEAD + "H\u00e9,female,\n".encode()
    assert (records.recoded, records.left_out) == (False, 1)


def test_a_large_file_is_read_in_pieces_and_no_more_of_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", 4096)
    raw = HEAD + b"".join(b"H%d,female,2025-01-15\n" % number for number in range(2000))
    pieces, records = read(tmp_path, raw)
    assert max(map(len, pieces)) <= 2 * 4096
    assert not records.is_plain()
    mapping = mapping_for(("household_key", *COLUMNS))
    with load_extract(mapping, case_dataset(), COLUMNS, directory=tmp_path, run_key=RUN_KEY) as extract:
        assert extract.report.rows_read == 2000
        [[households]] = extract.connection.execute(
            'SELECT count(DISTINCT "!household") FROM canonical_rows'
        ).fetchall()
    assert households == 2000
