"""An outsider can check whose inputs a sum is over, and finds every change."""

import os

import numpy as np
import pytest

from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId, Digest
from protocols.secagg import run_secure_sum
from protocols.secagg.evidence import survivors_digest


@pytest.fixture(scope="module")
def result():
    councils = [CouncilId(f"E0600000{i}") for i in range(1, 6)]
    return run_secure_sum({c: np.arange(4, dtype=np.int64) for c in councils}, rng=os.urandom)


def test_the_survivor_digest_follows_from_published_parts(result):
    assert survivors_digest(result.h2, result.input_digests) == result.h3


def test_a_changed_or_missing_input_changes_it(result):
    some = next(iter(result.input_digests))
    changed = dict(result.input_digests) | {some: Digest(bytes(32))}
    fewer = {council: value for council, value in result.input_digests.items() if council != some}
    assert survivors_digest(result.h2, changed) != result.h3
    assert survivors_digest(result.h2, fewer) != result.h3
    assert survivors_digest(Digest(bytes(32)), result.input_digests) != result.h3


def test_what_is_not_a_statement_is_refused(result):
    from protocols.secagg.evidence import verify_confirmation

    for content in (b"", b"\x01", result.statements[0] + b"\x00", result.statements[0][:-1]):
        with pytest.raises((MalformedMessage, RemoteProtocolError)):
            verify_confirmation(content, sid=bytes(32), h3=result.h3, identities={})
    with pytest.raises(RemoteProtocolError, match="not a known council"):
        verify_confirmation(result.statements[0], sid=bytes(32), h3=result.h3, identities={})
