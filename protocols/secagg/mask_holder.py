"""The mask holder's side of a round: a second body without whose opening nobody gets a sum.

It has no data and sees no sum. It advertises a key before any council is invited; each council adds one mask more to
its input, shared with the holder alone; and once t councils have signed one list of survivors, the holder gives the sum
of those masks over that list. It believes nobody but councils of the pinned roster: from what they signed it works out
h1, h2 and h3 itself. For each round there is one list ever.

Without it a coordinator that has every seed of the round has uniform words. What it gives is one vector, in which no
council's mask shows, as the list has t councils.

References:
    `docs/adr/0015-a-second-body-may-hold-masks.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from protocols.encoding import sha256
from protocols.envelope import Sign, sign_message, verify_message
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.identifiers import CouncilId, Digest, RandomSource, RoundId
from protocols.masks import ONE_CORE, Cores, MaskKey, add_masks
from protocols.secagg.checks import accepted_adverts, check_headers, check_statements, check_subset, verify
from protocols.secagg.context import Holder, RoundContext
from protocols.secagg.holder_masks import holder_mask, met_by_holder
from protocols.secagg.holder_messages import OpeningRequest, decode_holder_advert, decode_opening_request
from protocols.secagg.messages import Stage
from protocols.secagg.transcript import adverts_view, shares_view, survivors_view
from protocols.secagg.transitions import HOLDER, HolderEvent, HolderState, next_state
from protocols.suite import PrivateKey, Suite

__all__ = ["HolderSession", "Opened", "holder_of"]


def holder_of(advert: bytes, *, sid: RoundId, id: CouncilId, identity: bytes, suite: Suite) -> Holder:  # noqa: A002
    """The mask holder of a round, from its advert. Run by every council, and by the coordinator.

    Args:
        advert: HOLDER_ADVERT.
        sid: The round.
        id: The mask holder, as the agreement names it.
        identity: Raw Ed25519 public key that the agreement pins for it.
        suite: Of the round.

    Raises:
        MalformedMessage: Not an advert of this suite.
        RemoteProtocolError: By another body, of another round, or not signed by the pinned key.
    """
    message = decode_holder_advert(advert, suite)
    if message.sender != id:
        raise RemoteProtocolError(f"the mask holder is {id}; this advert is by {message.sender}", culprit=id)
    verify_message(message, sid=sid, identity=identity)
    return Holder(id=id, identity=identity, advert=advert, key=message.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What an opening is of: to be written down before it leaves.

    Attributes:
        h3: The view of the survivors.
        survivors: U3, whose sum it opens.
    """

    h3: Digest
    survivors: tuple[CouncilId, ...]


