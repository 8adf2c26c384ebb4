"""The coordinator and as many councils as the agreement guards against put all they have together: one sum, no more.

Once by attack: every share, seed and mask they hold is used on every masked input and every combination of them. And
once by counting: over the masks that are left, the figures of the honest councils come out of it in one combination.
"""

from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest

from federated.privacy import Mechanism, NoiseBlock, NoiseSpec, noise_share, sample_noise_share
from protocols.secagg import CohortRules, Profile, Stage, accept_shares
from protocols.secagg.transcript import ShareKind
from protocols.suite import Suite
from tests.adversary.plunder import Plunder, overheard, sums_of
from tests.simulation.secagg_rehearsal import REPLIES, REQUESTS, Rehearsal, council_ids

COUNCILS = council_ids(6)
MOST = 2
"""c_G of six councils in the careful profile."""
LOWEST, HIGHEST = COUNCILS[0], COUNCILS[-1]
"""Of a pair's two, the lower's seed gives their mask by another way than the higher's where the keys are hybrid."""
ASKED_BY = dict(zip(REPLIES[1:], REQUESTS, strict=True))
GROUPS = [(), *combinations(COUNCILS, MOST)]
"""Whom the coordinator has on its side: nobody, or as many as there may be; fewer hold less."""


@pytest.fixture(scope="module", params=[(), (LOWEST,), (HIGHEST,)], ids=["all_there", "lowest_lost", "highest_lost"])
def lost(request):
    return request.param


@pytest.fixture(scope="module", params=Suite)
def rehearsal(request, lost):
    return Rehearsal(6, seed="colluding councils", suite=request.param).play(drop={Stage.MASKED_INPUT: lost})


def held_by(rehearsal: Rehearsal, colluders: tuple[str, ...]) -> Plunder:
    """What a coordinator has of a round, and what colluding councils ever knew in it."""
    messages = [
        (council, stage, rehearsal.requests[ASKED_BY[stage]][council] if stage in ASKED_BY else b"", reply)
        for stage in REPLIES
        for council, reply in rehearsal.replies[stage].items()
    ]
    found = overheard(rehearsal.context, messages)
    for council in colluders:
        states = rehearsal.states[council]
        found.seeds[council, ShareKind.MASK_KEY] = states[Stage.ADVERT].s_seed
        found.seeds[council, ShareKind.SELF_MASK] = states[Stage.KEY_SHARES].b_seed
        ready = accept_shares(states[Stage.KEY_SHARES], rehearsal.requests[Stage.SHARES][council])
        found.held(council, ready.held)
    return found


def test_colluders_have_the_sum_of_the_others_and_nothing_else(rehearsal):
    assert rehearsal.context.rules.max_colluders == MOST
    survivors = set(rehearsal.replies[Stage.MASKED_INPUT])
    assert len(GROUPS) == 1 + 15
    for colluders in GROUPS:
        may = sums_of(survivors.difference(colluders), survivors.intersection(colluders))
        assert held_by(rehearsal, colluders).opened(rehearsal.inputs) == may, colluders


def ranks(found: Plunder, colluders: tuple[str, ...]) -> tuple[int, int]:
    """In how many ways honest figures come out once every unknown mask has cancelled, and in how many but their sum.

    Each masked input is a row: what its council counted, plus the masks that are not known. A combination of rows in
    which no such mask is left is in the left null space of the masks; what it says of the figures is counted.
    """
    found.rebuild()
    rows = sorted(found.inputs)
    honest = [council for council in rows if council not in colluders]
    masks = {council: found.masks(council) for council in rows}
    unknown = sorted({name for council in rows for name, key in masks[council].items() if key is None})
    signs = [[_sign(name, council) * (name in masks[council]) for name in unknown] for council in rows]
    figures = np.array([[council == one for one in honest] for council in rows], dtype=float)
    combinations_left = _left_null_space(np.array(signs, dtype=float).reshape(len(rows), -1)) @ figures
    but_the_sum = combinations_left - combinations_left.mean(axis=1, keepdims=True)
    return _rank(combinations_left), _rank(but_the_sum)


def check_masks(rehearsal: Rehearsal) -> None:
    """The masks that are counted are those on the inputs: with every secret of everybody, taking them off leaves none."""
    everything = held_by(rehearsal, tuple(COUNCILS))
    for council in everything.inputs:
        assert None not in everything.masks(council).values()
        figures = rehearsal.context.ring.encode(rehearsal.inputs[council])
        assert everything.stripped(council).tolist() == figures.tolist()


def _rank(matrix: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(matrix, tol=1e-9))


