"""An extract that cannot be read is complained of in words that hold none of it, before, during and after a round.

Each council of a round has an extract that is damaged in another way; every cell of it holds the canary.
"""

import csv
import io
import os

import pytest

from council_node.mapping import load_mapping
from council_node.sources.load import RUN_KEY_SIZE, check_coverage, load_extract
from federated.errors import FederatedError
from federated.schema import load_schema
from protocols.wire.link_message import Kind, LinkMessage
from tests.canary.federation import CANARY, LINK, extracts, many_cells, scenario, sweep_rounds
from tests.canary.harness import Sweep


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        heading, *rows = csv.reader(file)
    return heading, [[f"{CANARY} {cell}" for cell in row] for row in rows[:200]]


def text(*rows, delimiter=","):
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows(rows)
    return written.getvalue()


# Rows that cannot be used: the council takes part all the same.


def canary_everywhere(heading, rows):
    return text(heading, *rows).encode()


def ragged(heading, rows):
    return text(heading, *(row[: 1 + place % len(row)] for place, row in enumerate(rows))).encode()


def too_many_fields(heading, rows):
    return text(heading, *([*row, CANARY, CANARY] for row in rows)).encode()


def open_quotation(heading, rows):
    return text(heading, *rows).encode() + f'"{CANARY},never closed\n{CANARY},x\n'.encode()


def quotation_inside(heading, rows):
    return text(heading).encode() + b"".join(f'{CANARY}"x"{CANARY},"{CANARY}"y,\n'.encode() for _ in rows)


def not_utf8(heading, rows):
    return text(heading, *rows).encode() + b"\xff\xfe" + CANARY.encode() + b"\x9d\x81,\xe9\n"


def nul_bytes(heading, rows):
    return text(heading, *rows).encode() + f"{CANARY}\0,\0{CANARY}\n".encode()


def one_endless_line(heading, rows):
    return text(heading, *rows).encode() + CANARY.encode() * 120_000 + b"\n"


def control_characters(heading, rows):
    return text(heading, *([f"\x1b[31m{CANARY}\x07\r" for _ in row] for row in rows)).encode()


def line_breaks_inside(heading, rows):
    return text(heading, *([f"{CANARY}\n{CANARY}" for _ in row] for row in rows)).encode()


def formulas(heading, rows):
    return text(heading, *([f"=cmd|'{CANARY}'!A1" for _ in row] for row in rows)).encode()


def numbers_beyond_all_bounds(heading, rows):
    return text(heading, *([f"{'9' * 400}{CANARY}" for _ in row] for row in rows)).encode()


ROWS = (
    canary_everywhere,
    ragged,
    too_many_fields,
    open_quotation,
    quotation_inside,
    not_utf8,
    nul_bytes,
    one_endless_line,
    control_characters,
    line_breaks_inside,
    formulas,
    numbers_beyond_all_bounds,
)

# Files that cannot be read at all: the council refuses, or drops out when it happens during a round.


def no_headings(_heading, rows):
    return text(*rows).encode()


def title_rows_first(heading, rows):
    return text([f"Export for {CANARY}"], [CANARY], heading, *rows).encode()


def other_delimiter_in_headings(heading, rows):
    return text([f"{CANARY};{name}" for name in heading], *rows, delimiter=";").encode()


def headings_twice(heading, rows):
    return text([*heading, *heading], *(row + row for row in rows)).encode()


def headings_never_end(_heading, _rows):
    return f'"{CANARY}'.encode() + CANARY.encode() * 200


def headings_too_long(_heading, _rows):
    return CANARY.encode() * 120_000


def empty(_heading, _rows):
    return b""


def blank(_heading, _rows):
    return b"\n \n,,\n" + CANARY.encode()


def binary(_heading, _rows):
    return b"PK\x03\x04\x14\0\x06\0" + CANARY.encode() + bytes(range(256)) * 9


def one_heading_missing(heading, rows):
    return text([f"{CANARY} {name}" for name in heading], *rows).encode()


FILES = (
    no_headings,
    title_rows_first,
    other_delimiter_in_headings,
    headings_twice,
    headings_never_end,
    headings_too_long,
    empty,
    blank,
    binary,
    one_heading_missing,
)


def damage_each(kinds):
    """Damage the extract of each council in another way, in the councils' order."""
    councils = iter(kinds)

    def damage(_council, path):
        kind = next(councils, canary_everywhere)
        path.write_bytes(kind(*read(path)))

    return damage


def everything(sweep, capfd):
    out, err = capfd.readouterr()
    sweep.add("output of the process", "stdout and stderr", f"{out}\n{err}")


