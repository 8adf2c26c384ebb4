"""What must be known of a release beside its figures, as headed sentences: the same on the sheets and in the note.

Taken from the release, and from the question's manifest where that is given. What neither holds is left out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from statistics import median
from typing import Final

from federated.attacker_words import EVEN, gain_of, in_100, shown_down, shown_up
from federated.clauses import MEANINGS, PROHIBITED_USES, ProhibitedUse
from federated.errors import FileProblem
from federated.manifest import Manifest
from federated.outputs.quotes import where_and_when
from federated.pages.figures import axis_words
from federated.presentation import SHORTHAND, councils_words, fraction_text, margin
from federated.privacy import Charge, Mechanism, zcdp_epsilon
from federated.query import Query, parse_query
from federated.query.words import condition_words
from federated.question_words import at_most_words, ingredient_words
from federated.release import Release, TableRecord, is_region_table
from federated.revisions import provisional_words
from federated.schema import load_schema
from federated.statistics import TOTALS
from federated.timestamps import day, days, moment

__all__ = ["Fact", "breakdowns", "check_manifest_of", "facts_of", "shorthand_rows", "table_words"]

LAWS: Final = {
    Mechanism.DISCRETE_LAPLACE: "discrete Laplace",
    Mechanism.DISCRETE_GAUSSIAN: "discrete Gaussian",
}
NOTE: Final = "[note {number}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A heading and its sentences."""

    heading: str
    lines: tuple[str, ...]


def check_manifest_of(release: Release, manifest: Manifest | None) -> None:
    """Refuse a manifest that is not the one the release was asked with.

    Raises:
        FileProblem: Another manifest, or another version of it.
    """
    if manifest is not None and manifest.digest.hex() != release.manifest_digest:
        raise FileProblem(
            f"The manifest '{manifest.id}' is not the one that this release was asked with.",
            remedy=f"Give the file whose digest is {release.manifest_digest}, unchanged, or leave it out.",
        )


def facts_of(release: Release, manifest: Manifest | None) -> tuple[Fact, ...]:
    """Everything to know of a release, most important first.

    Raises:
        FileProblem: The manifest is not the release's.
    """
    check_manifest_of(release, manifest)
    question = parse_query(json.dumps(release.plan["question"]).encode(), source="release")
    parts = (
        ("What was asked", _asked(release, question, manifest)),
        ("Councils in the figures", _councils(release)),
        ("How the figures were made", _method(release, question)),
        ("How far to trust the figures", _margins(release)),
        ("What it costs a household's privacy", _privacy(release, question)),
        ("Who gets the answer", () if manifest is None else _recipients(manifest)),
        ("What it must not be used for", _prohibited(manifest)),
        ("Whom to ask", () if manifest is None else _contacts(manifest)),
        ("To find it again", _identity(release)),
    )
    made = ((heading, tuple(lines)) for heading, lines in parts)
    return tuple(Fact(heading=heading, lines=lines) for heading, lines in made if lines)


def shorthand_rows(release: Release) -> tuple[tuple[str, str], ...]:
    """Mark and meaning of everything that stands in place of, or beside, a figure; notes on tables last."""
    return (*SHORTHAND.items(), *((mark, table.caveat) for table, mark in notes_of(release).values()))


def notes_of(release: Release) -> Mapping[str, tuple[TableRecord, str]]:
    """Tables with a caveat by name, with the mark of their note."""
    marked = [table for table in release.tables if table.caveat]
    return {table.name: (table, NOTE.format(number=number)) for number, table in enumerate(marked, start=1)}


def table_words(release: Release, table: TableRecord) -> str:
    """What a table shows, in a few words."""
    by = ", ".join(breakdowns(release, table))
    return f"{table.title}{f', by {by}' if by else ''}"


def breakdowns(release: Release, table: TableRecord) -> tuple[str, ...]:
    """What each breakdown of a table is, in the words of the data dictionary."""
    dataset, schema = release.plan["question"]["dataset"], load_schema()
    return tuple(axis_words(axis.name, dataset, schema) for axis in table.axes)


def _asked(release: Release, question: Query, manifest: Manifest | None) -> Iterator[str]:
    if manifest is not None:
        yield manifest.question
        yield f"Decision that it informs: {manifest.decision}"
    period = question.period
    only = "" if question.where is None else f", and only those where {condition_words(question.where)}"
    when = "on" if period.start == period.end else "from"
    yield (
        f"Records counted: those of '{question.dataset}' with '{period.column}' {when} "
        f"{days(period.start, period.end)}{only}."
    )
    if release.data_cut_off:
        yield f"Data cut-off: {day(release.data_cut_off)}, the date of the oldest extract behind the figures."
    if provisional := provisional_words(release):
        yield provisional
    yield f"Released: {moment(release.created_at)}."


def _councils(release: Release) -> Iterator[str]:
    yield f"{where_and_when(release)}."
    yield councils_words(release)
    yield "The figures are over the councils that contributed. Nothing is filled in for the others."


