"""A question as the person reads it who decides on it: manifest, fields, cost, gain and red lines in plain words.

The benefit stands first (requirement R26). Everything is made from the signed files: the same for every council, so a
forum can assess it once (requirement R33).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from federated.agreement import NEEDS_APPROVAL, Agreement
from federated.attacker_words import attacker_words, hand_check, shown_up
from federated.clauses import MEANINGS
from federated.crossings import caveat_of
from federated.manifest import Manifest, lint
from federated.plain_english import as_sentence
from federated.plan import Plan, PlannedTable
from federated.privacy import zcdp_epsilon
from federated.privacy.budget import FILTER_SHARE_OF_DELTA
from federated.query import Table
from federated.query.words import condition_words, measure_words
from federated.rationals import rational_text
from federated.red_lines import RedLine, Standing, red_lines
from federated.schema import Column, Schema
from federated.statistics import statistic

__all__ = ["Section", "at_most_words", "ingredient_words", "question_sections", "red_line_words"]

CLASSES = {0: "ordinary", 1: "personal", 2: "class 2: special category, criminal-offence or immigration"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and its sentences."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Papers:
    plan: Plan
    manifest: Manifest
    agreement: Agreement
    schema: Schema

    def column(self, name: str) -> Column:
        return self.schema.dataset(self.plan.question.dataset).column(name)


def question_sections(plan: Plan, manifest: Manifest, agreement: Agreement, schema: Schema) -> tuple[Section, ...]:
    """A question in plain words. Shown to whoever decides, and exported for forums.

    Args:
        plan: As derived from the question.
        manifest: As signed with it.
        agreement: The agreement it is under.
        schema: The data dictionary.
    """
    papers = _Papers(plan=plan, manifest=manifest, agreement=agreement, schema=schema)
    lines = red_lines(plan.question, manifest, agreement=agreement, dataset=schema.dataset(plan.question.dataset))
    parts = (
        ("What your council and its residents get", _benefit(manifest)),
        ("What is asked, by whom, and for which decision", _asked(papers)),
        ("Fields that are read", _fields(papers)),
        ("What comes out", _output(papers)),
        ("Who gets the answer, and for how long", _recipients(manifest)),
        ("What it costs", _cost(plan)),
        ("What somebody could learn", attacker_words(plan.charge, plan.delta, plan.question.unit)),
        ("One line to check by hand", hand_check(plan)),
        ("The legal position claimed (a draft for your own lawyer)", _law(manifest)),
        ("Right and wrong, by the proposer's own account", _ethics(manifest)),
        ("Seven red lines", tuple(red_line_words(line) for line in lines)),
        ("What the wording check still notes", _wording(manifest)),
        ("Dates and contacts", _dates(manifest)),
    )
    return tuple(Section(title=title, lines=tuple(sentences)) for title, sentences in parts)


def red_line_words(line: RedLine) -> str:
    """One red line as a paragraph."""
    standing = {
        Standing.HOLDS: "holds, by computation",
        Standing.ASK: "for a person to answer",
        Standing.CROSSED: "CROSSED: the question cannot be approved",
    }[line.standing]
    return f"{line.name} – {line.must_be_true} [{standing}] {' '.join(as_sentence(text) for text in line.found)}"


def _benefit(manifest: Manifest) -> Iterator[str]:
    yield f"For the council: {manifest.benefit_to_council}"
    yield f"For residents: {manifest.benefit_to_residents}"
    benefit = manifest.public_benefit
    yield f"How many people: {benefit.how_many_people} How much: {benefit.how_much}"
    yield f"Cause or symptom: {benefit.root_cause} Wider effect: {benefit.wider_effect}"
    for party in manifest.costs_and_benefits:
        yield f"{party.party}: it costs them {_lower(party.cost)}; they get {_lower(party.benefit)}"


def _asked(papers: _Papers) -> Iterator[str]:
    manifest, question = papers.manifest, papers.plan.question
    yield manifest.question
    yield f"Decision: {manifest.decision}"
    yield f"Asked by {manifest.need.who_asked}. Why now: {manifest.need.why_now}"
    yield f"What would be done differently: {manifest.need.done_differently}"
    yield f"Kind of purpose: {MEANINGS[manifest.purpose_category]}. Use: {manifest.use}, never about one person."
    group = papers.agreement.group(question.group)
    yield (
        f"Asked of {group.label}: {len(papers.plan.eligible)} councils. Agreement: '{papers.agreement.title}', version "
        f"{papers.agreement.version}. How often: {manifest.frequency}."
    )


def _fields(papers: _Papers) -> Iterator[str]:
    question = papers.plan.question
    why = {field.column: field.why for field in papers.manifest.fields_read if field.dataset == question.dataset}
    for name in sorted(question.columns()):
        column = papers.column(name)
        sensitivity = CLASSES[column.highest_class]
        approved = papers.agreement.datasets[question.dataset].class_2_approved_by.get(name)
        by = f" Approved by: {approved}." if approved and column.highest_class >= NEEDS_APPROVAL else ""
        yield f"{name} ({column.label}; {sensitivity}). {why.get(name, '')}{by}"
    period = question.period
    only = "" if question.where is None else f", and only those where {condition_words(question.where)}"
    yield f"Rows counted: '{period.column}' from {period.start} to {period.end}, of '{question.dataset}'{only}."
    yield (
        f"The unit that is protected: one {question.unit} in one council, with all its rows. The reference that tells "
        f"one {question.unit} from another is used inside the council and never sent. No name, address, number or free "
        "text is read; no other column is loaded."
    )


def _output(papers: _Papers) -> Iterator[str]:
    for planned in papers.plan.tables:
        yield _shell(planned)
        yield from ingredient_words(planned.table)
        if planned.crosses:
            yield f"Of table '{planned.table.name}' it is said wherever it is shown: {caveat_of(planned.crosses)}"
    for table in papers.manifest.output:
        yield f"As the manifest puts it: {table.title}. Rows: {table.rows}. Columns: {table.columns}. {table.level}."
    yield "Figures are totals over all councils that answer, with noise and a margin of error; no council has its own."


def _shell(planned: PlannedTable) -> str:
    axes = " × ".join(f"{axis.name} ({len(axis.codes)})" for axis in planned.layout.printed) or "one total"
    table = planned.table
    return (
        f"Table '{table.name}': {table.statistic}, by {axes}: {planned.layout.printed_cells:,} cells. "
        f"{at_most_words(table, made_of_others=planned.layout.figures is not None)}"
    )


def at_most_words(table: Table, *, made_of_others: bool = False) -> str:
    """How much one household can count in a table, in one sentence.

    Args:
        table: The table as asked.
        made_of_others: Whether what is printed is made of other figures, as a mean is.
    """
    rule = statistic(table.statistic).contribution(table)
    if rule.pairs:
        return (
            f"At most {rule.max_cells} categories of one household are kept, and it counts once for each pair of them."
        )
    if rule.per == "row":
        return f"At most {rule.max_cells} {'row counts' if rule.max_cells == 1 else 'rows count'} for one household."
    if made_of_others:
        return (
            "They are made of other figures; one household counts in those of at most "
            f"{rule.max_cells} cells of the breakdowns."
        )
    return f"One household counts in at most {rule.max_cells} of them."


def ingredient_words(table: Table) -> Iterator[str]:
    """What a table reads, between which bounds, and what its names mean: one sentence each."""
    for item in table.measures:
        yield f"Table '{table.name}' reads {measure_words(item.measure)}, held between {item.low} and {item.high}."
    for named in table.conditions:
        yield f"In table '{table.name}', '{named.name}' means: {condition_words(named.where)}."
    if table.probabilities:
        asked = ", ".join(rational_text(item) for item in table.probabilities)
        yield f"Table '{table.name}' asks for the quantiles {asked}: the value that so many of all lie below."
    if table.edges:
        yield f"Table '{table.name}' cuts what it measures at {', '.join(map(str, table.edges))}."
    step = statistic(table.statistic).contribution(table).step
    if step > 1:
        yield f"Table '{table.name}' counts in steps of {step:,}. Each council rounds once, after adding up."


def _recipients(manifest: Manifest) -> Iterator[str]:
    for recipient in manifest.recipients:
        yield f"{recipient.role}, {recipient.body} ({MEANINGS[recipient.type]})."
    yield f"Kept: {manifest.storage} Until {manifest.retention.until}: {manifest.retention.then}"
    yield f"Combined with other data: {manifest.linked_data}."
    yield f"Never used for: {'; '.join(MEANINGS[use] for use in manifest.prohibited_uses)}."
    funding = manifest.funding_use_text
    yield "It informs no decision about funding." if funding is None else f"DECLARED USE FOR FUNDING: {funding}"


def _cost(plan: Plan) -> Iterator[str]:
    charge = plan.charge
    converted = zcdp_epsilon(charge.rho, plan.delta * FILTER_SHARE_OF_DELTA)
    pure = f"epsilon {_exact(charge.epsilon)}, which counts as " if charge.epsilon is not None else ""
    law = "discrete Laplace" if charge.epsilon is not None else "discrete Gaussian"
    yield f"Each time it is answered, for each {plan.question.unit}: {pure}rho {_exact(charge.rho)} ({law} noise)."
    if charge.epsilon is None:
        yield f"That rho amounts to epsilon {shown_up(converted)} at delta {rational_text(plan.delta)}."
    if plan.rounds > 1:
        yield (
            f"The answer takes {plan.rounds} rounds. Each is charged rho {_exact(plan.round_charge.rho)} before any "
            f"data is read for it; at most {plan.most_rounds} rounds are answered in all."
        )
        return
    yield f"It may be answered at most {plan.terms.attempts} time(s), each charged in full before any data is read."


def _exact(value: Fraction) -> str:
    text = rational_text(value)
    return text if len(text) <= len("10000/10000") else shown_up(value, decimals=6)


def _law(manifest: Manifest) -> Iterator[str]:
    position = manifest.legal_position
    yield f"Controller: {position.controller}."
    yield f"Lawful basis: {position.lawful_basis}"
    yield f"Condition for sensitive data: {position.sensitive_data_condition}"
    yield f"Statutory gateway: {position.statutory_gateway}"
    yield f"Consent: {position.consent_position}"
    yield "Personal data leaves the council: no."


def _ethics(manifest: Manifest) -> Iterator[str]:
    ethics = manifest.ethics
    yield f"Who could be harmed: {ethics.who_could_be_harmed}"
    yield f"Stereotyping: {ethics.stereotyping}"
    yield f"Why nothing less would do: {ethics.least_data}"
    yield f"Would people expect it: {ethics.expected_by_people}"
    yield f"Could it tempt anyone: {ethics.gaming}"
    yield f"How people are told: {ethics.how_people_are_told}"


def _wording(manifest: Manifest) -> Iterator[str]:
    notes = [f"{finding.field}: {finding.problem} {finding.advice}" for finding in lint(manifest)]
    yield from notes or ["Nothing."]


def _dates(manifest: Manifest) -> Iterator[str]:
    yield (
        f"Councils are asked until {manifest.collect_by}; the answer comes back by {manifest.return_by}; the manifest "
        f"ends on {manifest.expires_on}."
    )
    contacts = manifest.contacts
    yield f"Questions: {contacts.questions}. To stop: {contacts.withdrawal}. Complaints: {contacts.complaints}."


def _lower(text: str) -> str:
    """A text in the middle of a sentence, without its full stop."""
    text = text.rstrip(".")
    return text[:1].lower() + text[1:]