class HolderSession:
    """The mask holder in one round; lives in memory only.

    1. The request that was answered before gets the same bytes.
    2. Another request ends the round here: one list of survivors, ever.
    3. Whatever is refused ends the round. An ended session holds no secret and answers nothing.

    Args:
        context: The round as the mask holder has checked it, without a holder: its own advert is still to be made.
        me: Its id, as the agreement names it.
        sign: Its identity key.
        rng: Secure random bytes.
        identity: Raw Ed25519 public key that the agreement pins for it; an advert it does not fit is not made.
        cores: Where masks are made.
    """

    def __init__(
        self,
        context: RoundContext,
        me: CouncilId,
        sign: Sign,
        rng: RandomSource,
        *,
        identity: bytes,
        cores: Cores = ONE_CORE,
    ) -> None:
        if context.holder is not None:
            raise LocalProtocolError("a mask holder makes its own advert; the context has one already")
        self._context = context
        self._me = me
        self._sign = sign
        self._rng = rng
        self._identity = identity
        self._cores = cores
        self._state = HolderState.CREATED
        self._forget()

    def _forget(self) -> None:
        self._private: PrivateKey | None = None
        self._asked: Digest | None = None
        self._opened: Opened | None = None
        self._masks: tuple[MaskKey, ...] = ()
        self._reply = b""

    @property
    def state(self) -> HolderState:
        """Where the mask holder stands."""
        return self._state

    def advertise(self) -> bytes:
        """HOLDER_ADVERT: a fresh key for this round, signed. Call once, and re-send its bytes if asked again.

        Raises:
            LocalProtocolError: Called before, or `sign` is not the key that the agreement pins.
        """
        following = next_state(HOLDER, self._state, HolderEvent.ADVERTISE)
        context, suite = self._context, self._context.suite
        private = PrivateKey.read(self._rng(suite.private_size), suite)
        body = private.public
        message = sign_message(sid=context.sid, stage=Stage.HOLDER_ADVERT, sender=self._me, body=body, sign=self._sign)
        try:
            holder = holder_of(
                message.encode(), sid=context.sid, id=self._me, identity=self._identity, suite=context.suite
            )
        except RemoteProtocolError as problem:  # every council would refuse the round
            raise LocalProtocolError(f"{self._me} does not sign with the key that the agreement pins") from problem
        self._context = replace(context, holder=holder)
        self._private = private
        self._state = following
        return holder.advert

    def prepare(self, request: bytes) -> Opened:
        """Check an OPENING_REQUEST, and say what :meth:`open` would open.

        Checks: (1) the adverts are of eligible councils, enough of them, no key twice; (2) t of those dealt key
        shares in that view; (3) t of those signed a masked input in the view of the shares; (4) t of those signed
        that list of survivors.

        Raises:
            CohortRuleBroken: Too few councils for the cohort's rules.
            BelowThreshold: Too few at a later stage.
            RemoteProtocolError: A check fails, a second and different request, or the round has ended here.
            LocalProtocolError: Nothing was advertised.
        """
        asked = sha256(request)
        if self._opened is not None:
            if self._asked != asked:
                self.end()
                raise RemoteProtocolError("the coordinator asked to open a second, different list of survivors")
            return self._opened
        if self._state is HolderState.ENDED:
            raise RemoteProtocolError("the round has ended at the mask holder")
        following = next_state(HOLDER, self._state, HolderEvent.REQUEST)
        try:
            opened, masks = self._checked(decode_opening_request(request, self._context))
        except RemoteProtocolError:
            self.end()
            raise
        self._private = None  # the masks of this list are all that is left of it
        self._state, self._asked, self._opened, self._masks = following, asked, opened, masks
        return opened

    def _checked(self, request: OpeningRequest) -> tuple[Opened, tuple[MaskKey, ...]]:
        context, private = self._context, self._private
        if private is None:  # the table has made sure of it
            raise LocalProtocolError("the mask holder has no key for this round")
        thresholds = context.rules.thresholds(len(request.adverts))
        adverts = accepted_adverts(context, request.adverts)  # (1)
        h1 = adverts_view(context.sid, request.adverts, context.holder)
        sharers = tuple(dealt.message.sender for dealt in request.dealt)
        check_subset(sharers, tuple(adverts), threshold=thresholds.t, what="dealt key shares")  # (2)
        for dealt in request.dealt:
            verify(context, dealt.message)
            if dealt.h1 != h1:
                raise RemoteProtocolError(f"{dealt.message.sender} was shown other adverts than {self._me}")
        h2 = shares_view(h1, (dealt.message for dealt in request.dealt))
        survivors = tuple(header.sender for header in request.headers)
        check_subset(survivors, sharers, threshold=thresholds.t, what="sent masked inputs")  # (3)
        check_headers(context, request.headers, h2=h2)
        h3 = survivors_view(h2, request.headers)
        check_statements(context, request.statements, survivors, h3=h3, threshold=thresholds.t)  # (4)
        keys = {council: adverts[council].holder_key for council in survivors}
        return Opened(h3=h3, survivors=survivors), tuple(self._masks_with(keys, private, h2))

    def _masks_with(self, keys: Mapping[CouncilId, bytes], private: PrivateKey, h2: Digest) -> list[MaskKey]:
        plan_digest, me = self._context.plan_digest, self._me
        return [
            holder_mask(met_by_holder(private, key), h2=h2, plan_digest=plan_digest, owner=council, holder=me)
            for council, key in keys.items()
        ]

    def open(self, request: bytes) -> bytes:
        """OPENING: the sum of the survivors' masks with the mask holder, signed. See :meth:`prepare` for the checks.

        Shapes:
            The vector is `(cells,)`, as little-endian ring words.

        Privacy:
            Opens one sum over at least t councils, once. Alone it is uniform: it says nothing about any council.
        """
        opened = self.prepare(request)
        if not self._reply:
            following = next_state(HOLDER, self._state, HolderEvent.OPEN)
            context = self._context
            total = context.ring.zeros(context.cells)
            add_masks(total, self._masks, context.ring, self._cores)
            content = total.tobytes()
            body = opened.h3 + sha256(content)
            head = sign_message(sid=context.sid, stage=Stage.OPENING, sender=self._me, body=body, sign=self._sign)
            self._reply = head.encode() + content
            self._masks = ()
            self._state = following
        return self._reply

    def end(self) -> None:
        """End the round for the mask holder: its secrets and the kept reply are dropped."""
        self._state = next_state(HOLDER, self._state, HolderEvent.END)
        self._forget()
