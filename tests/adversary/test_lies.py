"""A coordinator that is the real one but for one lie: it is refused in words, learns nothing more, and costs no more."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from coordinator.round_report import RoundOrder, RoundReport
from council_node.local_statistic import LocalStatistic
from federated.ledger_entries import RoundState
from federated.plan import Plan
from federated.privacy import sample_noise_share
from federated.privacy.laws import ReleasedNoise
from protocols.identifiers import CouncilId
from protocols.secagg import participant
from protocols.secagg.transcript import ShareKind
from protocols.suite import Suite
from protocols.wire.link_message import Kind, LinkMessage
from tests.adversary.catalogue import LIES, cases
from tests.adversary.fates import STOPPED, SUCCEEDED
from tests.adversary.lying_coordinator import (
    COLLUDERS,
    COUNCILS,
    HELD,
    ONE_LOST,
    OTHER,
    TRUTH,
    VICTIM,
    WITNESS,
    End,
    Liar,
    Lie,
    Tale,
    Told,
    Witnessed,
    hold,
)
from tests.adversary.plunder import Plunder, sums_of
from tests.integration.federation_world import NOW, Said, World
from tests.integration.mask_holder_world import HeldWorld

ENOUGH_CELLS = 150
"""To tell the variance of the noise in a sum: within a half and twice of what was planned."""
REFUSALS = {Kind.REFUSAL, Kind.COMPLAINT, Kind.FAULT}


def counted_once(compute: Callable[..., LocalStatistic]) -> Callable[..., LocalStatistic]:
    """A council's own counting, done once for each question: all lies are told of the same few."""
    known: dict[tuple[str, ...], LocalStatistic] = {}

    def counted(plan: Plan, *iteration: Any) -> LocalStatistic:
        asked = tuple(map(repr, plan.question.tables))
        if asked not in known:
            known[asked] = compute(plan, *iteration)
        return replace(known[asked], vector=known[asked].vector.copy())  # a node overwrites its own

    return counted


