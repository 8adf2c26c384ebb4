"""Parts of messages that are read from inside others: strict on their own too."""

import pytest

from protocols.errors import MalformedMessage
from protocols.secagg import Stage
from protocols.secagg.messages import KeyShare, advert_of, decode_advert, decode_key_share
from protocols.shamir import PRIME
from protocols.suite import Suite
from tests.simulation.secagg_rehearsal import Rehearsal, council_ids

ELEMENT, NO_ELEMENT = bytes(32), PRIME.to_bytes(32, "little")


def share(**fields):
    return KeyShare(**{"b_share": ELEMENT, "s_share": ELEMENT, "b_salt": b"s" * 32, "s_salt": b"t" * 32} | fields)


def test_a_key_share_is_read_as_written():
    assert decode_key_share(share().encode()) == share()


@pytest.mark.parametrize(
    "content",
    [
        share(b_share=NO_ELEMENT).encode(),
        share(s_share=NO_ELEMENT).encode(),
        share().encode() + b"x",
        share().encode()[:-1],
    ],
)
def test_a_key_share_has_two_field_elements_two_salts_and_nothing_else(content):
    with pytest.raises(MalformedMessage):
        decode_key_share(content)


def test_an_advert_has_nothing_left_over():
    rehearsal = Rehearsal(5, seed="parts").advertise()
    message = decode_advert(rehearsal.replies[Stage.ADVERT][council_ids(5)[0]], rehearsal.context)
    assert advert_of(message, Suite.X25519).claim == rehearsal.claim
    longer = type(message)(
        stage=message.stage, sender=message.sender, body=message.body + b"x", signature=message.signature
    )
    with pytest.raises(MalformedMessage, match="left over"):
        advert_of(longer, Suite.X25519)