def test_rows_that_cannot_be_used_are_counted_as_nothing_and_quoted_nowhere(tmp_path, capfd):
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(many_cells(), councils=12), damage=damage_each(ROWS))
    everything(sweep, capfd)
    sweep.assert_clean(CANARY, expected=LINK | {"answers", "nodes' folders", "coordinator's folder"})


def test_files_that_cannot_be_read_are_refused_in_words_without_their_content(tmp_path, capfd):
    sweep = Sweep()
    world = sweep_rounds(tmp_path, sweep, scenario(many_cells(), councils=10), damage=damage_each(FILES))
    everything(sweep, capfd)
    assert len(world.councils) == len(FILES)
    refused = b"".join(content for _, content in sweep.channels["told to the analyst"]).decode()
    assert "Too many councils refused: 10 of 10" in refused
    sweep.assert_clean(CANARY, expected=LINK | {"told to the analyst", "nodes' folders", "coordinator's folder"})


@pytest.mark.parametrize("kinds", [FILES[:5], FILES[5:]], ids=["first", "second"])
def test_files_that_break_during_a_round_end_it_in_words_without_their_content(tmp_path, capfd, kinds):
    """They change after the council has joined: its charge is spent, it complains, and it is left out."""
    broken = []

    def meddle(world, nodes):
        def breaking(council, kind):
            path = extracts(world)[council]

            def answer(request):
                if LinkMessage.decode(request).kind is Kind.SHARES:
                    path.write_bytes(kind(*read(path)))
                    broken.append(council)
                return nodes[council](request)

            return answer

        return {**nodes, **{council: breaking(council, kind) for council, kind in zip(nodes, kinds, strict=False)}}

    sweep = Sweep()
    sweep_rounds(
        tmp_path,
        sweep,
        scenario(many_cells(), councils=5),
        meddle=meddle,
        damage=lambda _council, path: path.write_bytes(canary_everywhere(*read(path))),
    )
    everything(sweep, capfd)
    assert len(broken) == 5
    complaints = [content for _, content in sweep.channels["link, received"] if is_complaint(content)]
    assert len(complaints) == 5
    sweep.assert_clean(CANARY, expected=LINK | {"told to the analyst", "nodes' folders", "coordinator's folder"})


def is_complaint(content):
    return LinkMessage.decode(content).kind in {Kind.COMPLAINT, Kind.FAULT}


def test_a_complaint_that_quotes_the_file_would_be_seen(tmp_path, monkeypatch):
    """Positive control: a heading check that says what it found instead."""
    from council_node.sources import text_rows

    honest = text_rows.Headings.position

    def quoting(self, heading):
        try:
            return honest(self, heading)
        except FederatedError as problem:
            raise type(problem)(f"{problem} Found: {', '.join(self.names)}") from problem

    monkeypatch.setattr(text_rows.Headings, "position", quoting)
    monkeypatch.setattr("council_node.station.Station._missing", lambda *_: frozenset())
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(many_cells()), damage=damage_each([no_headings] * 5))
    # It goes no further than the log: receipt, ledger and coordinator have only that the node met a fault of its own.
    assert sweep.found_in(CANARY) == {"node's log"}


@pytest.mark.parametrize("kind", [*ROWS, *FILES])
def test_no_exception_of_the_source_quotes_the_file(kind, tmp_path):
    """Message, remedy, notes, and those of every exception it came from: a traceback would print them all."""
    from federated.synthetic import styles, synthesise, write_extract, write_mapping

    style = next(iter(styles().values()))
    write_mapping(tmp_path / "mapping.yaml", style)
    path = tmp_path / "extract.csv"
    write_extract(synthesise("E06000001", 1), path, seed=1, style=style)
    path.write_bytes(kind(*read(path)))
    schema = load_schema()
    mapping, dataset = load_mapping(tmp_path / "mapping.yaml", schema), schema.dataset("case")
    columns = sorted(many_cells().columns())
    sweep = Sweep()
    sweep.add("reached", "it", "x")
    try:
        check_coverage(mapping, dataset, columns, directory=tmp_path)
        with load_extract(mapping, dataset, columns, directory=tmp_path, run_key=os.urandom(RUN_KEY_SIZE)) as extract:
            sweep.add("report", kind.__name__, repr(extract.report) + repr(extract))
    except FederatedError as problem:
        told = problem
        while told is not None:
            sweep.add("told", kind.__name__, f"{told} {told!r} {getattr(told, 'remedy', '')} {told.args}")
            told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
    sweep.assert_clean(CANARY, expected={"told" if kind in FILES else "report"})