def _sign(name: str, council: str) -> int:
    kind, first, *_ = name.split()
    return 1 if kind == "self" or first == council else -1


def _left_null_space(matrix: np.ndarray) -> np.ndarray:
    if not matrix.size:
        return np.eye(len(matrix))
    left, values, _ = np.linalg.svd(matrix)
    return left[:, int((values > 1e-9).sum()) :].T


def test_what_can_be_worked_out_has_rank_one(rehearsal):
    check_masks(rehearsal)
    for colluders in GROUPS:
        assert ranks(held_by(rehearsal, colluders), colluders) == (1, 0), colluders


def test_one_secret_more_would_be_seen_by_both(rehearsal):
    """The power of the two tests above: the mask key of one honest council that survived."""
    colluders, victim = COUNCILS[:MOST], COUNCILS[3]
    found = held_by(rehearsal, colluders)
    found.seeds[victim, ShareKind.MASK_KEY] = rehearsal.states[victim][Stage.ADVERT].s_seed
    assert frozenset({victim}) in found.opened(rehearsal.inputs)
    assert ranks(found, colluders) == (2, 1)


def test_of_no_honest_council_are_there_shares_enough_of_both_secrets(rehearsal):
    t = rehearsal.aggregator.thresholds.t
    for colluders in GROUPS:
        found = held_by(rehearsal, colluders)
        for council in set(COUNCILS) - set(colluders):
            held = [len(found.shares.get((council, kind), {})) for kind in ShareKind]
            assert min(held) == len(colluders) < t
            assert max(held) >= t


# Noise


def variance_of_a_share(spec: NoiseSpec, honest: int, monkeypatch: pytest.MonkeyPatch) -> Fraction:
    """Of the tables that a share is drawn from, summed over its draws; exact to 2^-192."""
    drawn = []

    def draw(table, cells, _stream):
        drawn.append(table)
        return np.zeros(cells, dtype=np.int64)

    monkeypatch.setattr(noise_share, "draw", draw)
    sample_noise_share(spec, honest=honest, rng=bytes)
    return sum((_variance(table) for table in drawn), Fraction(0))


def _variance(table) -> Fraction:
    cumulative = [0, *(table.cumulative(index) for index in range(table.atoms - 1)), 1 << 192]
    chances = [after - before for before, after in pairwise(cumulative)]
    mean = sum(chance * (table.lowest + place) for place, chance in enumerate(chances))
    square = sum(chance * (table.lowest + place) ** 2 for place, chance in enumerate(chances))
    return Fraction(square, 1 << 192) - Fraction(mean, 1 << 192) ** 2


def planned_variance(spec: NoiseSpec) -> Fraction:
    [block] = spec.blocks
    if spec.mechanism is Mechanism.DISCRETE_GAUSSIAN:
        return block.parameter * spec.scale**2
    with localcontext(prec=80):
        q = Fraction((-Decimal(block.parameter.numerator) / block.parameter.denominator).exp())
    return 2 * q / (1 - q) ** 2


LAPLACE = NoiseSpec(
    mechanism=Mechanism.DISCRETE_LAPLACE, blocks=(NoiseBlock(cells=2, parameter=Fraction(1, 2)),), scale=1
)
GAUSSIAN = NoiseSpec(
    mechanism=Mechanism.DISCRETE_GAUSSIAN, blocks=(NoiseBlock(cells=2, parameter=Fraction(20)),), scale=32
)
ROUNDS = [(6, 6, Profile.CAREFUL), (7, 7, Profile.CAREFUL), (12, 10, Profile.STANDARD), (33, 30, Profile.CAREFUL)]
CLOSE = Fraction(1, 10**25)


@pytest.mark.parametrize("spec", [LAPLACE, GAUSSIAN], ids=lambda spec: spec.mechanism.value)
@pytest.mark.parametrize(("eligible", "n", "profile"), ROUNDS)
def test_the_noise_of_the_honest_is_never_less_than_planned(spec, eligible, n, profile, monkeypatch):
    """Whoever is lost, up to the threshold, and whichever colluders among the survivors add none."""
    rules = CohortRules(profile=profile, eligible_count=eligible, min_cohort=4, min_honest=2)
    found = rules.thresholds(n)
    share, planned = variance_of_a_share(spec, found.h, monkeypatch), planned_variance(spec)
    for survivors in range(found.t, n + 1):
        for colluders in range(rules.max_colluders + 1):
            assert (survivors - colluders) * share >= planned * (1 - CLOSE)
    assert abs((found.t - rules.max_colluders) * share - planned) <= planned * CLOSE
    assert (found.t - rules.max_colluders - 1) * share < planned * (1 - CLOSE)
