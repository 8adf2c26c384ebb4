"""The coordinator and as many councils as the agreement guards against put all they have together: one sum, no more.

Once by attack: every share, seed and mask they hold is used on every masked input and every combination of them. And
once by counting: over the masks that are left, the figures of the honest councils come out of it in one combination.
"""

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from federated.privacy import Mechanism, NoiseBlock, NoiseSpec
from federated.privacy.charge import Charge, noise_charge
from protocols.secagg import CohortRules, Profile, Stage, Thresholds, accept_shares
from protocols.secagg.transcript import ShareKind
from protocols.suite import Suite
from tests.adversary.noise_laws import Law, chances_of, largest_ratio, law_of_shares, renyi, tables_of_a_share
from tests.adversary.plunder import Plunder, overheard, sums_of
from tests.simulation.secagg_rehearsal import REPLIES, REQUESTS, Rehearsal, council_ids
from tests.statistical.planted_noise import widened

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
    return sum((_variance(table) for table in tables_of_a_share(spec, honest, monkeypatch)), Fraction(0))


def _variance(table) -> Fraction:
    chances = chances_of(table)
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


ORDERS = (1.1, 1.5, 2, 8, 32)
MOVED = [(1, 0), (0, 2), (1, 1)]
"""What one household adds to each of the two cells."""
RIGHT = 1e-9
"""A part of what is claimed; sums of floats are off by less."""


def law_of_the_honest(spec: NoiseSpec, found: Thresholds, monkeypatch: pytest.MonkeyPatch, *, less: int = 0) -> Law:
    """Of one cell's noise where as many councils are lost, and leave theirs out, as there may be; and `less` more."""
    return law_of_shares(tables_of_a_share(spec, found.h, monkeypatch), found.t - found.c - less)


def given_away(spec: NoiseSpec, law: Law, moved: tuple[int, int]) -> dict[str, float]:
    """What the law gives away of a household, by the definitions: of zCDP over some orders, of pure epsilon over all."""
    steps = [spec.scale * change for change in moved]
    found = {"rho": max(sum(renyi(law, step, order) for step in steps) / order for order in ORDERS)}
    if spec.mechanism is Mechanism.DISCRETE_LAPLACE:
        found["epsilon"] = sum(largest_ratio(law, step) for step in steps)
    return found


def charged(spec: NoiseSpec, found: Thresholds, moved: tuple[int, int]) -> Charge:
    """What a ledger is charged for it."""
    power = 1 if spec.mechanism is Mechanism.DISCRETE_LAPLACE else 2
    sensitivity = sum(change**power for change in moved)
    return noise_charge(spec, (sensitivity,), honest=found.h, councils=found.n)


def thresholds_of(eligible: int, n: int, profile: Profile) -> Thresholds:
    return CohortRules(profile=profile, eligible_count=eligible, min_cohort=4, min_honest=2).thresholds(n)


@pytest.mark.parametrize("moved", MOVED, ids=str)
@pytest.mark.parametrize("spec", [LAPLACE, GAUSSIAN], ids=lambda spec: spec.mechanism.value)
@pytest.mark.parametrize("round_", ROUNDS, ids=lambda round_: f"{round_[1]} of {round_[0]}")
def test_the_noise_of_the_honest_gives_away_no_more_than_is_charged(spec, round_, moved, monkeypatch):
    """The least noise that a sum can have is held against the definitions themselves, not against a variance."""
    found = thresholds_of(*round_)
    law, charge = law_of_the_honest(spec, found, monkeypatch), charged(spec, found, moved)
    assert abs(law.chances.sum() - 1) < RIGHT
    for name, lost in given_away(spec, law, moved).items():
        assert 0 < lost <= float(getattr(charge, name)) * (1 + RIGHT), name


@pytest.mark.parametrize("moved", MOVED, ids=str)
@pytest.mark.parametrize("spec", [LAPLACE, GAUSSIAN], ids=lambda spec: spec.mechanism.value)
@pytest.mark.parametrize("round_", ROUNDS, ids=lambda round_: f"{round_[1]} of {round_[0]}")
def test_one_share_less_or_a_smaller_scale_gives_away_more(spec, round_, moved, monkeypatch):
    """The power of the test above. The smaller scale is 5/7, a little more than the planned one over the square root of 2.

    A pure epsilon is charged as a rho that is more than any such noise gives away; so there epsilon is looked at.
    """
    found = thresholds_of(*round_)
    measure = "rho" if spec.mechanism is Mechanism.DISCRETE_GAUSSIAN else "epsilon"
    claim = float(getattr(charged(spec, found, moved), measure))
    [block] = spec.blocks
    narrow = replace(block, parameter=widened(spec.mechanism, block.parameter, Fraction(5, 7)))
    one_less = law_of_the_honest(spec, found, monkeypatch, less=1)
    smaller = law_of_the_honest(replace(spec, blocks=(narrow,)), found, monkeypatch)
    assert given_away(spec, one_less, moved)[measure] > claim * 1.05
    assert given_away(spec, smaller, moved)[measure] > claim * 1.3
