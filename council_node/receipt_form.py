"""A receipt: one page that answers "what are you going to do with the data I give you?" after the fact (R98).

It says what was asked, by whom and why; what was read; what left the building, message by message; what it cost one
household and what is left; who took part; and whom to ask. It stays at the council: it may hold local counts, each
marked as staying here, and nothing in it is ever sent. The copy that others are shown has none of them.
"""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from math import ceil, exp
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from federated.errors import FileProblem
from federated.plain_english import as_sentence
from federated.rationals import decimal_down, decimal_up
from protocols.encoding import sha256

__all__ = [
    "ContactsRecord",
    "CostRecord",
    "EntryRecord",
    "LocalCount",
    "NoiseRecord",
    "PurposeRecord",
    "Receipt",
    "SentMessage",
    "open_receipt",
    "receipt_sections",
    "receipt_text",
]

WIDTH: Final = 98
DIGITS_SHOWN: Final = 16
_MESSAGES: Final = {
    "advert": "two public keys made for this round, and the ledger's counter",
    "key shares": "locked parts of this round's masks, one for each council",
    "masked input": "the figures with noise, hidden by masks: each number looks random",
    "confirmation": "a signed list of the councils in the sum",
    "unmask": "parts of masks, from which the sum alone can be opened",
}
"""What each message of a round is, in plain words."""
_KEPT_HERE: Final = "What was counted here, and how long the node worked, is kept in the council and is in no copy."
"""The same words in every copy: that something was there to leave out would tell of the rows, too."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SentMessage(_Record):
    """One message that left the building.

    Attributes:
        what: Its name, a key of the plain words above.
        size: Bytes.
        digest: SHA-256, as hexadecimal digits.
    """

    what: str
    size: int
    digest: str

    @classmethod
    def of(cls, what: str, content: bytes) -> "SentMessage":
        """The record of a message."""
        return cls(what=what, size=len(content), digest=sha256(content).hex())


class LocalCount(_Record):
    """A count that stays at the council, such as rows left out because somebody objected."""

    what: str
    count: int


class NoiseRecord(_Record):
    """Noise in one table of the answer: its standard deviation, in the table's own units."""

    table: str
    sd: float


class PurposeRecord(_Record):
    """Why it was asked, from the manifest that this council read before it decided."""

    manifest: str
    digest: str
    question: str
    decision: str
    benefit_to_council: str
    benefit_to_residents: str
    recipients: tuple[str, ...]
    kept_until: str
    never_used_for: tuple[str, ...]
    funding: str


class CostRecord(_Record):
    """What one household may have lost; exact rationals as text.

    Attributes:
        charged: Whether the charge stands: the masked figures were sent, or may have been.
        unit: Whom it protects, ``household`` or ``person``.
        epsilon: Pure cost; None when the noise gives none.
        rho: Zero-concentrated cost.
        period: Calendar year it falls in.
        budget_epsilon: The agreement's epsilon of a year.
        budget_delta: The agreement's delta.
        spent_epsilon: What all questions of the year amount to so far, this one included, in millionths rounded up.
        left_epsilon: Largest single further pure charge.
        left_rho: Largest single further zero-concentrated charge.
    """

    charged: bool
    unit: str
    epsilon: str | None
    rho: str
    period: str
    budget_epsilon: str
    budget_delta: str
    spent_epsilon: str
    left_epsilon: str
    left_rho: str


class EntryRecord(_Record):
    """An entry of this council's ledger about the round."""

    counter: int
    kind: str
    hash: str


class ContactsRecord(_Record):
    """Whom to ask."""

    questions: str
    withdrawal: str
    complaints: str
    residents: str


