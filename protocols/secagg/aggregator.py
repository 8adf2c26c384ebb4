"""The coordinator's side of a round: collect, forward, and in the end remove masks from one sum.

It trusts nobody's message: each is checked on arrival against the identity pinned for its sender, and a bad
one raises with that sender as culprit while the round goes on without it. Masked vectors are added on arrival
and not kept: memory is one vector, plus key shares in the square of the councils.

A council may send a message again; the same bytes are ignored, others are refused.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from protocols.encoding import sha256
from protocols.envelope import SignedMessage, verify_message
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest
from protocols.ring import RingVector
from protocols.secagg.cohort import Thresholds
from protocols.secagg.context import Holder, RoundContext
from protocols.secagg.deliveries import Dealing, Deliveries
from protocols.secagg.errors import BelowThreshold
from protocols.secagg.holder_messages import OpeningRequest, decode_holder_opening
from protocols.secagg.key_schedule import mask_private_key
from protocols.secagg.mask_removal import MaskSum, MaskWork, Peer, lost_work, sum_masks, survivor_work
from protocols.secagg.messages import (
    Advert,
    Stage,
    advert_of,
    decode_advert,
    decode_confirmation,
    decode_key_shares,
    decode_masked_input,
    decode_unmask,
    encode_list,
)
from protocols.secagg.recovery import Wanted, rebuild
from protocols.secagg.secure_sum import SecureSum
from protocols.secagg.share_records import RevealedShares
from protocols.secagg.transcript import (
    ShareKind,
    adverts_view,
    leaves,
    self_seed_commitment,
    shares_view,
    survivors_view,
    unmask_kinds,
)
from protocols.secagg.transitions import AGGREGATOR, AggregatorEvent, AggregatorState, next_state
from protocols.suite import parts


class Aggregator:
    """One round at the coordinator.

    Each `receive_…` raises `RemoteProtocolError`, naming the sender, for a message to go on without. Each
    `close_…` returns what to send to whom, or abandons the round and raises `BelowThreshold`. Calling either
    out of order is a `LocalProtocolError`.

    Args:
        context: The round.
    """

    def __init__(self, context: RoundContext) -> None:
        self._context = context
        self._state = AggregatorState.ADVERTISING
        self._total: RingVector = context.ring.zeros(0)
        self._u1: tuple[CouncilId, ...] = ()
        self._u2: tuple[CouncilId, ...] = ()
        self._u3: tuple[CouncilId, ...] = ()
        self._fixed: Thresholds | None = None
        self._clear()

    def _clear(self) -> None:
        self._received: dict[tuple[AggregatorEvent, CouncilId], bytes] = {}
        self._adverts: dict[CouncilId, tuple[SignedMessage, Advert]] = {}
        self._dealings: dict[CouncilId, Dealing] = {}
        self._headers: dict[CouncilId, SignedMessage] = {}
        self._statements: dict[CouncilId, SignedMessage] = {}
        self._answers: dict[CouncilId, RevealedShares] = {}
        self._opening = b""
        self._keys_in_use = set() if self._context.holder is None else set(parts(self._context.holder.key))

    @property
    def state(self) -> AggregatorState:
        """Where the round stands."""
        return self._state

    @property
    def thresholds(self) -> Thresholds:
        """n, t, c, h; fixed by :meth:`close_adverts`.

        Raises:
            LocalProtocolError: Not fixed yet.
        """
        if self._fixed is None:
            raise LocalProtocolError("the thresholds are not known before the adverts are closed")
        return self._fixed

    def abandon(self) -> None:
        """End the round with nothing; what was collected is dropped."""
        self._step(AggregatorEvent.ABANDON)
        self._clear()
        self._total = self._context.ring.zeros(0)

    # --- R0 ---

    def receive_advert(self, sender: CouncilId, message: bytes) -> None:
        """Accept a council's advert."""

        def accept() -> None:
            signed = decode_advert(message, self._context)
            advert = self._advert_from(sender, signed)
            self._adverts[sender] = signed, advert
            self._keys_in_use |= set(advert.key_parts)

        self._receive(AggregatorEvent.ADVERT, sender, self._context.eligible, lambda: (sha256(message), accept))

    def _advert_from(self, sender: CouncilId, signed: SignedMessage) -> Advert:
        self._verify(sender, signed)
        advert = advert_of(signed, self._context.suite, held=self._context.holder is not None)
        keys = set(advert.key_parts)
        # Every node would refuse the round, so a copied key must not get into it.
        if len(keys) != len(advert.key_parts) or keys & self._keys_in_use:
            raise RemoteProtocolError(f"{sender} advertised a key that is in use already")
        return advert

    def close_adverts(self) -> dict[CouncilId, bytes]:
        """Fix U1 and return ADVERTS for each of it.

        Raises:
            CohortRuleBroken: Too few councils for the cohort's rules.
        """
        self._step(AggregatorEvent.CLOSE_ADVERTS)
        self._adverts = dict(sorted(self._adverts.items()))
        self._u1 = tuple(self._adverts)
        with self._abandoning():
            self._fixed = self._context.rules.thresholds(len(self._u1))
        messages = [signed for signed, _ in self._adverts.values()]
        self._h1 = adverts_view(self._context.sid, messages, self._context.holder)
        return dict.fromkeys(self._u1, encode_list(Stage.ADVERTS, messages))

    # --- R1 ---

    def receive_key_shares(self, sender: CouncilId, message: bytes) -> None:
        """Accept what a council dealt to every member."""

        def accept() -> None:
            dealt, openings = decode_key_shares(message, self._context, self._u1)
            self._verify(sender, dealt.message)
            if dealt.h1 != self._h1:
                raise RemoteProtocolError(f"{sender} dealt for other adverts")
            if leaves(map(openings.encoded, range(openings.count))) != dealt.leaves:
                raise RemoteProtocolError(f"an opening from {sender} is not the one that it signed")
            self._dealings[sender] = Dealing(dealt=dealt, openings=openings)

        self._receive(AggregatorEvent.KEY_SHARES, sender, self._u1, lambda: (sha256(message), accept))

    def close_key_shares(self) -> Mapping[CouncilId, bytes]:
        """Fix U2 and return SHARES for each of it, each made when it is looked up.

        Raises:
            BelowThreshold: Fewer than t councils dealt.
        """
        self._close(AggregatorEvent.CLOSE_KEY_SHARES, len(self._dealings), "dealt key shares")
        self._dealings = dict(sorted(self._dealings.items()))
        self._u2 = tuple(self._dealings)
        self._h2 = shares_view(self._h1, (dealing.dealt.message for dealing in self._dealings.values()))
        self._total = self._context.ring.zeros(self._context.cells)
        return Deliveries(self._dealings, self._u1)

    # --- R2 ---

    def receive_masked_input(self, sender: CouncilId, message: bytes) -> None:
        """Add a council's masked vector to the sum; only its signed header is kept."""

        def arrive() -> _Arrival:
            header, vector = decode_masked_input(message, self._context)
            found = hashlib.sha256(vector).digest()  # the longest hash of a round: once, also to know it again

            def accept() -> None:
                self._verify(sender, header)
                if header.body != self._h2 + found:
                    raise RemoteProtocolError(f"{sender} signed another vector, or masked for other key shares")
                self._total += self._context.ring.read(vector)
                self._headers[sender] = header

            return header.encode() + found, accept

        self._receive(AggregatorEvent.MASKED_INPUT, sender, self._u2, arrive)

    def close_masked_inputs(self) -> dict[CouncilId, bytes]:
        """Fix U3 and return SURVIVORS for each of it.

        Raises:
            BelowThreshold: Fewer than t masked inputs.
        """
        self._close(AggregatorEvent.CLOSE_MASKED_INPUTS, len(self._headers), "sent masked inputs")
        self._headers = dict(sorted(self._headers.items()))
        self._u3 = tuple(self._headers)
        self._h3 = survivors_view(self._h2, self._headers.values())
        return dict.fromkeys(self._u3, encode_list(Stage.SURVIVORS, list(self._headers.values())))

    # --- R3 ---

    def receive_confirmation(self, sender: CouncilId, message: bytes) -> None:
        """Accept a survivor's signature on the list of survivors."""

        def accept() -> None:
            statement = decode_confirmation(message, self._context)
            self._verify(sender, statement)
            if statement.body != self._h3:
                raise RemoteProtocolError(f"{sender} confirmed another list of survivors")
            self._statements[sender] = statement

        self._receive(AggregatorEvent.CONFIRMATION, sender, self._u3, lambda: (sha256(message), accept))

    def close_confirmations(self) -> dict[CouncilId, bytes]:
        """Return STATEMENTS, with exactly t of the confirmations, for each of U3.

        Raises:
            BelowThreshold: Fewer than t confirmations.
        """
        self._close(AggregatorEvent.CLOSE_CONFIRMATIONS, len(self._statements), "confirmed the survivors")
        self._statements = dict(sorted(self._statements.items()))
        enough = list(self._statements.values())[: self.thresholds.t]  # each costs every node a verification
        return dict.fromkeys(self._u3, encode_list(Stage.STATEMENTS, enough))

    # --- the mask holder, where there is one ---

    def opening_request(self) -> bytes:
        """OPENING_REQUEST for the mask holder, to be answered before any council is sent STATEMENTS.

        Raises:
            LocalProtocolError: The round has no mask holder, or the confirmations are not closed.
        """
        self._holder()
        next_state(AGGREGATOR, self._state, AggregatorEvent.OPENING)
        request = OpeningRequest(
            adverts=tuple(signed for signed, _ in self._adverts.values()),
            dealt=tuple(dealing.dealt for dealing in self._dealings.values()),
            headers=tuple(self._headers.values()),
            statements=tuple(self._statements.values())[: self.thresholds.t],
        )
        return request.encode()

    def receive_opening(self, message: bytes) -> None:
        """Take the sum of the mask holder's masks off the total. Sent again, the same is ignored.

        Raises:
            RemoteProtocolError: Not the mask holder's (`culprit`), another vector than it signed, or of another h3.
            LocalProtocolError: The round has no mask holder, or it is not the time.
        """
        holder = self._holder()

        def arrive() -> _Arrival:
            head, vector = decode_holder_opening(message, self._context)
            found = hashlib.sha256(vector).digest()

            def accept() -> None:
                if head.sender != holder.id:
                    raise RemoteProtocolError(f"the sum was opened by {head.sender}; the mask holder is {holder.id}")
                verify_message(head, sid=self._context.sid, identity=holder.identity)
                if head.body != self._h3 + found:
                    raise RemoteProtocolError(f"{holder.id} opened another list of survivors, or signed another vector")
                self._total -= self._context.ring.read(vector)
                self._opening = head.encode()

            return head.encode() + found, accept

        self._receive(AggregatorEvent.OPENING, holder.id, (holder.id,), arrive)

    def _holder(self) -> Holder:
        if self._context.holder is None:
            raise LocalProtocolError("the round has no mask holder")
        return self._context.holder

    # --- R4 ---

    def receive_unmask(self, sender: CouncilId, message: bytes) -> None:
        """Accept a survivor's shares of one secret of each of U2."""

        def accept() -> None:
            kinds = unmask_kinds(self._u2, self._u3)
            signed, h3, revealed = decode_unmask(message, self._context, tuple(kinds.values()))
            self._verify(sender, signed)
            if h3 != self._h3:
                raise RemoteProtocolError(f"{sender} unmasked another list of survivors")
            self._answers[sender] = revealed

        self._receive(AggregatorEvent.UNMASK, sender, self._u3, lambda: (sha256(message), accept))

    def finish(self, sum_of: MaskSum = sum_masks) -> SecureSum:
        """Rebuild the seeds, remove the masks and return the sum. Step 7 of 8. Everything else is dropped.

        Args:
            sum_of: Sums masks; a coordinator with more than one core passes one that uses them.

        Raises:
            BelowThreshold: Fewer than t true answers; or shares that their dealer (`culprit`) dealt wrong.
            LocalProtocolError: The round has a mask holder, and its opening has not been received.
        """
        following = next_state(AGGREGATOR, self._state, AggregatorEvent.FINISH)
        if self._context.holder is not None and not self._opening:
            raise LocalProtocolError(f"{self._context.holder.id}, the mask holder, has not opened the sum")
        with self._abandoning():
            rebuilt = rebuild(
                [self._wanted(*one) for one in enumerate(unmask_kinds(self._u2, self._u3).items())],
                self._answers,
                sid=self._context.sid,
                threshold=self.thresholds.t,
                points={council: 1 + position for position, council in enumerate(self._u1)},
            )
            work = [self._work(owner, secret) for owner, secret in rebuilt.secrets.items()]
        self._total -= sum_of(work, self._context.ring, self._context.cells)
        result = SecureSum(
            total=self._context.ring.decode_signed(self._total),
            u1=self._u1,
            u2=self._u2,
            u3=self._u3,
            responders=tuple(sorted(self._answers)),
            bad_responders=rebuilt.bad_responders,
            thresholds=self.thresholds,
            h2=self._h2,
            h3=self._h3,
            input_digests={c: Digest(header.body[DIGEST_SIZE:]) for c, header in self._headers.items()},
            statements=tuple(statement.encode() for statement in self._statements.values()),
            opening=self._opening,
        )
        self._state = following
        self._clear()
        return result

    def _wanted(self, position: int, secret: tuple[CouncilId, ShareKind]) -> Wanted:
        owner, kind = secret
        openings = self._dealings[owner].openings
        return Wanted(owner=owner, position=position, kind=kind, fits=self._fits(owner, kind), openings=openings)

    def _fits(self, owner: CouncilId, kind: ShareKind) -> Callable[[int], bool]:
        sid = self._context.sid
        match kind:
            case ShareKind.SELF_MASK:
                signed = self._dealings[owner].dealt.self_commitment
                return lambda b_seed: self_seed_commitment(sid, owner, b_seed) == signed
            case ShareKind.MASK_KEY:
                advertised = self._adverts[owner][1].mask_key
                return lambda s_seed: (
                    mask_private_key(s_seed, sid=sid, owner=owner, suite=self._context.suite).public == advertised
                )

    def _work(self, owner: CouncilId, seed: int) -> MaskWork:
        if owner in self._headers:
            return survivor_work(owner, seed, h2=self._h2)
        places = {council: place for place, council in enumerate(self._u1)}

        def peer(survivor: CouncilId) -> Peer:
            lower, higher = sorted((owner, survivor))
            return Peer(
                council=survivor,
                mask_key=self._adverts[survivor][1].mask_key,
                wrapped=self._dealings[lower].openings.opening(places[higher]).wrapped,
            )

        peers = [peer(survivor) for survivor in self._u3]
        return lost_work(owner, seed, context=self._context, h1=self._h1, h2=self._h2, peers=peers)

    # --- shared ---

    def _step(self, event: AggregatorEvent) -> None:
        self._state = next_state(AGGREGATOR, self._state, event)

    def _close(self, event: AggregatorEvent, arrived: int, what: str) -> None:
        self._step(event)
        if arrived < self.thresholds.t:
            self.abandon()
            raise BelowThreshold(f"{arrived} councils have {what}; {self.thresholds.t} are needed")

    @contextmanager
    def _abandoning(self) -> Iterator[None]:
        try:
            yield
        except BelowThreshold:
            self.abandon()
            raise

    def _verify(self, sender: CouncilId, message: SignedMessage) -> None:
        if message.sender != sender:
            raise RemoteProtocolError(f"{sender} delivered a message in the name of {message.sender}")
        verify_message(message, sid=self._context.sid, identity=self._context.identity(sender))

    def _receive(
        self,
        event: AggregatorEvent,
        sender: CouncilId,
        expected: tuple[CouncilId, ...],
        arrive: Callable[[], "_Arrival"],
    ) -> None:
        following = next_state(AGGREGATOR, self._state, event)
        with _blaming(sender):
            if sender not in expected:
                raise RemoteProtocolError(f"{event.value} by {sender}, which is not in this stage")
            arrived, accept = arrive()
            earlier = self._received.get((event, sender))
            if earlier is None:
                accept()
                self._received[event, sender] = arrived
            elif earlier != arrived:
                raise RemoteProtocolError(f"{sender} sent {event.value} twice, and not the same")
        self._state = following


_Arrival: TypeAlias = tuple[bytes, Callable[[], None]]
"""What a message is known again by, and accepting it."""


@contextmanager
def _blaming(sender: CouncilId) -> Iterator[None]:
    """Name the sender of a bad message where the check itself could not."""
    try:
        yield
    except RemoteProtocolError as fault:
        if fault.culprit is None:
            fault.culprit = sender
        raise
