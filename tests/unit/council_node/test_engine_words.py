"""What the local database says of a failure may quote a row: it is never passed on."""

import traceback

import duckdb
import pytest

from council_node.sources.extract import ExtractTooLarge, without_its_words
from federated.errors import InternalError

VALUE = "Canary Case"


def failure(error: duckdb.Error) -> InternalError:
    with pytest.raises(InternalError) as caught, without_its_words("It stopped.", remedy="Report it."):
        raise error
    return caught.value


def test_memory_and_other_failures_are_told_apart():
    assert type(failure(duckdb.OutOfMemoryException("no room"))) is ExtractTooLarge
    assert type(failure(duckdb.ConversionException("no date"))) is InternalError


def test_the_databases_words_are_in_no_traceback():
    caught = failure(duckdb.ConversionException(f"could not read '{VALUE}'"))
    assert str(caught).startswith("It stopped.")
    assert VALUE not in "".join(traceback.format_exception(caught))
    # The alarm: with the first failure shown, it would be there.
    caught.__suppress_context__ = False
    assert VALUE in "".join(traceback.format_exception(caught))


def test_other_failures_pass():
    with pytest.raises(KeyError), without_its_words("It stopped."):
        raise KeyError
