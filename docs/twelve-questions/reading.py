"""What a release of each of the twelve questions says: figures, analyses and sentences, all computed from the release.

No sentence is written for a result. Each is chosen by the intervals: what they cannot tell apart is said to be so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import hypot, sqrt
from typing import Final, TypeAlias

from federated.analysis import DerivedTable, NoisyTable, noisy_table
from federated.analysis.change import change
from federated.analysis.derived import DerivedCell, codes_along
from federated.analysis.expected_shares import by_days
from federated.analysis.official import read_official
from federated.analysis.public_figures import shipped_households
from federated.analysis.rate import rate
from federated.analysis.reconcile import reconcile
from federated.analysis.share import share
from federated.analysis.source import TARGET_COVERAGE
from federated.analysis.uniformity import SIGNIFICANT, uniformity
from federated.errors import FederatedError
from federated.presentation import USABLE_MARGIN, margin
from federated.release import CellRecord, Release, labels_of
from federated.schema import NOT_KNOWN, load_schema

__all__ = ["READINGS", "Figure", "Reading", "published_csv"]

Codes: TypeAlias = tuple[str, ...]
Releases: TypeAlias = Mapping[str, Release]
NOISY: Final = "too noisy to use"
"""Said of a figure whose margin is more than a fifth of it."""
MOST_NAMED: Final = 4
HAPPENED_BY: Final = 56
NORMAL_95: Final = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure that matters: a cell of a table, with the words it is printed with."""

    table: str
    codes: Codes
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one question's answer says.

    Attributes:
        figures: The cells that matter; they are printed and drawn.
        sentences: The interpretation.
        analyses: Tables worked out from the release.
    """

    figures: tuple[Figure, ...]
    sentences: tuple[str, ...]
    analyses: tuple[DerivedTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """A figure with its interval, as sentences are made of it."""

    name: str
    value: float
    low: float
    high: float
    unit: str = ""

    @property
    def words(self) -> str:
        """The figure and its margin; said to be noisy where it is."""
        digits = 0 if abs(self.value) >= 100 or self.unit == "days" else 2 if abs(self.value) < 1 else 1  # noqa: PLR2004
        text = f"{self.value:,.{digits}f}{f' {self.unit}' if self.unit else ''}"
        noisy = f"; {NOISY}" if margin(self) > float(USABLE_MARGIN) * abs(self.value) else ""
        return f"{text} ({self.low:,.{digits}f} to {self.high:,.{digits}f}{noisy})"


def compared(one: Known, other: Known, *, more: str, fewer: str) -> str:
    """One sentence on two figures: which is more, where their intervals lie apart; otherwise, that nobody can say."""
    if one.low > other.high or one.high < other.low:
        word = more if one.low > other.high else fewer
        return f"{one.name} {word} {other.name}: {one.words} against {other.words}."
    return f"{one.name} and {other.name} cannot be told apart: {one.words}; {other.words}."


def beyond(found: Known, nothing: float, *, above: str, below: str, neither: str) -> str:
    """One of three phrases: the interval lies above a value, below it, or holds it."""
    if found.low > nothing:
        return above
    return below if found.high < nothing else neither


def cell(release: Release, table: str, *codes: str) -> CellRecord:
    """One cell of a release."""
    return next(item for item in release.table(table).cells if item.codes == codes)


def known(name: str, found: CellRecord | DerivedCell, *, unit: str = "", times: float = 1.0) -> Known | None:
    """A cell for a sentence; none where nothing is said: then its interval is all that is possible, and always true."""
    if found.estimate is None or found.coverage >= 1:
        return None
    return Known(name, found.estimate * times, found.low * times, found.high * times, unit)


def sums(release: Release, table: str, kept: Sequence[str]) -> dict[Codes, Known]:
    """A table of counts added up over all axes but these, with the interval of the noise in each sum."""
    source = noisy_table(release, table)
    places = [place for place, axis in enumerate(source.table.axes) if axis.name not in kept]
    steps, law, axes = source.summed_over(places)
    reach, _ = law.half_width(TARGET_COVERAGE)
    totals = (steps / law.scale).ravel().tolist()
    return {
        codes: Known(" · ".join(labels_of(axes, codes)), total, total - reach, total + reach)
        for codes, total in zip(codes_along(axes), totals, strict=True)
    }


def label(dataset: str, column: str, code: str) -> str:
    """A code's label, in a sentence."""
    return load_schema().dataset(dataset).column(column).code(code).label


