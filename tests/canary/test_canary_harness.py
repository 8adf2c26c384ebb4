"""The harness finds what is planted: every form, in every channel. A search that finds nothing must be able to."""

import base64
import sqlite3

import pytest

from tests.canary.federation import CANARY
from tests.canary.harness import Sweep

FORMS = {
    "raw": CANARY.encode(),
    "capitals": CANARY.upper().encode(),
    "small letters": CANARY.lower().encode(),
    "hexadecimal": CANARY.encode().hex().encode(),
    "hexadecimal in capitals": CANARY.encode().hex().upper().encode(),
    "UTF-16": CANARY.encode("utf-16-le"),
    **{f"base64 after {n}": base64.b64encode(b"x" * n + CANARY.encode() + b"y" * (5 - n)) for n in range(4)},
    "base64 of capitals": base64.b64encode(b"?" + CANARY.upper().encode()),
    "url-safe base64": base64.urlsafe_b64encode(b"\xfb\xff" + CANARY.encode() + b"\xfb\xff"),
    "base64 of base64": base64.b64encode(b"{..." + base64.b64encode(b"ab" + CANARY.encode()) + b"}"),
    "base64 of hexadecimal": base64.b64encode(b"-" + CANARY.encode().hex().encode()),
    "hexadecimal of base64 of UTF-16": base64.b64encode(b"--" + CANARY.encode("utf-16-le")).hex().encode(),
}


def add_log(sweep, _folder, content):
    sweep.note("odd", {"value": content.decode("latin-1")})


def add_node_log(sweep, _folder, content):
    sweep.node_log("E06000001")("odd", {"value": content.decode("latin-1")})


def add_link(sweep, _folder, content):
    sweep.record("received", "E06000001", bytes(200) + content + bytes(200))


def add_file(sweep, folder, content):
    (folder / "deep").mkdir()
    (folder / "deep" / "dump.bin").write_bytes(b"\x00\xff" + content + b"\xff")
    sweep.files("folder", folder)


def add_text_row(sweep, folder, content):
    write_row(folder, content.decode("latin-1"))
    sweep.database("tables", folder / "some.db")


def add_blob_row(sweep, folder, content):
    # Longer than a page, so that the raw file holds it in pieces.
    write_row(folder, b"\x01" * 4000 + content + b"\x02" * 9000)
    sweep.database("tables", folder / "some.db")


def write_row(folder, value):
    connection = sqlite3.connect(folder / "some.db")
    connection.execute("CREATE TABLE kept (name TEXT, value)")
    connection.execute("INSERT INTO kept VALUES ('one', ?)", (value,))
    connection.commit()
    connection.close()


CHANNELS = [add_log, add_node_log, add_link, add_file, add_text_row, add_blob_row]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_found_in_every_channel(form, channel, tmp_path):
    sweep = Sweep()
    channel(sweep, tmp_path, FORMS[form])
    assert sweep.found_in(CANARY)
    with pytest.raises(AssertionError, match="was seen"):
        sweep.assert_clean(CANARY, expected=set())


@pytest.mark.parametrize("channel", CHANNELS)
def test_nothing_is_found_where_nothing_is_planted(channel, tmp_path):
    sweep = Sweep()
    channel(sweep, tmp_path, b"Qz7mKw3vXp9" + base64.b64encode(b"Qz7mKw3v-Xp9t" * 3))
    sweep.assert_clean(CANARY, expected=set(sweep.channels))


def test_a_name_of_a_file_is_looked_at(tmp_path):
    (tmp_path / f"row-{CANARY}.txt").touch()
    sweep = Sweep()
    sweep.files("folder", tmp_path)
    assert sweep.found_in(CANARY) == {"folder"}


def test_a_channel_that_saw_nothing_is_no_evidence():
    sweep = Sweep()
    sweep.add("link, sent", "E06000001", b"")
    with pytest.raises(AssertionError, match="nothing was seen in"):
        sweep.assert_clean(CANARY, expected={"link, sent"})