def _method(release: Release, question: Query) -> Iterator[str]:
    law = LAWS[Mechanism(release.mechanism)]
    yield (
        f"Each council counted its own records and added its share of the noise ({law}). Masked sums were added up; "
        "no council's figure was seen outside it, and no sum was ever without noise."
    )
    holder = release.plan.get("mask_holder")
    if holder is not None:
        yield f"The sums were opened together with {holder['name']}, the mask holder, which saw no figures."
    if len(release.rounds) > 1:
        yield f"The answer took {len(release.rounds)} rounds, all charged."
    for table in question.tables:
        figures = len(release.table(table.name).cells)
        most = at_most_words(table, made_of_others=table.statistic not in TOTALS)
        yield f"Table '{table.name}': {figures:,} figure{'' if figures == 1 else 's'}. {most}"
        yield from ingredient_words(table)
    yield (
        "Estimates are neither rounded nor cut off. Only the figure as printed is: counts and sums to the nearest 5 or "
        "10, decided by the noisy figure alone."
    )
    mapped = [table.name for table in release.tables if is_region_table(table)]
    if mapped:
        yield (
            f"For a map there are GeoJSON files: {', '.join(f'{name}.geojson' for name in mapped)}. Each has the "
            "figures of the tidy file under the codes of the regions. Where its features have no geometry, join them "
            "to boundaries by that code: the figures come without boundaries of their own."
        )


def _margins(release: Release) -> Iterator[str]:
    yield (
        "The interval is about the noise. It says nothing about cases that nobody recorded, or recorded wrongly. It "
        "holds the figure without noise with the chance that stands beside it, at least 95% as a rule."
    )
    for table in release.tables:
        widths = [margin(cell) for cell in table.cells if cell.estimate is not None and isfinite(margin(cell))]
        if widths:
            yield (
                f"Table '{table.name}': margin of error ± {_width_text(median(widths))} for the middle figure, "
                f"± {_width_text(max(widths))} for the widest."
            )
    yield "Add up estimates, not figures as printed, whose rounding would add up to a bias."


def _width_text(value: float) -> str:
    return fraction_text(value).removesuffix(".00")


def _privacy(release: Release, question: Query) -> Iterator[str]:
    cost, unit = release.cost, question.unit
    delta = Fraction(cost.delta)
    charge = Charge(
        epsilon=None if cost.epsilon is None else Fraction(cost.epsilon),
        rho=Fraction(cost.rho),
        draws=int(release.plan["charge"]["draws"]),
    )
    rho = shown_up(charge.rho, decimals=6)
    if charge.epsilon is not None:
        yield f"ε = {shown_up(charge.epsilon)} (pure), which counts as ρ = {rho}. δ of the agreement: {cost.delta}."
    else:
        yield f"ρ = {rho}, which amounts to ε = {shown_up(zcdp_epsilon(charge.rho, delta))} at δ = {cost.delta}."
    gain = gain_of(charge, delta)
    yield (
        f"What that means: whether one {unit} is in a council's records, and what those records say about it, changes "
        f"the chance of anything this answer can show by at most a factor of {shown_up(gain.odds)}, up to a small "
        "chance."
    )
    most = gain.belief(EVEN)
    least = shown_down(100 * (1 - most), decimals=1)
    yield (
        f"An example: take someone who already thinks the chance is 50 in 100 that a certain {unit} is there. After "
        f"the answer they can think it is at most {in_100(most)} in 100, and at least {least} in 100."
    )
    yield f"A {unit} that two councils know can lose twice as much (ε) or four times as much (ρ)."


def _recipients(manifest: Manifest) -> Iterator[str]:
    for recipient in manifest.recipients:
        yield f"{recipient.role}, {recipient.body} ({MEANINGS[recipient.type]})."
    yield f"What councils get out of it: {manifest.benefit_to_council}"
    yield f"What residents get out of it: {manifest.benefit_to_residents}"


def _prohibited(manifest: Manifest | None) -> Iterator[str]:
    # Without its manifest, whether a use for funding was declared is not known; all else no manifest can leave out.
    uses = PROHIBITED_USES - {ProhibitedUse.FUNDING_DECISIONS} if manifest is None else manifest.prohibited_uses
    yield f"Never for: {'; '.join(MEANINGS[use] for use in sorted(uses))}."
    if manifest is not None and manifest.funding_use_text is not None:
        yield f"A use for a funding decision is declared: {manifest.funding_use_text}"
    yield "Call a comparison an association, unless the question declared a design that says more."


def _contacts(manifest: Manifest) -> Iterator[str]:
    contacts = manifest.contacts
    yield f"Questions: {contacts.questions}."
    yield f"Complaints: {contacts.complaints}."
    yield f"A council that wants to stop taking part: {contacts.withdrawal}."


def _identity(release: Release) -> Iterator[str]:
    yield f"Release: {release.digest.hex()}."
    yield f"Question: {release.query_digest}."
    yield f"Plan: {release.plan_digest}."
    yield f"Manifest: {release.manifest_digest}."
    yield f"Agreement: {release.agreement_id}, {release.agreement_digest}."
    yield f"Software: version {release.software}."
    yield "Anyone can check release.json against the councils' signatures with `federated verify`."