def _figures(release: Release, table: str, chosen: Callable[[Codes], bool]) -> tuple[Figure, ...]:
    record = release.table(table)
    return tuple(
        Figure(table=table, codes=item.codes, words=" · ".join(labels_of(record.axes, item.codes)) or "All")
        for item in record.cells
        if chosen(item.codes)
    )


def _said(*found: Known | None) -> tuple[Known, ...]:
    return tuple(item for item in found if item is not None)


def _two(
    one: Known | None, other: Known | None, *, more: str = "is more than", fewer: str = "is less than"
) -> tuple[str, ...]:
    """A comparison, or that nothing is said of one of them."""
    both = _said(one, other)
    if len(both) < 2:  # noqa: PLR2004 - a comparison takes two
        return ("of one of the two the release says nothing, for it is lost in the noise.",)
    return (compared(*both, more=more, fewer=fewer),)


def first(releases: Releases) -> Reading:
    """Duties by month and region, and their rates."""
    release = releases["q01"]
    duties = sums(release, "owed", ("assessment_outcome",))
    months = {
        codes: replace(found, name=found.name.rpartition(" · ")[2])
        for codes, found in sums(release, "owed", ("assessment_outcome", "assessment_date_month")).items()
        if codes[0] == "relief_owed" and codes[1] != NOT_KNOWN
    }
    ordered = sorted(months.values(), key=lambda item: item.value)
    rates = rate(noisy_table(release, "owed"), shipped_households(), load_schema())
    relief = replace(duties["relief_owed",], name="A relief duty")
    prevention = replace(duties["prevention_owed",], name="a prevention duty")
    households = shipped_households().over(noisy_table(release, "owed").contributed)
    return Reading(
        figures=_figures(release, "owed", lambda codes: codes[1] in {"prevention_owed", "relief_owed"}),
        sentences=(
            compared(relief, prevention, more="was owed more often than", fewer="was owed less often than"),
            (
                f"That is {1000 * relief.value / households:.2f} relief duties for each 1,000 households "
                f"({1000 * relief.low / households:.2f} to {1000 * relief.high / households:.2f})."
            ),
            "Relief by month: " + compared(ordered[-1], ordered[0], more="had more than", fewer="had fewer than"),
        ),
        analyses=(rates,),
    )


def second(releases: Releases) -> Reading:
    """Reasons of families between the first and the last quarter, and their shares over the year."""
    changed = change(noisy_table(releases["q02_first"], None), noisy_table(releases["q02_last"], None))
    families = [
        _with_chance(item, releases)
        for item in changed.cells
        if item.codes[1] == "with_children" and item.codes[0] != NOT_KNOWN
    ]
    rising = [item for item in families if item.low > 0]
    falling = [item for item in families if item.high < 0]

    def listed(found: Sequence[Known]) -> str:
        ordered = sorted(found, key=lambda item: -abs(item.value))[:MOST_NAMED]
        named = [f"{item.name} ({item.low:+,.0f} to {item.high:+,.0f} households)" for item in ordered]
        return "; ".join(named) or "none that noise and chance let us see"

    return Reading(
        figures=_figures(releases["q02"], "reasons", lambda codes: codes[0] == "end_of_ast" and codes[-1] != NOT_KNOWN),
        sentences=(
            f"Rising for families, from the first quarter to the last: {listed(rising)}.",
            f"Falling for families: {listed(falling)}.",
            (
                f"The other {len(families) - len(rising) - len(falling)} of {len(families)} reasons cannot be told "
                "from no change; of reasons that do not change, about one in twenty would still be named here."
            ),
        ),
        analyses=(share(noisy_table(releases["q02"], None), ("reason_loss_group",)), changed),
    )


