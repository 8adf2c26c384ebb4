"""A log that cannot be written, as where the disk is full, stops nothing: a node ends its rounds, a page is answered."""

import errno
import json
import sys

import pytest

from council_node.event_log import open_log
from federated.errors import InternalError
from federated.pages.faults import unforeseen


class Gone:
    """A stream that takes nothing."""

    def __init__(self, number):
        self.number, self.tried = number, 0

    def write(self, _text):
        self.tried += 1
        raise OSError(self.number, "gone")

    def flush(self):
        raise OSError(self.number, "gone")


@pytest.fixture(params=[errno.ENOSPC, errno.EPIPE])
def gone(request):
    return Gone(request.param)


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(gone, monkeypatch, capsys):
    log = open_log("E06000001", "info")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", gone)
        log("round_abandoned", {"sid": "00"})
    assert gone.tried > 0
    log("round_abandoned", {"sid": "01"})
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["sid"] == "01"


def test_an_error_of_a_page_that_cannot_be_told_is_still_answered(gone, monkeypatch):
    monkeypatch.setattr(sys, "stderr", gone)
    assert isinstance(unforeseen(RuntimeError("quoted")), InternalError)
    assert gone.tried > 0