class Federation:
    """Six councils for all lies under a key agreement that leave them as they were; others of their own for the rest."""

    def __init__(self, folder: Path, witnessed: Witnessed) -> None:
        self._folder = folder
        self._worlds: dict[str, World] = {}
        self.witnessed = witnessed

    def world(self, lie: Lie, suite: Suite) -> World:
        options = {"epsilon": "40", "agreement": {"key_agreement": suite.value}, **lie.world}
        name = re.sub(r"\W+", "-", repr((lie.held, sorted(options.items()))))
        if name not in self._worlds:
            folder = self._folder / name
            folder.mkdir()
            self._worlds[name] = self._made(folder, lie, **options)
            for seat in self._worlds[name].seats().values():
                seat.station.compute = counted_once(seat.station.compute)
        return self._worlds[name]

    @staticmethod
    def _made(folder: Path, lie: Lie, **options: Any) -> World:
        if not lie.held:
            return World(folder, councils=COUNCILS, **options)
        made = HeldWorld(folder, councils=COUNCILS, **options)
        made.told()
        return made

    def close(self) -> None:
        for world in self._worlds.values():
            world.__exit__(None, None, None)

    # What must hold whatever is told

    def hold(self, lie: Lie, suite: Suite = Suite.X25519) -> Liar:
        """Tell a lie; afterwards nobody has spent more than left it, and nothing opens but the released sums."""
        world = self.world(lie, suite)
        before = {council: self.ledger(world, council) for council in COUNCILS}
        self.last = liar = hold(world, lie)
        for council in COUNCILS:
            self.check_ledger(liar, council, *before[council])
        for order, report in zip(liar.orders, liar.reports, strict=True):
            assert order.context().suite is suite
            self.check_opened(liar, order, report)
        self.check_sums(liar)
        return liar

    def check_opened(self, liar: Liar, order: RoundOrder, report: RoundReport) -> None:
        """The coordinator has the sum or nothing; with all that the colluders know too, the same but for what is theirs.

        Colluders may have a sum that the coordinator has not: of councils that as many have confirmed as for any sum.
        """
        truth = self.witnessed.truth(order.sid)
        summed = frozenset[CouncilId]() if report.result is None else frozenset(report.result.u3)
        check_no_more(liar.plunder(order).opened(truth), {summed} - {frozenset()}, "the coordinator")
        found = self.witnessed.give(liar.plunder(order), COLLUDERS)
        found.pair_seeds |= liar.pair_seeds
        own = [council for council in COLLUDERS if council in found.inputs]
        may = summed or liar.opened_in_private(order)
        check_no_more(found.opened(truth), sums_of(may.difference(COLLUDERS), own), "it, with two colluding councils,")

    @staticmethod
    def ledger(world: World, council: CouncilId) -> tuple[frozenset[bytes], Fraction]:
        """The rounds that a council's ledger knows, and what is spent and reserved."""
        ledger = world.seat(council).station.ledger
        spent = ledger.committed(world.agreement.id, str(NOW.year)).epsilon
        return frozenset(item.sid for item in ledger.rounds()), spent

    def check_ledger(self, liar: Liar, council: CouncilId, known: frozenset[bytes], before: Fraction) -> None:
        """Each round in which a masked input left is charged, once and in full; no other is, and nothing stays reserved."""
        world = liar.world
        new = [item for item in world.seat(council).station.ledger.rounds() if item.sid not in known]
        left = {
            (item.request.reference, item.reply.payload)
            for item in liar.heard
            if item.council == council and item.reply.kind is Kind.MASKED_INPUT
        }
        spent = [item.sid for item in new if item.state is RoundState.SPENT]
        charged = f"{SUCCEEDED}: {council} sent {len(left)} masked input(s) and is charged for {len(spent)}"
        assert sorted(sid for sid, _ in left) == sorted(spent), charged
        assert {item.state for item in new} <= {RoundState.SPENT, RoundState.RELEASED}, f"{SUCCEEDED}: a charge waits"
        cost = sum((item.charge.epsilon for item in new if item.state is RoundState.SPENT), Fraction(0))
        assert self.ledger(world, council)[1] - before == cost, f"{SUCCEEDED}: {council} is not charged in full"

    def check_sums(self, liar: Liar) -> None:
        """Every sum is that of what its councils masked; two sums do not differ by what councils counted.

        Where a sum has cells enough to tell, it carries the whole noise, and so does the difference of two sums.
        """
        noises = []
        for order, report in zip(liar.orders, liar.reports, strict=True):
            if report.result is not None:
                masked, councils = self.witnessed.truth(order.sid), report.result.u3
                true = sum(masked[council] for council in councils)
                assert report.result.total.tolist() == true.tolist(), f"{SUCCEEDED}: a false sum is published"
                exact = sum(self.witnessed.exact[order.sid, council] for council in councils)
                law = order.plan.released_noise(0, joined=len(order.councils), contributors=len(councils))
                noises.append((report.result.total - exact, law))
        for (noise, law), (other, others) in pairwise(noises):
            assert noise.tolist() != other.tolist(), f"{SUCCEEDED}: two sums differ by what councils counted"
            if len(noise) >= ENOUGH_CELLS:
                check_noise(noise, law.sd**2, law)
                check_noise(other, others.sd**2, others)
                check_noise(noise - other, law.sd**2 + others.sd**2, law)


def check_no_more(opened: set[frozenset[CouncilId]], may: set[frozenset[CouncilId]], who: str) -> None:
    """An attack opens the sums that it may, so that it is one, and no other."""
    assert opened <= may, f"{SUCCEEDED}: {who} opens {[sorted(councils) for councils in opened - may]}"
    assert opened == may


def check_noise(noise: np.ndarray, variance: float, law: ReleasedNoise) -> None:
    """Noise of one cell beside another varies as planned: no less than by five standard deviations of such a measure."""
    found = float((noise.astype(float) ** 2).mean()) / variance
    deviation = sqrt((law.excess_kurtosis + 2) / len(noise))
    assert found > 1 - 5 * deviation, f"{SUCCEEDED}: of the planned noise, a sum carries {found:.2f} (in variance)"
    assert found < 1 + 10 * deviation


@pytest.fixture(scope="module")
def federation(tmp_path_factory) -> Iterator[Federation]:
    with pytest.MonkeyPatch.context() as patch:
        made = Federation(tmp_path_factory.mktemp("liar"), Witnessed(patch))
        yield made
        made.close()


def said(liar: Liar, told: Told) -> Said:
    return liar.seat(told.council).read(told.reply)


def plain(words: str) -> bool:
    """Whether a person can make something of it: a sentence, without hashes and the insides of programs."""
    return len(words.split()) > 4 and not re.search(r"[0-9a-f]{32}|Traceback|Error|[<>{}\\]", words)


def check_told(liar: Liar) -> None:
    """A lie that no node ever got would be refused by nobody, and the test would say nothing."""
    assert liar.told, "no lie was told"
    for told in liar.told:
        assert told.differs, f"{told.council} was told the truth"