def _with_chance(found: DerivedCell, releases: Releases) -> Known:
    """A change with an interval for noise and for chance: numbers of cases vary by about their square root."""
    counts = [cell(releases[name], "reasons", *found.codes).estimate or 0.0 for name in ("q02_first", "q02_last")]
    reach = hypot(margin(found), NORMAL_95 * sqrt(max(0.0, sum(counts))))
    value = found.estimate or 0.0
    return Known(label("case", "reason_loss_group", found.codes[0]), value, value - reach, value + reach)


def third(releases: Releases) -> Reading:
    """Waits of families and of others."""
    release = releases["q03"]
    settled = f"cumulative_settled_home_at_{HAPPENED_BY}"
    shown = {"started", "median", f"surviving_at_{HAPPENED_BY}", settled}

    def of(group: str, figure: str, unit: str = "", times: float = 1.0) -> Known | None:
        name = f"households {label('case', 'household_with_children', group).lower()}"
        return known(name, cell(release, "wait", group, figure), unit=unit, times=times)

    share_of = (of(group, settled, "per cent", 100.0) for group in ("with_children", "without_children"))
    medians = (of(group, "median", "days") for group in ("with_children", "without_children"))
    return Reading(
        figures=_figures(release, "wait", lambda codes: codes[0] != NOT_KNOWN and codes[1] in shown),
        sentences=(
            f"In a settled home by day {HAPPENED_BY}: "
            + _two(*share_of, more="are more often there than", fewer="are less often there than")[0],
            "Median days until the relief duty ends, in whatever way: "
            + _two(*medians, more="wait longer than", fewer="wait less long than")[0],
        ),
    )


def fourth(releases: Releases) -> Reading:
    """Shares that go on."""
    release = releases["q04"]
    relief = known("From prevention to relief", cell(release, "path", "prevention_to_relief_share"), times=100.0)
    duty = known("from relief to the main duty", cell(release, "path", "relief_to_main_duty_share"), times=100.0)
    words = [f"{item.name}: {item.words} in each hundred" for item in _said(relief, duty)]
    return Reading(
        figures=_figures(release, "path", lambda _codes: True),
        sentences=("; ".join(words) + "." if words else "The release says nothing of the shares.",),
    )


def _comparison(release: Release, name: str, of_it: str) -> Reading:
    """A matched comparison: the pooled difference with chance counted in, beside the one without matching."""
    found = known("matched", cell(release, name, "risk_difference_sampling"), times=100.0)
    crude = known("crude", cell(release, name, "crude_difference_sampling"), times=100.0)
    if found is None:
        said = [f"Too few households {of_it} to say whether they are owed relief less often."]
    else:
        verdict = beyond(
            found,
            0.0,
            above="are owed relief more often than similar ones",
            below="are owed relief less often than similar ones",
            neither="cannot be told apart from similar ones",
        )
        interval = f"{found.low:+.1f} to {found.high:+.1f}, noise and chance counted"
        said = [
            f"Households {of_it} {verdict}: a difference of {found.value:+.1f} percentage points ({interval}).",
            "That is an association, not proof.",
        ]
    if found is not None and crude is not None:
        said.append(f"Without matching it is {crude.value:+.1f} points ({crude.low:+.1f} to {crude.high:+.1f}).")
    shown = {"risk_difference", "risk_difference_sampling", "risk_ratio", "crude_difference", "exposed", "unexposed"}
    return Reading(figures=_figures(release, name, lambda codes: codes[-1] in shown), sentences=tuple(said))


def fifth(releases: Releases) -> Reading:
    """Payments."""
    return _comparison(releases["q05"], "payment", "helped with a payment")


