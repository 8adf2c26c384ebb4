"""The digest of a release is that of its bytes, however often it is asked for and whatever was made from it."""

import pytest

from federated.release import open_release
from protocols.encoding import sha256
from tests.unit.federated.outputs.answers import release


def test_a_digest_is_that_of_the_bytes():
    answer = release()
    assert answer.digest == answer.digest == sha256(answer.encode())
    assert open_release(answer.encode()) == answer


@pytest.mark.parametrize("deep", [False, True])
def test_a_changed_copy_has_a_digest_of_its_own(deep):
    answer = release()
    before = answer.digest
    changed = answer.model_copy(update={"title": "Another title"}, deep=deep)
    assert changed.digest == sha256(changed.encode()) != before
    assert answer.digest == before