def answers(liar: Liar) -> list[Said]:
    """What was said to each lie of the stage in which it is refused."""
    return [said(liar, told) for told in liar.told if told.stage in {liar.lie.at, None}]


def refuses(answer: Said) -> bool:
    return answer.kind in REFUSALS or answer.body.get("decision") == "refused"


def check_end(liar: Liar, lie: Lie) -> None:
    """A lie that gained nothing came to nothing by what its row says, in words that a person understands."""
    match lie.end:
        case End.REFUSED:
            assert answers(liar)
            for answer in answers(liar):
                assert refuses(answer), f"{became(liar)}: {answer.kind.name} was answered"
                expected = lie.rule in f"{answer.rule} {answer.words}" and lie.words in answer.words
                assert expected, f"{STOPPED}: {answer.rule} {answer.words}"
                assert plain(answer.words), answer.words
        case End.NO_SUM:
            [report] = liar.reports
            assert report.result is None, f"{SUCCEEDED}: an answer came of it"
            expected = report.rule == lie.rule and lie.words in report.reason
            assert expected, f"{STOPPED}: {report.rule} {report.reason}"
            assert plain(report.reason)
        case End.HONEST_SUM:
            for report in liar.reports:
                assert report.result is not None, f"{STOPPED}: {report.rule} {report.reason}"
            refused = [said(liar, told) for told in liar.told if said(liar, told).kind in REFUSALS]
            assert not refused, f"{STOPPED}: {refused[0].rule} {refused[0].words}"


def became(liar: Liar) -> str:
    """What became of a lie that a council took."""
    heard = (liar.seat(item.council).read(item.reply.encode()) for item in liar.heard)
    if later := next(filter(refuses, heard), None):
        return f"{STOPPED}, later ({later.rule} {later.words})"
    ended = [report.reason for report in liar.reports if report.result is None]
    return f"nobody refused it, and no sum came of it ({ended[0]})" if ended else SUCCEEDED


@pytest.mark.parametrize(("lie", "suite"), cases())
def test_the_lie_gains_nothing(federation, lie, suite):
    liar = federation.hold(lie, suite)
    check_told(liar)
    check_end(liar, lie)


def test_a_lie_that_is_taken_and_one_that_another_guard_refuses_are_told_apart(federation):
    taken = federation.hold(replace(TRUTH, tell=the_truth_told_as_a_lie, at=Kind.SURVIVORS))
    with pytest.raises(AssertionError, match=f"^{SUCCEEDED}: CONFIRMATION"):
        check_end(taken, replace(taken.lie, end=End.REFUSED))
    later = federation.hold(lie_called("aborted_for_a_refund"))
    with pytest.raises(AssertionError, match=f"^{STOPPED}, later"):
        check_end(later, replace(later.lie, end=End.REFUSED))
    refused = federation.hold(lie_called("swapped_key"))
    check_end(refused, refused.lie)
    for other in (replace(refused.lie, words="of another guard"), replace(refused.lie, end=End.HONEST_SUM)):
        with pytest.raises(AssertionError, match=f"^{STOPPED}: "):
            check_end(refused, other)


def test_noise_that_is_less_than_planned_is_noticed(federation):
    plan = federation.hold(lie_called("again_without_the_victim")).proposal.plan
    assert plan.cells >= ENOUGH_CELLS
    law = plan.released_noise(0, joined=6, contributors=6)
    shares = [sample_noise_share(plan.noise, honest=law.honest, rng=Random(n).randbytes) for n in range(6)]
    check_noise(whole := sum(shares), law.sd**2, law)
    # Halved; the victim's alone, as in the difference of two sums that carry the same noise otherwise; none.
    for less in (whole / 2, shares[0], np.zeros(plan.cells)):
        with pytest.raises(AssertionError, match=f"^{SUCCEEDED}: of the planned noise"):
            check_noise(less, law.sd**2, law)


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("control", [TRUTH, ONE_LOST, HELD], ids=lambda lie: lie.name)
def test_without_a_lie_the_same_driver_has_the_sum_and_each_is_charged_once(federation, control, suite):
    liar = federation.hold(control, suite)
    [report] = liar.reports
    assert liar.told == []
    assert report.result.u3 == (tuple(c for c in COUNCILS if c != OTHER) if control is ONE_LOST else COUNCILS)
    sent = [item.council for item in liar.heard if item.reply.kind is Kind.MASKED_INPUT]
    assert sorted(sent) == list(COUNCILS)
    exact = sum(federation.witnessed.exact[report.order.sid, council] for council in report.result.u3)
    noise = report.order.plan.released_noise(0, joined=6, contributors=len(report.result.u3))
    assert np.abs(report.result.total - exact).max() <= float(noise.half_width(1 - Fraction(1, 10**9))[0])
    assert exact.sum() == 60 * len(report.result.u3)