class Receipt(_Record):
    """A receipt, version 1.

    Attributes:
        outcome: Whether there is an answer, and if not why, in words.
        answered: Whether there is an answer.
        same_councils: Whether the answer names the very councils this one signed for; None when it signed for none.
        node_milliseconds: What this node itself took, without waiting for anybody; None when it is not known any more.
        part: Which round of several this was, as the coordinator said it; empty where the question takes one.
    """

    version: Literal[1] = 1
    council: str
    council_name: str
    sid: str
    plan_digest: str
    title: str
    made_at: str
    answered: bool
    outcome: str
    asked_by: str
    agreement: str
    agreement_digest: str
    purpose: PurposeRecord | None
    dataset: str
    columns: tuple[str, ...]
    period: str
    extract_date: str
    local_counts: tuple[LocalCount, ...]
    local_warnings: tuple[str, ...]
    sent: tuple[SentMessage, ...]
    node_milliseconds: int | None = None
    part: str = ""
    mechanism: str
    noise: tuple[NoiseRecord, ...]
    cost: CostRecord
    councils_asked: int
    contributors: tuple[str, ...]
    same_councils: bool | None
    release_digest: str
    entries: tuple[EntryRecord, ...]
    contacts: ContactsRecord

    def encode(self) -> bytes:
        """As it is stored."""
        return self.model_dump_json().encode("utf-8")

    def for_others(self) -> "Receipt":
        """The copy that may be shown: without exact counts of the extract, and without the node's own time.

        Two exact counts, held against each other, show one household that joined or objected, and no budget pays for
        that. The time that the node worked follows the number of rows.
        """
        return self.model_copy(update={"local_counts": (), "local_warnings": (_KEPT_HERE,), "node_milliseconds": None})


def open_receipt(content: bytes) -> Receipt:
    """Read a stored receipt.

    Raises:
        FileProblem: Not a receipt of version 1.
    """
    try:
        return Receipt.model_validate_json(content)
    except ValidationError as error:
        raise FileProblem("This is not a receipt of version 1.", remedy="Restore the node store.") from error


