"""An honest round played stage by stage in memory, with every message and every state kept for tests."""

from collections.abc import Mapping

import numpy as np

from protocols.identifiers import CouncilId
from protocols.ring import Ring
from protocols.secagg import Aggregator, CohortRules, LedgerClaim, Profile, Stage
from protocols.secagg.run import prepare
from protocols.suite import Suite
from tests.vectors.seeded import SeededRandom

REPLIES = (Stage.ADVERT, Stage.KEY_SHARES, Stage.MASKED_INPUT, Stage.CONFIRMATION, Stage.UNMASK)
REQUESTS = (Stage.ADVERTS, Stage.SHARES, Stage.SURVIVORS, Stage.STATEMENTS)


def council_ids(n):
    return [CouncilId(f"E{number:08d}") for number in range(1, n + 1)]


class Rehearsal:
    """Sessions, an aggregator, and what passed between them.

    `replies[stage][council]` and `requests[stage][council]` are message bytes; `states[council]` maps the
    stage of a reply to the participant's frozen state after it (and `SHARES` to the state before masking).
    """

    def __init__(
        self,
        n=5,
        *,
        profile=Profile.CAREFUL,
        cells=3,
        bits=64,
        seed="rehearsal",
        min_cohort=4,
        min_honest=3,
        eligible=None,
        suite=Suite.X25519,
        holder=False,
    ):
        self.rng = SeededRandom(f"{seed}/{n}/{profile}/{cells}/{bits}")
        rules = CohortRules(profile=profile, eligible_count=eligible or n, min_cohort=min_cohort, min_honest=min_honest)
        parties = prepare(
            council_ids(eligible or n),
            rules=rules,
            ring=Ring(bits=bits),
            cells=cells,
            rng=self.rng,
            suite=suite,
            holder=holder,
        )
        self.context = parties.context
        self.holder = parties.holder
        self.all_sessions = dict(parties.councils)
        self.sessions = {council: self.all_sessions[council] for council in council_ids(n)}
        self.aggregator = Aggregator(self.context)
        self.claim = LedgerClaim(counter=7, head=b"h" * 32, seen=tuple(range(len(self.context.eligible))))
        values = np.frombuffer(self.rng(8 * n * cells), dtype="<i4").reshape(n, 2 * cells)[:, :cells]
        self.inputs = {council: values[i].astype(np.int64) for i, council in enumerate(self.sessions)}
        self.replies: dict[Stage, dict[CouncilId, bytes]] = {stage: {} for stage in REPLIES}
        self.requests: dict[Stage, Mapping[CouncilId, bytes]] = {}
        self.states = {council: {} for council in self.all_sessions}

    def sign(self, council):
        return self.all_sessions[council]._sign

    def advertise(self, drop=()):
        for council, session in self.sessions.items():
            if council not in drop:
                message = session.advertise(self.claim)
                self._keep(Stage.ADVERT, council, message)
                self.aggregator.receive_advert(council, message)
        return self

    def share_keys(self, drop=()):
        self._request(Stage.ADVERTS, self.aggregator.close_adverts())
        for council, request in self.requests[Stage.ADVERTS].items():
            if council not in drop:
                message = self.sessions[council].share_keys(request)
                self._keep(Stage.KEY_SHARES, council, message)
                self.aggregator.receive_key_shares(council, message)
        return self

    def accept_shares(self, drop=()):
        self._request(Stage.SHARES, self.aggregator.close_key_shares())
        for council, request in self.requests[Stage.SHARES].items():
            if council not in drop:
                self.sessions[council].accept_shares(request)
                self.states[council][Stage.SHARES] = self.sessions[council]._stage
        return self

    def mask(self, drop=()):
        for council in self.requests[Stage.SHARES]:
            if council not in drop:
                message = self.sessions[council].mask(self.inputs[council])
                self._keep(Stage.MASKED_INPUT, council, message)
                self.aggregator.receive_masked_input(council, message)
        return self

    def confirm(self, drop=()):
        self._request(Stage.SURVIVORS, self.aggregator.close_masked_inputs())
        for council, request in self.requests[Stage.SURVIVORS].items():
            if council not in drop:
                message = self.sessions[council].confirm_survivors(request)
                self._keep(Stage.CONFIRMATION, council, message)
                self.aggregator.receive_confirmation(council, message)
        return self

    def unmask(self, drop=(), *, withheld=False):
        self._request(Stage.STATEMENTS, self.aggregator.close_confirmations())
        if self.holder is not None and not withheld:
            self.opening_request = self.aggregator.opening_request()
            self.opening = self.holder.open(self.opening_request)
            self.aggregator.receive_opening(self.opening)
        for council, request in self.requests[Stage.STATEMENTS].items():
            if council not in drop:
                message = self.sessions[council].unmask(request)
                self._keep(Stage.UNMASK, council, message)
                self.aggregator.receive_unmask(council, message)
        return self

    def play(self, *, upto=Stage.UNMASK, drop=None, withheld=False):
        """Everything up to and including the replies of a stage; `drop` maps a reply stage to who is lost before it.

        A mask holder opens before the councils unmask, unless its opening is `withheld`.
        """
        drop, lost = drop or {}, set()
        for stage in REPLIES:
            lost |= set(drop.get(stage, ()))
            match stage:
                case Stage.ADVERT:
                    self.advertise(lost)
                case Stage.KEY_SHARES:
                    self.share_keys(lost)
                case Stage.MASKED_INPUT:
                    self.accept_shares(lost).mask(lost)
                case Stage.CONFIRMATION:
                    self.confirm(lost)
                case Stage.UNMASK:
                    self.unmask(lost, withheld=withheld)
            if stage is upto:
                break
        return self

    def expected(self, councils):
        return sum(self.inputs[council] for council in councils)

    def _keep(self, stage, council, message):
        self.replies[stage][council] = message
        self.states[council][stage] = self.sessions[council]._stage

    def _request(self, stage, messages):
        self.requests[stage] = dict(messages)
