"""One real party of a round among stand-ins, stage by stage under a clock.

What the stand-ins say is made outside the clock. The coordinator's sum is checked each time.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.stand_ins import StandIn, StandIns
from protocols.encoding import sha256
from protocols.envelope import SignedMessage
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest
from protocols.masks import ONE_CORE, Cores
from protocols.ring import RingVector
from protocols.secagg import Aggregator, MaskSum, ParticipantSession, Stage, sum_masks
from protocols.secagg.mask_removal import Peer, lost_work, survivor_work
from protocols.secagg.messages import (
    advert_of,
    decode_advert,
    decode_key_shares,
    decode_masked_input,
    encode_list,
    encode_shares,
)
from protocols.secagg.share_records import decode_opening
from protocols.secagg.transcript import adverts_view, shares_view, survivors_view, unmask_kinds

__all__ = ["Clock", "watch_coordinator", "watch_node"]


@dataclass(slots=True)
class Clock:
    """Seconds of each stage: on the wall, and of this process on all cores together.

    Other work on the machine is in the first and not in the second.
    """

    wall: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count what happens inside towards a stage."""
        wall, processor = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall[stage] = self.wall.get(stage, 0.0) + time.perf_counter() - wall
            self.processor[stage] = self.processor.get(stage, 0.0) + time.process_time() - processor


def watch_node(cast: StandIns, cores: Cores = ONE_CORE) -> Clock:
    """A council node's whole round; stages are named after the session's own steps."""
    clock, context, names = Clock(), cast.context, cast.names
    me = names[len(names) // 2]
    others = {council: one for council, one in cast.councils.items() if council != me}
    session = ParticipantSession(context, me, cast.identities[me].sign, os.urandom, cores=cores)
    with clock.at("advertise"):
        advert = session.advertise(cast.claim)

    mine = decode_advert(advert, context)
    adverts = _in_order(names, {council: one.advert for council, one in others.items()} | {me: mine})
    request, h1 = encode_list(Stage.ADVERTS, adverts), adverts_view(context.sid, adverts)
    with clock.at("share keys"):
        dealt = session.share_keys(request)

    request, dealings = _shares(cast, others, me, advert_of(mine, context.suite).channel_key, dealt)
    with clock.at("accept shares"):
        session.accept_shares(request)
    vector = np.arange(context.cells, dtype=np.int64)
    with clock.at("mask"):
        masked = session.mask(vector)

    h2 = shares_view(h1, dealings)
    said = {council: cast.say(council, Stage.MASKED_INPUT, h2 + os.urandom(DIGEST_SIZE)) for council in others}
    headers = _in_order(names, said | {me: decode_masked_input(masked, context)[0]})
    request, h3 = encode_list(Stage.SURVIVORS, headers), survivors_view(h2, headers)
    with clock.at("confirm"):
        session.confirm_survivors(request)

    statements = [cast.say(council, Stage.CONFIRMATION, h3) for council in names[: cast.thresholds.t]]
    request = encode_list(Stage.STATEMENTS, statements)
    with clock.at("unmask"):
        session.unmask(request)
    return clock


def _in_order(names: Sequence[CouncilId], said: dict[CouncilId, SignedMessage]) -> list[SignedMessage]:
    return [said[council] for council in names]


def _shares(
    cast: StandIns, others: dict[CouncilId, StandIn], me: CouncilId, key: bytes, dealt: bytes
) -> tuple[bytes, list[SignedMessage]]:
    """SHARES for the watched node, its own message among them, and the signed part of each."""
    signed, openings = decode_key_shares(dealt, cast.context, cast.names)
    own = decode_opening(openings.encoded(cast.names.index(me)), cast.context.suite)
    found = {me: (signed.message, own)}
    found |= {council: cast.deal_to(one, me, key, signed.h1) for council, one in others.items()}
    entries = [found[council] for council in cast.names]
    dealings = [message for message, _ in entries]
    content = encode_shares([message.encode() for message in dealings], [opening.encode() for _, opening in entries])
    return content, dealings


def watch_coordinator(cast: StandIns, *, lost: int, sum_of: MaskSum = sum_masks) -> Clock:
    """The coordinator's whole round.

    Args:
        cast: The councils.
        lost: How many of them are gone for good after they dealt key shares: the worst stage, since each leaves a mask
            dangling with every survivor.
        sum_of: Sums masks when the round finishes.

    Raises:
        SystemExit: The sum is wrong.
    """
    clock, context, names = Clock(), cast.context, cast.names
    aggregator = Aggregator(context)
    for one in cast.councils.values():
        message = one.advert.encode()
        with clock.at("adverts"):
            aggregator.receive_advert(one.council, message)
    with clock.at("adverts"):
        aggregator.close_adverts()

    h1 = adverts_view(context.sid, [one.advert for one in cast.councils.values()])
    signed = []
    for one in cast.councils.values():
        message = cast.deal(one, h1)
        signed.append(decode_key_shares(message, context, names)[0].message)
        with clock.at("key shares"):
            aggregator.receive_key_shares(one.council, message)
    with clock.at("key shares"):
        deliveries = aggregator.close_key_shares()
    for council in deliveries:
        with clock.at("deliveries"):
            deliveries[council]

    h2 = shares_view(h1, signed)
    gone = frozenset(names[:: max(1, len(names) // max(1, lost))][:lost])
    survivors = tuple(council for council in names if council not in gone)
    plain = np.arange(context.cells, dtype=np.int64)
    vectors = _vectors(cast, survivors, plain, (h1, h2))
    headers = []
    for council, vector in zip(survivors, vectors, strict=True):
        header = cast.say(council, Stage.MASKED_INPUT, h2 + sha256(vector.data))
        headers.append(header)
        message = b"".join((header.encode(), vector.data))
        with clock.at("masked inputs"):
            aggregator.receive_masked_input(council, message)
    with clock.at("survivors"):
        aggregator.close_masked_inputs()

    h3 = survivors_view(h2, headers)
    for council in survivors:
        message = cast.say(council, Stage.CONFIRMATION, h3).encode()
        with clock.at("confirmations"):
            aggregator.receive_confirmation(council, message)
    with clock.at("confirmations"):
        aggregator.close_confirmations()

    kinds = tuple(unmask_kinds(names, survivors).values())
    for answer in cast.answers(kinds, h3, survivors):
        message = answer.encode()
        with clock.at("answers"):
            aggregator.receive_unmask(answer.sender, message)
    with clock.at("finish"):
        result = aggregator.finish(sum_of)
    if not np.array_equal(result.total, plain * len(survivors)):
        raise SystemExit("the sum is wrong")
    return clock


def _vectors(
    cast: StandIns, survivors: Sequence[CouncilId], plain: NDArray[np.int64], views: tuple[Digest, Digest]
) -> Iterator[RingVector]:
    """What the survivors send: all that is left of everyone's masks in the first vector, the others bare."""
    context, (h1, h2) = cast.context, views
    peers = [Peer(council=council, mask_key=cast.councils[council].mask_key, wrapped=b"") for council in survivors]
    alive = [survivor_work(council, cast.councils[council].b_seed, h2=h2) for council in survivors]
    gone = [
        lost_work(council, one.s_seed, context=context, h1=h1, h2=h2, peers=peers)
        for council, one in cast.councils.items()
        if council not in survivors
    ]
    bare = context.ring.encode(plain)
    yield bare + sum_masks([*alive, *gone], context.ring, context.cells)
    for _ in survivors[1:]:
        yield bare