def sixth(releases: Releases) -> Reading:
    """A programme."""
    return _comparison(releases["q06"], "programme", "in the programme")


def seventh(releases: Releases) -> Reading:
    """Pairs of needs, and whether they are together more often than two separate needs would be."""
    release = releases["q07"]
    codes = [code for code in release.table("needs").axes[-1].codes if code != NOT_KNOWN]
    single = {code: cell(release, "needs", code, code) for code in codes}
    pairs = [cell(release, "needs", one, other) for one, other in combinations(codes, 2)]
    clear = sorted((item for item in pairs if item.low > 0), key=lambda item: -(item.estimate or 0))
    if not clear:
        return Reading(
            figures=_figures(release, "needs", lambda pair: pair[0] == pair[1]),
            sentences=(f"None of the {len(pairs)} pairs of needs stands out of the noise.",),
        )
    (top, *_) = clear
    one, other = top.codes
    names = [label("support_need", "need", code) for code in (one, other)]
    top_names = " with ".join(names)
    both = Known(top_names, top.estimate or 0.0, top.low, top.high, "households")
    of_first = 100 * (top.estimate or 0) / max(1.0, single[one].estimate or 0)
    shown = {item.codes for item in clear[:10]}
    return Reading(
        figures=_figures(release, "needs", lambda pair: pair in shown),
        sentences=(
            (
                f"Most often together: {top_names}, {both.words}; of households with the first, about "
                f"{of_first:.0f} in each hundred have the second."
            ),
            f"{len(clear)} of {len(pairs)} pairs stand out of the noise; of pairs nobody has, one in forty would too.",
        ),
    )


def eighth(releases: Releases) -> Reading:
    """Stays in bed and breakfast."""
    release = releases["q08"]
    regions = release.table("days").axes[0]
    long = share(noisy_table(release, "over_six_weeks"), ("band",))
    said = []
    for region, name in zip(regions.codes, regions.labels, strict=True):
        median = known("half of the stays", cell(release, "days", region, "0.5"), unit="days")
        ninth = known("nine in ten", cell(release, "days", region, "0.9"), unit="days")
        over = known("over 42 days", next(c for c in long.cells if c.codes == (region, long.axes[-1].codes[-1])))
        said += [f"{name}: {item.name} last up to {item.words}." for item in _said(median, ninth)]
        said += [f"{name}: {item.words} of each hundred households stay over 42 days." for item in _said(over)]
    return Reading(
        figures=(
            *_figures(release, "days", lambda _codes: True),
            *_figures(release, "over_six_weeks", lambda _codes: True),
        ),
        sentences=tuple(said or ("Of the stays the release says nothing, for they are lost in the noise.",)),
        analyses=(long,),
    )


def ninth(releases: Releases) -> Reading:
    """People leaving prison and hospital."""
    release = releases["q09"]
    asked = ("adult_prison", "hospital", "mental_health_inpatient")
    sources = sums(release, "sources", ("referral_source",))
    soon = share(noisy_table(release, "within_seven_days"), ("band",))
    band = soon.axes[-1].codes[0]
    shares = {item.codes[0]: item for item in soon.cells if item.codes[-1] == band}
    prison, hospital, _ = (known(_referrer(code), shares[code], unit="per cent") for code in asked)
    one, other = (replace(sources[code,], name=f"referrals by {_referrer(code)}") for code in asked[:2])
    return Reading(
        figures=(
            *_figures(release, "sources", lambda codes: codes[-1] in asked),
            *_figures(release, "within_seven_days", lambda codes: codes[0] in asked),
        ),
        sentences=(
            "How many: " + compared(one, other, more="are more than", fewer="are fewer than"),
            "Owed relief within seven days, of those owed relief: "
            + _two(prison, hospital, more="is quicker than", fewer="is slower than")[0],
        ),
        analyses=(soon,),
    )


