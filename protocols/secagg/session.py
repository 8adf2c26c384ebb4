"""A council's session in one round: the table of legal steps, and the same answer to the same request.

This is what the node uses. The rules, in order:

1. A request that was answered before gets the same reply bytes, whatever came after it: a council that
   reconnects is sent its request again.
2. A different second request of a stage ends the round for this council: one view, one masked input, one
   list of survivors, one unmask answer.
3. A message out of order ends the round too. A wrong call by the node's own code is refused and changes nothing.
4. Whatever a stage function refuses ends the round. An ended session holds no secret and answers nothing.
"""

from collections.abc import Callable
from typing import TypeVar

from protocols.encoding import sha256
from protocols.envelope import Sign
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.identifiers import CouncilId, Digest, RandomSource
from protocols.masks import ONE_CORE, Cores
from protocols.ring import IntegerVector
from protocols.secagg import participant
from protocols.secagg.cohort import Thresholds
from protocols.secagg.context import LedgerClaim, RoundContext
from protocols.secagg.participant_states import (
    Advertised,
    Cohort,
    Confirmed,
    Masked,
    ReadyToMask,
    SharedKeys,
    StageState,
)
from protocols.secagg.transitions import PARTICIPANT, ParticipantEvent, ParticipantState, next_state

Stage = TypeVar("Stage", bound=StageState)


class ParticipantSession:
    """One council in one round; lives in memory only.

    Args:
        context: The round, as this council has checked it.
        me: This council.
        sign: Its identity key.
        rng: Secure random bytes.
        cores: Where masks are made.
    """

    def __init__(
        self, context: RoundContext, me: CouncilId, sign: Sign, rng: RandomSource, *, cores: Cores = ONE_CORE
    ) -> None:
        self._context = context
        self._me = me
        self._sign = sign
        self._rng = rng
        self._cores = cores
        self._state = ParticipantState.CREATED
        self._stage: StageState | None = None
        self._requests: dict[ParticipantEvent, Digest] = {}
        self._replies: dict[ParticipantEvent, bytes] = {}
        self._cohort: Cohort | None = None
        self._survivors: tuple[CouncilId, ...] = ()

    @property
    def state(self) -> ParticipantState:
        """Where this council stands."""
        return self._state

    @property
    def context(self) -> RoundContext:
        """The round."""
        return self._context

    @property
    def cohort(self) -> Cohort:
        """U1, its thresholds and its ledger claims; known after :meth:`share_keys`, also once ended.

        Raises:
            LocalProtocolError: Not known yet.
        """
        if self._cohort is None:
            raise LocalProtocolError("the cohort is not known before the adverts are accepted")
        return self._cohort

    @property
    def thresholds(self) -> Thresholds:
        """n, t, c and h of the round; h fixes the noise share. Known when :attr:`cohort` is."""
        return self.cohort.thresholds

    @property
    def survivors(self) -> tuple[CouncilId, ...]:
        """U3 as this council signed it; empty before that. Also known once ended."""
        return self._survivors

    def advertise(self, claim: LedgerClaim) -> bytes:
        """R0: the advert to send; call once, and re-send its bytes if asked again.

        Raises:
            LocalProtocolError: Called before, or the claim does not fit the round.
        """
        following = next_state(PARTICIPANT, self._state, ParticipantEvent.ADVERTISE)
        self._stage, advert = participant.advertise(self._context, self._me, self._sign, self._rng, claim)
        self._state = following
        return advert

    def share_keys(self, adverts: bytes) -> bytes:
        """R1, first half: ADVERTS to KEY_SHARES; see :func:`participant.share_keys`."""

        def step() -> tuple[StageState, bytes]:
            shared, reply = participant.share_keys(self._at(Advertised), adverts, self._rng, self._sign)
            self._cohort = shared.cohort
            return shared, reply

        return self._answer(ParticipantEvent.ADVERTS, adverts, step)

    def accept_shares(self, shares: bytes) -> None:
        """R1, second half: SHARES; the reply is the masked input. See :func:`participant.accept_shares`.

        Asked again with the same bytes it does nothing; :meth:`answered` gives the masked input, if made.
        """

        def step() -> tuple[StageState, bytes]:
            return participant.accept_shares(self._at(SharedKeys), shares), b""

        self._answer(ParticipantEvent.SHARES, shares, step)

    def mask(self, vector: IntegerVector) -> bytes:
        """R2: the masked input to send, the reply to SHARES. Never made twice: see :func:`participant.mask_input`.

        Raises:
            LocalProtocolError: Not the time for it, or the vector does not fit the plan; nothing is changed.
        """
        following = next_state(PARTICIPANT, self._state, ParticipantEvent.MASK)
        self._stage, reply = participant.mask_input(self._at(ReadyToMask), vector, self._sign, self._cores)
        self._state = following
        self._replies[ParticipantEvent.SHARES] = reply
        return reply

    def confirm_survivors(self, survivors: bytes) -> bytes:
        """R3: SURVIVORS to CONFIRMATION; see :func:`participant.confirm_survivors`."""

        def step() -> tuple[StageState, bytes]:
            confirmed, reply = participant.confirm_survivors(self._at(Masked), survivors, self._sign)
            self._survivors = confirmed.survivors
            return confirmed, reply

        return self._answer(ParticipantEvent.SURVIVORS, survivors, step)

    def unmask(self, statements: bytes) -> bytes:
        """R4: STATEMENTS to UNMASK; see :func:`participant.unmask`. The last secret goes with the answer."""

        def step() -> tuple[StageState, bytes]:
            return participant.unmask(self._at(Confirmed), statements, self._sign)

        return self._answer(ParticipantEvent.STATEMENTS, statements, step)

    def answered(self, request: bytes) -> bytes | None:
        """The masked input, if it was made for these very bytes; for a council that is asked again.

        The reply to an earlier stage's request must not pass for a masked input, which is charged.
        """
        if self._requests.get(ParticipantEvent.SHARES) != sha256(request):
            return None
        return self._replies.get(ParticipantEvent.SHARES)

    def end(self) -> None:
        """End the round for this council: secrets and kept replies are dropped."""
        self._state = next_state(PARTICIPANT, self._state, ParticipantEvent.END)
        self._stage = None
        self._requests.clear()
        self._replies.clear()

    def _answer(self, event: ParticipantEvent, request: bytes, step: Callable[[], tuple[StageState, bytes]]) -> bytes:
        asked = sha256(request)
        if event in self._requests:
            return self._repeat(event, asked)
        following = self._legal(event)
        try:
            self._stage, reply = step()
        except RemoteProtocolError:
            self.end()
            raise
        self._state = following
        self._requests[event] = asked
        if reply:
            self._replies[event] = reply
        return reply

    def _repeat(self, event: ParticipantEvent, asked: Digest) -> bytes:
        if self._requests[event] != asked:
            self.end()
            raise RemoteProtocolError(f"the coordinator sent a second, different {event.value} message")
        return self._replies.get(event, b"")

    def _legal(self, event: ParticipantEvent) -> ParticipantState:
        try:
            return next_state(PARTICIPANT, self._state, event)
        except LocalProtocolError as problem:  # here it is the coordinator that is out of order
            found = self._state.value
            self.end()
            raise RemoteProtocolError(f"the coordinator's {event.value} message is out of order ({found})") from problem

    def _at(self, kind: type[Stage]) -> Stage:
        if not isinstance(self._stage, kind):  # the table has made sure of it
            raise LocalProtocolError(f"the session is not at {kind.__name__}")
        return self._stage
