"""What the decoders under test are given besides bytes: keys, an agreement, a roster, a plan, a round; the same every time."""

import json
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from federated.plan import Plan
from federated.round_context import round_context
from federated.schema import Schema
from protocols.encoding import sha256
from protocols.envelope import SignedMessage, sign_message
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.secagg import HolderSession, RoundContext, Stage, holder_of
from protocols.secagg.dealing import Ends, Outgoing, Received
from protocols.secagg.messages import Dealt
from protocols.suite import PrivateKey, Suite
from tests.integration.federation_world import (
    ANALYST,
    COUNCILS,
    HOLDER,
    HOLDER_KEY,
    HUB,
    ME,
    NOW,
    REVIEWER,
    SCHEMA,
    SIGNER_A,
    SIGNER_B,
    TRUST,
    Proposal,
    World,
)

if TYPE_CHECKING:
    from tests.integration.mask_holder_world import HeldWorld

__all__ = [
    "ANALYST",
    "COUNCILS",
    "HOLDER",
    "HOLDER_KEY",
    "HUB",
    "ME",
    "NOW",
    "REVIEWER",
    "SCHEMA",
    "SID",
    "SIGNER_A",
    "SIGNER_B",
    "TRUST",
    "Dealing",
    "dealing",
    "file_of",
    "folder",
    "held_proposal",
    "held_round",
    "holder_world",
    "mask_holder",
    "plan",
    "proposal",
    "round_of_plan",
    "schema",
    "world",
]

SID = RoundId(sha256(b"a round to be fuzzed"))


@cache
def folder() -> Path:
    """A folder of this process. Whoever starts a process that may be ended gives it a `TMPDIR` to be cleared."""
    made = tempfile.TemporaryDirectory(prefix="fuzz-")
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[tempfile.TemporaryDirectory] = []


def file_of(name: str, content: bytes, *, mode: int = 0o600) -> Path:
    """The bytes as a file."""
    path = folder() / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


@cache
def world() -> World:
    """The signed papers of five councils."""
    made = folder() / "world"
    made.mkdir()
    return World(made)


@cache
def holder_world() -> "HeldWorld":
    """The same with a mask holder, which has the list of councils and has held one round."""
    from tests.integration.mask_holder_world import HeldWorld

    made = folder() / "held"
    made.mkdir()
    world = HeldWorld(made)
    world.told()
    return world


@cache
def held_proposal() -> Proposal:
    """A question of one table under the agreement that names it."""
    return holder_world().propose()


@cache
def proposal() -> Proposal:
    """A question of one table, planned and signed."""
    return world().propose()


def plan() -> Plan:
    """The plan of that question."""
    return proposal().plan


def schema() -> Schema:
    """The data dictionary."""
    return SCHEMA


@cache
def round_of_plan(suite: Suite = Suite.X25519) -> RoundContext:
    """A round of that plan, seen by a council; as an agreement with these keys would have it."""
    return replace(round_context(plan(), world().roster, SID, b""), suite=suite)


def mask_holder(suite: Suite) -> HolderSession:
    """A mask holder that has advertised for that round, always the same key."""
    session = HolderSession(
        round_of_plan(suite),
        CouncilId(HOLDER["id"]),
        HOLDER_KEY.sign,
        lambda size: bytes([9]) * size,
        identity=HOLDER_KEY.public,
    )
    session.advertise()
    return session


@cache
def held_round(suite: Suite) -> RoundContext:
    """The same round as an agreement with that mask holder would have it."""
    context = round_of_plan(suite)
    key = PrivateKey.read(bytes([9]) * suite.private_size, suite).public
    holder = CouncilId(HOLDER["id"])
    advert = sign_message(sid=SID, stage=Stage.HOLDER_ADVERT, sender=holder, body=key, sign=HOLDER_KEY.sign).encode()
    return replace(context, holder=holder_of(advert, sid=SID, id=holder, identity=HOLDER_KEY.public, suite=suite))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """What one council deals another, and what that opens it with.

    Attributes:
        ends: From the lower to the higher, so that in the hybrid suite a seed is wrapped too.
        dealt: The signed part; what is wrong is laid at its sender's door.
        to: What the dealer seals with.
        by: What the receiver opens with.
    """

    ends: Ends
    dealt: Dealt
    to: Outgoing
    by: Received


@cache
def dealing(suite: Suite) -> Dealing:
    """A dealing between two councils whose keys are fixed."""
    dealer, h1 = COUNCILS[0], Digest(bytes(32))
    sent, channel, mask = (PrivateKey.read(bytes([n]) * suite.private_size, suite) for n in (1, 2, 3))
    agreed = sent.agree(channel.public)
    message = SignedMessage(stage=Stage.KEY_SHARES, sender=dealer, body=bytes(7 * 32), signature=bytes(64))
    return Dealing(
        ends=Ends(sid=SID, h1=h1, dealer=dealer, receiver=ME),
        dealt=Dealt(message=message, h1=h1, self_commitment=bytes(32)),
        to=Outgoing(
            agreed=agreed,
            channel_key=channel.public,
            mask_key=mask.public,
            pair_seed=bytes(32) if suite is Suite.HYBRID else b"",
        ),
        by=Received(agreed=agreed, channel_private=channel, mask_private=mask, ciphertext_size=suite.ciphertext_size),
    )


def json_of(content: bytes) -> object:
    """JSON as a decoder of ours might meet it.

    Raises:
        ValueError: It is none; also `RecursionError`.
    """
    return json.loads(content)
