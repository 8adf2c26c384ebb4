"""What the project writes as YAML, its own strict reader reads as the same."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from federated.errors import FileProblem
from federated.yaml_document import read_form, write_document


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    values: dict[str, list[str]]


def read(text):
    return read_form(Form, text.encode(), source="test", remedy="").values


MISTAKEN = (
    "09",
    "007",
    "9",
    "-5",
    "1e5",
    ".5",
    "5.",
    "1.0",
    "yes",
    "No",
    "TRUE",
    "null",
    "~",
    "",
    "12:30",
    "2025-01-01",
    "0x1f",
)
"""What one reader of YAML or another takes for something else than text."""


@pytest.mark.parametrize("text", MISTAKEN)
def test_text_that_looks_like_something_else_stays_text(text):
    assert read(write_document({"values": {"a": [text]}})) == {"a": [text]}


def test_as_the_library_writes_it_some_of_it_would_be_lost():
    with pytest.raises(FileProblem, match="must be text"):
        read(yaml.safe_dump({"values": {"a": ["09"]}}))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), max_size=12), max_size=4))
def test_any_list_of_text_comes_back(texts):
    assert read(write_document({"values": {"a": texts}})) == {"a": texts}


def test_what_comes_twice_is_written_twice():
    shared = ["x"]
    written = write_document({"values": {"a": shared, "b": shared}})
    assert "&" not in written
    assert read(written) == {"a": ["x"], "b": ["x"]}
