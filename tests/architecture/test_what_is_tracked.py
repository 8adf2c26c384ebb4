"""What may stand in tracked files, and what form everything stored or sent says it is in."""

import re

import pytest
from sqlalchemy import MetaData

from coordinator.store.tables import METADATA
from protocols.errors import MalformedMessage
from protocols.wire.link_message import Kind, LinkMessage
from tests.architecture.source_tree import ROOT, tracked_files

# Written in pieces, so that this file does not name what it looks for.
REGISTRIES = (
    "py" + "pi.org",
    "python" + "hosted",
    "npm" + "js.org",
    "crates" + ".io",
    "proxy.go" + "lang",
    "ghcr" + ".io",
)
INDEX_OPTION = re.compile(r"^\s*--?(i|index-url|extra-index-url|find-links)[ =]", re.MULTILINE)
TEXT_LIMIT = 4 * 1024 * 1024


def registries_in(text: str) -> list[str]:
    return [host for host in REGISTRIES if host in text.lower()] + [
        found.group().strip() for found in INDEX_OPTION.finditer(text)
    ]


@pytest.mark.parametrize("host", REGISTRIES)
def test_the_finder_finds_registries(host):
    assert registries_in(f"see https://{host}/simple") == [host]


def test_the_finder_finds_index_options():
    assert registries_in("--index-url https://mirror.example/simple\n") == ["--index-url"]


def test_no_tracked_file_names_a_registry():
    named = {}
    for name in tracked_files():
        content = (ROOT / name).read_bytes()
        if len(content) < TEXT_LIMIT and b"\0" not in content:
            found = registries_in(content.decode("utf-8", "replace"))
            if found:
                named[name] = found
    assert named == {}


def test_no_cache_or_environment_is_tracked():
    forbidden = re.compile(r"(^|/)(__pycache__|\.venv|\.stamps|\.mypy_cache|\.pytest_cache|node_modules)(/|$)|\.pyc$")
    assert [name for name in tracked_files() if forbidden.search(name)] == []


def unversioned_tables(metadata: MetaData) -> list[str]:
    return [name for name, table in metadata.tables.items() if "version" not in table.columns]


def test_every_row_the_coordinator_keeps_says_its_form():
    assert len(METADATA.tables) > 10
    assert unversioned_tables(METADATA) == []


def test_every_request_and_reply_starts_with_its_version():
    message = LinkMessage(kind=Kind.INVITE, reference=bytes(32), payload=b"x")
    content = message.encode()
    assert content[0] == 1
    with pytest.raises(MalformedMessage, match="version"):
        LinkMessage.decode(bytes([2]) + content[1:])