def receipt_sections(receipt: Receipt) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The receipt in plain words: for each section its title and its paragraphs."""
    return (
        ("What was asked, by whom and why", tuple(_asked(receipt))),
        ("What was read here (this stays here)", tuple(_read(receipt))),
        ("What left this building", tuple(_left(receipt))),
        ("What it cost, and what is left", tuple(_cost(receipt))),
        ("Who took part, and where the answer is", tuple(_together(receipt))),
        ("Whom to ask", tuple(_contacts(receipt))),
    )


def receipt_text(receipt: Receipt) -> str:
    """The receipt as one page of plain words."""
    day = datetime.fromisoformat(receipt.made_at)
    part = f" ({receipt.part} of the question)" if receipt.part else ""
    lines = [
        f"RECEIPT: what was done with the data of {receipt.council_name}",
        f"{day.day} {day:%B %Y}. Round {receipt.sid[:DIGITS_SHOWN]}{part}. {receipt.outcome}",
        "",
    ]
    for number, (title, paragraphs) in enumerate(receipt_sections(receipt), start=1):
        lines.append(f"{number}. {title}")
        for paragraph in paragraphs:
            lines += textwrap.wrap(paragraph, WIDTH, initial_indent="   ", subsequent_indent="   ")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _asked(receipt: Receipt) -> Iterator[str]:
    yield f"{as_sentence(receipt.title)} Asked by {receipt.asked_by}, under the agreement '{receipt.agreement}'."
    purpose = receipt.purpose
    if purpose is None:
        yield "The manifest that explains it is no longer kept here; ask the contact below for it."
        return
    yield f"In plain words: {purpose.question}"
    yield f"The decision it informs: {purpose.decision}"
    yield f"For the council: {as_sentence(purpose.benefit_to_council)} For residents: {purpose.benefit_to_residents}"
    yield f"Never used for: {'; '.join(purpose.never_used_for)}. {purpose.funding}"
    yield f"The manifest is '{purpose.manifest}' ({purpose.digest[:DIGITS_SHOWN]})."


def _read(receipt: Receipt) -> Iterator[str]:
    dated = f", from the extract of {receipt.extract_date}" if receipt.extract_date else ""
    if not receipt.cost.charged:
        yield f"Nothing. It would have been '{receipt.dataset}': {', '.join(receipt.columns)}."
        return
    yield (
        f"Of '{receipt.dataset}', for {receipt.period}{dated}, only these columns: {', '.join(receipt.columns)}. "
        "They were counted, and not kept."
    )
    if receipt.local_counts:
        counts = "; ".join(f"{item.what}: {item.count:,}" for item in receipt.local_counts)
        yield f"Counted here and sent to nobody: {counts}."
    if receipt.node_milliseconds is not None:
        # In tenths of a second, upwards: a person plans with it.
        tenths = -(-receipt.node_milliseconds // 100)
        yield f"This node worked on it for {tenths // 10}.{tenths % 10} seconds, waiting aside. That stays here too."
    yield from receipt.local_warnings


def _left(receipt: Receipt) -> Iterator[str]:
    if not receipt.sent:
        yield "Nothing is recorded: this node was restarted since, or the round ended before anything was sent."
    else:
        total = sum(message.size for message in receipt.sent)
        yield f"{len(receipt.sent)} message(s), {total:,} bytes in all, and nothing else:"
    for message in receipt.sent:
        meaning = _MESSAGES.get(message.what, "")
        yield f"- {message.what}, {message.size:,} bytes, {meaning} (SHA-256 {message.digest[:DIGITS_SHOWN]})"
    if receipt.noise:
        sds = "; ".join(f"{item.table}: {item.sd:,.2f}" for item in receipt.noise)
        yield (
            f"Each council added a share of the noise before masking ({receipt.mechanism.replace('_', ' ')}). In the "
            f"answer it comes to a standard deviation of: {sds}."
        )


def _cost(receipt: Receipt) -> Iterator[str]:
    cost = receipt.cost
    if not cost.charged:
        yield "Nothing: the round ended before any figure was made, and its reservation was given back."
    else:
        pure = f"epsilon {decimal_up(cost.epsilon)}, which counts as " if cost.epsilon is not None else ""
        yield f"For each {cost.unit}: {pure}rho {decimal_up(cost.rho)}. It stands, whatever became of the answer."
    spent = Fraction(cost.spent_epsilon)
    yield (
        f"In {cost.period} all questions under this agreement together amount to epsilon "
        f"{decimal_up(cost.spent_epsilon)} of {decimal_up(cost.budget_epsilon)}, but for a chance of "
        f"{one_in(cost.budget_delta)} (delta). Left for one more question: epsilon {decimal_down(cost.left_epsilon)}, "
        f"or rho {decimal_down(cost.left_rho)}."
    )
    yield (
        f"What that means: somebody who thought it as likely as not that one {cost.unit} is in the records could, "
        f"after all these answers, be right about it at most {right_in_100(spent)} times in 100."
    )


def _together(receipt: Receipt) -> Iterator[str]:
    if not receipt.answered:
        yield f"{receipt.councils_asked} councils were asked. There is no answer of this round."
    else:
        names = ", ".join(_first(receipt.contributors))
        yield f"{len(receipt.contributors)} of {receipt.councils_asked} councils: {names}."
        yield (
            f"No one, the coordinator included, was sent this council's own figures. The answer is kept here too "
            f"(SHA-256 {receipt.release_digest[:DIGITS_SHOWN]})."
        )
        if receipt.purpose is not None:
            yield f"Who gets it: {'; '.join(receipt.purpose.recipients)}, until {receipt.purpose.kept_until}."
    if receipt.same_councils is False:
        yield "WARNING: the answer names other councils than this council signed for. Tell your privacy reviewer."
    kinds = ", ".join(f"{entry.counter} ({entry.kind})" for entry in receipt.entries)
    yield f"In this council's ledger: entries {kinds}. `council-node ledger verify` checks them."


def _contacts(receipt: Receipt) -> Iterator[str]:
    contacts = receipt.contacts
    yield f"Questions: {contacts.questions}. To stop taking part: {contacts.withdrawal}."
    yield f"Complaints: {contacts.complaints}."
    if contacts.residents:
        yield f"Residents of this council can ask: {contacts.residents}."


def one_in(text: str) -> str:
    """A small chance in words, rounded to look no better than it is."""
    return f"one in {(1 / Fraction(text)).__floor__():,}"


def right_in_100(epsilon: Fraction) -> int:
    """Best chance of a right guess that began as even odds: e^eps / (1 + e^eps), in hundredths rounded up."""
    # A rounded figure for reading only: nothing is decided by it.
    capped = float(min(epsilon, Fraction(50)))
    return min(100, ceil(100 * exp(capped) / (1 + exp(capped))))


def _first(items: Sequence[str], most: int = 40) -> tuple[str, ...]:
    """The first names, and how many more there are: a receipt is one page."""
    return tuple(items) if len(items) <= most else (*items[:most], f"and {len(items) - most} more")