def _referrer(code: str) -> str:
    """Who referred, without the duty's name before it."""
    return label("case", "referral_source", code).removeprefix("Duty to refer: ")


def tenth(releases: Releases) -> Reading:
    """Whether the pattern of contacts is even."""
    source = noisy_table(releases["q10"], "pattern")
    tests = [uniformity(source, ("weekday",), expected=by_days), uniformity(source, ("time_block",))]
    said = []
    for test, what in zip(tests, ("over the days of the week", "over the time of day"), strict=True):
        value = test.finding("p_value")
        most = max(test.cells, key=lambda item: item.estimate or 0)
        name = labels_of(test.axes, most.codes)[0]
        said.append(
            f"The contacts are not even {what} (p = {value:.4f}); most above even: {name}."
            if value < SIGNIFICANT
            else f"That the contacts are even {what} cannot be ruled out (p = {value:.2f}); a swing of a fifth would "
            f"have been found in {100 * test.finding('power_at_20_per_cent'):.0f} of 100 tables."
        )
    return Reading(
        figures=_figures(releases["q10"], "pattern", lambda codes: NOT_KNOWN not in codes),
        sentences=tuple(said),
        analyses=tuple(tests),
    )


def eleventh(releases: Releases) -> Reading:
    """The dearest and the cheapest type."""
    release = releases["q11"]
    kinds = [code for code in release.table("cost").axes[0].codes if code != NOT_KNOWN]
    costs = _said(
        *(
            known(label("ta_placement", "ta_type", kind), cell(release, "cost", kind, "weighted_mean"), unit="pounds")
            for kind in kinds
        )
    )
    clear = sorted((item for item in costs if margin(item) <= float(USABLE_MARGIN) * item.value), key=lambda i: i.value)
    said = [f"Of {len(kinds) - len(clear)} of {len(kinds)} types the cost is too noisy to use."]
    if len(clear) > 1:
        said.insert(0, compared(clear[-1], clear[0], more="costs more a night than", fewer="costs less a night than"))
    return Reading(
        figures=_figures(release, "cost", lambda codes: codes[0] in kinds),
        sentences=tuple(said),
    )


def published_csv(figures: Mapping[str, int]) -> bytes:
    """Published totals by outcome as the file that `federated analyse reconcile` takes."""
    lines = ["assessment_outcome,published", *(f"{code},{figure}" for code, figure in figures.items())]
    return ("\n".join(lines) + "\n").encode()


def twelfth(releases: Releases, published: bytes) -> Reading:
    """The least complete field, and the gap to the published totals."""
    release = releases["q12"]
    fields = release.table("complete").axes[-2].codes
    shares = _said(
        *(
            known(field.replace("_", " "), cell(release, "complete", field, "share"), unit="per cent", times=100.0)
            for field in fields
        )
    )
    said = []
    if shares:
        least = max(shares, key=lambda item: item.value)
        said.append(f"Least complete: {least.name}, missing in {least.words}.")
    totals: NoisyTable = noisy_table(release, "totals")
    try:
        held = reconcile(totals, read_official(published, totals, name="the published totals"))
    except FederatedError as error:
        return Reading(figures=_figures(release, "complete", lambda _: True), sentences=(*said, str(error)))
    said += [item.sentence for item in held.findings if item.name in {"cells_outside", "total_gap"}]
    return Reading(
        figures=(
            *_figures(release, "complete", lambda codes: codes[-1] == "share"),
            *_figures(release, "totals", lambda codes: codes[0] != NOT_KNOWN),
        ),
        sentences=tuple(said),
        analyses=(held,),
    )


READINGS: Final[Mapping[str, Callable[[Releases], Reading]]] = {
    "q01": first,
    "q02": second,
    "q03": third,
    "q04": fourth,
    "q05": fifth,
    "q06": sixth,
    "q07": seventh,
    "q08": eighth,
    "q09": ninth,
    "q10": tenth,
    "q11": eleventh,
}
"""By question; the twelfth is read beside the published figures."""