def test_every_lie_has_a_name_of_its_own_and_there_are_enough():
    assert len(LIES) >= 25
    for of in (lambda lie: lie.name, lambda lie: lie.attack):
        assert len({of(lie) for lie in LIES}) == len(LIES)


def the_truth_told_as_a_lie(_liar: Liar, _council: CouncilId, message: LinkMessage) -> Tale | None:
    return Tale(told=message.encode()) if message.kind is Kind.SURVIVORS else None


def test_a_lie_that_is_not_told_is_noticed(federation):
    liar = federation.hold(replace(TRUTH, tell=the_truth_told_as_a_lie))
    with pytest.raises(AssertionError, match="was told the truth"):
        check_told(liar)
    liar.told.clear()
    with pytest.raises(AssertionError, match="no lie was told"):
        check_told(liar)


def with_all_shares(liar: Liar, _council: CouncilId, message: LinkMessage) -> Tale | None:
    if message.kind is Kind.SURVIVORS and not liar.dealt:
        liar.collude(*COUNCILS[:5])
    return None


def opened(federation: Federation) -> set[frozenset[CouncilId]]:
    """What the attack opens of the last round that was held."""
    order = federation.last.orders[-1]
    return federation.last.plunder(order).opened(federation.witnessed.truth(order.sid))


@pytest.mark.parametrize("suite", Suite)
def test_with_the_shares_of_as_many_councils_as_rebuild_a_secret_everything_opens(federation, suite):
    """The power of the attack that each lie ends with: it fails for want of shares, and not by itself."""
    with pytest.raises(AssertionError):
        federation.hold(replace(TRUTH, tell=with_all_shares), suite)
    assert len(opened(federation)) == 2 ** len(COUNCILS) - 1


@pytest.mark.parametrize("suite", Suite)
def test_with_the_same_shares_no_more_opens_than_what_a_mask_holder_opened(federation, suite):
    federation.hold(replace(HELD, tell=with_all_shares), suite)
    assert opened(federation) == {frozenset(COUNCILS)}
    unopened = replace(lie_called("opened_by_the_coordinator_alone"), name="unopened")
    also = replace(unopened, tell=lambda *told: with_all_shares(*told) or unopened.tell(*told))
    federation.hold(also, suite)
    assert opened(federation) == set()


def losing(council: CouncilId) -> Lie:
    return replace(ONE_LOST, hides=(council, Kind.SHARES))


def lie_called(name: str) -> Lie:
    return next(lie for lie in LIES if lie.name == name)


LOSING = [
    *((losing(council), council, suite) for council in (COUNCILS[0], WITNESS, OTHER) for suite in Suite),
    *((lie_called("other_dealers_for_the_victim"), VICTIM, suite) for suite in Suite),
    (lie_called("two_seeds_for_one_pair"), VICTIM, Suite.HYBRID),
]


@pytest.mark.parametrize(("lie", "lost", "suite"), LOSING, ids=lambda of: of.name if isinstance(of, Lie) else str(of))
def test_a_lost_council_opens_where_it_has_no_mask_of_its_own(federation, lie, lost, suite, monkeypatch):
    """The same with one guard removed: the seed that comes out gives every mask that the council shares, above and below."""
    made = participant._mask_keys

    def without_its_own(state: Any, *more: Any) -> Any:
        return made(state, *more)[state.me == lost :]

    monkeypatch.setattr(participant, "_mask_keys", without_its_own)
    with pytest.raises(AssertionError):
        federation.hold(lie, suite)
    assert frozenset({lost}) in opened(federation)


def test_in_the_hybrid_suite_the_first_half_of_what_pairs_share_opens_not_even_the_sum(federation, monkeypatch):
    """So the attack above goes through the ciphertexts: without what they give, the lost council's masks stay on."""

    def nothing(plunder: Plunder, owner: CouncilId, *_: CouncilId) -> bytes | None:
        return b"" if (owner, ShareKind.MASK_KEY) in plunder.seeds else None

    monkeypatch.setattr(Plunder, "_second_half", nothing)
    with pytest.raises(AssertionError):
        federation.hold(ONE_LOST, Suite.HYBRID)
    assert opened(federation) == set()


@pytest.mark.parametrize(
    "words", ["protocol", "Traceback (most recent call last): File round.py", "refused: " + "0f" * 16]
)
def test_words_that_tell_a_person_nothing_are_noticed(words):
    assert not plain(words)
