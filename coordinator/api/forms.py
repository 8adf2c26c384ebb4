"""What the programs' interface takes and gives. Every field is described; the OpenAPI description is made from here."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from coordinator.inbox import LARGEST
from coordinator.paper_intake import PAPER_LIMIT
from coordinator.withdrawal import LONGEST_REASON
from federated.papers import PaperKind

__all__ = [
    "AgreementShown",
    "Agreements",
    "BudgetShown",
    "Budgets",
    "CouncilDecision",
    "CouncilIn",
    "CouncilInRound",
    "FileShown",
    "HandIn",
    "HandedIn",
    "Links",
    "MinutesShown",
    "PaperHandIn",
    "PaperShown",
    "PaperTaken",
    "Papers",
    "Progress",
    "QuestionLine",
    "QuestionShown",
    "Questions",
    "Readers",
    "Reading",
    "Receipts",
    "ReleaseLine",
    "ReleaseShown",
    "Releases",
    "RemarkShown",
    "RepeatShown",
    "RoundShown",
    "RulingShown",
    "SeriesShown",
    "SignedAgreementShown",
    "SuggestionShown",
    "Suggestions",
    "Withdrawal",
]

_BASE64: int = LARGEST * 4 // 3 + 4

Hex = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 as 64 hexadecimal digits.")]
_TIME = "UTC, as ISO 8601; the day alone for whoever shows no token."
Moment = Annotated[str, Field(description=f"Time, {_TIME}")]
Exact = Annotated[str, Field(description="An exact number: digits, or a fraction such as `1/2`.")]
Next = Annotated[str | None, Field(description="Path of the next page; null on the last.")]
KINDS = f"What it is: {', '.join(f'`{kind}`' for kind in PaperKind)}."
Kind = Annotated[PaperKind, Field(description=KINDS)]
Envelope = Annotated[str, Field(description="A DSSE envelope, the bytes that were signed, in Base64.")]


class _Shown(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QuestionLine(_Shown):
    """A question in the register."""

    plan: Hex
    title: Annotated[str, Field(description="Its title.")]
    standing: Annotated[str, Field(description="Where it stands.")]
    reason: Annotated[str, Field(description="Why it stands there; never what one council did.")]
    received_at: Moment
    release: Annotated[str | None, Field(description="Digest of its answer, if there is one.")]


class Questions(_Shown):
    """A page of the register, newest first."""

    questions: Annotated[list[QuestionLine], Field(description="Questions of this page.")]
    next: Next


class Cost(_Shown):
    """What one household may lose by an answer."""

    epsilon: Annotated[str | None, Field(description="Pure epsilon, exact; null where the noise is Gaussian.")]
    rho: Exact
    delta: Exact


class QuestionShown(QuestionLine):
    """A question with what follows from it."""

    agreement: Annotated[str, Field(description="Id of the agreement.")]
    dataset: Annotated[str, Field(description="Table of the data dictionary.")]
    unit: Annotated[str, Field(description="Whom the privacy promise is about.")]
    period_from: Annotated[str, Field(description="First day of the period.")]
    period_to: Annotated[str, Field(description="Last day of the period.")]
    purpose: Annotated[str, Field(description="Why it is asked, as the manifest says.")]
    benefit: Annotated[str, Field(description="Who gains by the answer, as the manifest says.")]
    mechanism: Annotated[str, Field(description="Kind of noise.")]
    cells: Annotated[int, Field(description="Number of cells.")]
    tables: Annotated[list[str], Field(description="Names of its tables.")]
    cost: Cost
    councils: Annotated[list[str], Field(description="Codes of the councils asked.")]
    fewest: Annotated[int, Field(description="Fewest councils in an answer.")]
    collect_by: Moment
    return_by: Moment
    overdue: Annotated[bool, Field(description="The answer was promised by now.")]


class HandIn(BaseModel):
    """A signed question."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"plan": "e30=", "manifest": "e30="}]}
    )

    plan: Annotated[str, Field(max_length=_BASE64, description="DSSE envelope of the plan, in Base64.")]
    manifest: Annotated[str, Field(max_length=_BASE64, description="DSSE envelope of its manifest, in Base64.")]
    refresh: Annotated[
        bool, Field(description="Ask afresh, at a new charge, even where the answer to the identical question is here.")
    ] = False


class Withdrawal(BaseModel):
    """A question taken back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=LONGEST_REASON,
            description="Why, on one line. Everybody can read it in the register; name no council.",
        ),
    ]


class Links(_Shown):
    """Where to go on."""

    progress: Annotated[str, Field(description="Path of the question's progress.")]


class HandedIn(_Shown):
    """A question that is handed in. The coordinator takes it within seconds."""

    plan: Hex
    links: Links


class Inboxed(_Shown):
    """What became of a question on its way from here to the coordinator."""

    state: Annotated[str, Field(description="`waiting`, `taken` or `settled`.")]
    rule: Annotated[str, Field(description="Rule by which the coordinator refused it; empty otherwise.")]
    message: Annotated[str, Field(description="The same in a sentence.")]
    watch: Annotated[
        str | None,
        Field(
            description="Digest of the plan whose run to follow: another's where the identical question runs already."
        ),
    ]
    received_at: Moment


class CouncilDecision(_Shown):
    """What one council decided."""

    council: Annotated[str, Field(description="Code of the council.")]
    name: Annotated[str, Field(description="Its name.")]
    decision: Annotated[str, Field(description="`approved`, `refused` or `pending`.")]
    rule: Annotated[str, Field(description="Rule by which it refused; empty otherwise.")]
    reason: Annotated[str, Field(description="Its own words.")]
    received_at: Moment


class RoundShown(_Shown):
    """One go at answering."""

    attempt: Annotated[int, Field(description="Which go it is.")]
    stage: Annotated[str, Field(description="Stage that it got to.")]
    outcome: Annotated[str, Field(description="`running`, `released`, `counted` or `aborted`.")]
    reason: Annotated[str, Field(description="Why it ended so.")]
    started_at: Moment
    ended_at: Annotated[str | None, Field(description="When it ended.")]


class CouncilInRound(_Shown):
    """How one council stands in the latest round."""

    council: Annotated[str, Field(description="Code of the council.")]
    name: Annotated[str, Field(description="Its name.")]
    outcome: Annotated[
        str,
        Field(
            description="`answered` while the round runs; `contributed` at its end; or `refused`, `dropped`, "
            "`unreachable`."
        ),
    ]
    stage: Annotated[str, Field(description="Stage that it answered last, or was lost in.")]
    rule: Annotated[str, Field(description="Rule or fault by which it was lost; empty otherwise.")]
    reason: Annotated[str, Field(description="The same in words.")]


class Progress(_Shown):
    """Where a question is, for the parties of its agreement."""

    plan: Hex
    state: Annotated[str, Field(description="Where it stands; `inbox` before the coordinator has taken it.")]
    ended: Annotated[bool, Field(description="Nothing more happens by itself.")]
    rule: Annotated[str, Field(description="Rule by which it ended; empty otherwise.")]
    reason: Annotated[str, Field(description="Why it stands there.")]
    handed_in: Annotated[Inboxed | None, Field(description="Its way from here; null when it came over gRPC.")]
    decisions: Annotated[list[CouncilDecision], Field(description="Of councils that have answered.")]
    rounds: Annotated[list[RoundShown], Field(description="Oldest first.")]
    councils: Annotated[
        list[CouncilInRound], Field(description="In the latest round; while it runs, after its last stage.")
    ]
    release: Annotated[str | None, Field(description="Digest of its answer, if there is one.")]


class ReleaseLine(_Shown):
    """An answer in the list: that there is one is public."""

    digest: Hex
    plan: Hex
    title: Annotated[str, Field(description="Title of its question.")]
    agreement: Annotated[str, Field(description="Id of the agreement.")]
    created_at: Moment
    deleted_at: Annotated[str | None, Field(description=f"When it was deleted, as its time was over; {_TIME}")]
    open: Annotated[bool, Field(description="Whether the figures are for you.")]
    public: Annotated[bool, Field(description="Whether the figures are for everybody.")]


class Releases(_Shown):
    """A page of answers, newest first."""

    releases: Annotated[list[ReleaseLine], Field(description="Answers of this page.")]
    next: Next


class FileShown(_Shown):
    """A file that an answer can be taken away as."""

    name: Annotated[str, Field(description="Its name.")]
    label: Annotated[str, Field(description="What it is.")]
    media_type: Annotated[str, Field(description="As the web names it.")]
    table: Annotated[str, Field(description="Table that it is of; empty where it is of the whole answer.")]
    href: Annotated[str, Field(description="Its path.")]


class CouncilIn(_Shown):
    """What became of one council asked."""

    council: Annotated[str, Field(description="Code of the council.")]
    name: Annotated[str, Field(description="Its name.")]
    outcome: Annotated[str, Field(description="Whether it is in the answer, or what became of it.")]


class RemarkShown(_Shown):
    """What a council or the body that asked said of an answer."""

    kind: Annotated[str, Field(description="`comment`, or `outcome`: what changed as a result.")]
    who: Annotated[str, Field(description="Name of the council, or that it is the body that asked.")]
    at: Moment
    text: Annotated[list[str], Field(description="In paragraphs; empty where it is not shown.")]
    publish: Annotated[bool, Field(description="Whether it may stand beside the answer for everybody.")]
    hidden_at: Annotated[str, Field(description=f"Since when the operator hides it, {_TIME} Empty otherwise.")]
    reason: Annotated[str, Field(description="Why nothing is shown; empty where something is.")]


class ReleaseShown(ReleaseLine):
    """How an answer was made; its files and councils for whoever may see its figures."""

    note: Annotated[str, Field(description="What these figures are not.")]
    mechanism: Annotated[str, Field(description="Kind of noise.")]
    cost: Cost
    period: Annotated[str, Field(description="First and last day, with a stroke between.")]
    data_cut_off: Annotated[str | None, Field(description="Day of the oldest records behind the figures.")]
    provisional: Annotated[str, Field(description="Why the figures are provisional; empty where they are not.")]
    revised_by: Annotated[str | None, Field(description="Digest of a later answer to the same question, if any.")]
    remarks: Annotated[
        list[RemarkShown], Field(description="What was said of it; empty where the figures are not for you.")
    ]
    public_from: Annotated[str | None, Field(description=f"When everybody may see the figures, {_TIME} Null: not set.")]
    tables: Annotated[list[str], Field(description="Names of its tables.")]
    councils: Annotated[list[CouncilIn], Field(description="Councils asked; empty where the figures are not for you.")]
    files: Annotated[list[FileShown], Field(description="Files; empty where the figures are not for you.")]


class Receipts(_Shown):
    """A page of the councils' signed receipts of an answer, by code of the council."""

    receipts: Annotated[list[Envelope], Field(description="One for each council that has acknowledged it.")]
    next: Next


class Reading(_Shown):
    """Somebody who was given an answer."""

    reader: Annotated[str, Field(description="Key id, name of an account, `public`, or a council's code.")]
    how: Annotated[str, Field(description="How it was read; `delivered` for a council.")]
    at: Moment


class Readers(_Shown):
    """A page of who was given an answer: people, oldest reading first, and then councils, by code."""

    readers: Annotated[list[Reading], Field(description="Readings of this page.")]
    next: Next


class AgreementShown(_Shown):
    """An agreement in force."""

    id: Annotated[str, Field(description="Its id.")]
    version: Annotated[int, Field(description="Its version.")]
    title: Annotated[str, Field(description="Its title.")]
    digest: Hex
    valid_from: Annotated[str, Field(description="First day.")]
    valid_to: Annotated[str, Field(description="Last day.")]


class Agreements(_Shown):
    """A page of the agreements in force, by id."""

    agreements: Annotated[list[AgreementShown], Field(description="Agreements of this page.")]
    next: Next


class CouncilStanding(_Shown):
    """A council that may be asked under an agreement."""

    council: Annotated[str, Field(description="Code of the council.")]
    name: Annotated[str, Field(description="Its name.")]
    valid_to: Annotated[
        str | None, Field(description="Last day of its key in the list of councils; null: it is not in the list.")
    ]


class SignedAgreementShown(AgreementShown):
    """An agreement with the signed files, to be checked before planning."""

    envelope: Envelope
    roster: Annotated[
        str, Field(description="DSSE envelope of the list of councils in force, in Base64; may be empty.")
    ]
    councils: Annotated[list[CouncilStanding], Field(description="Councils that may be asked.")]


class BudgetShown(_Shown):
    """What one council says of its budget under an agreement; its signature was checked."""

    council: Annotated[str, Field(description="Code of the council.")]
    name: Annotated[str, Field(description="Its name.")]
    received_at: Annotated[str | None, Field(description="When it said so; null: it never did.")]
    head: Annotated[str | None, Field(description="Hash of its ledger's last entry, which fixes all before it.")]
    problem: Annotated[str, Field(description="Why nothing is shown; empty otherwise.")]
    periods: Annotated[
        list[dict[str, Any]],
        Field(description="By calendar year: budget, spent, reserved and rounds, exact numbers as text."),
    ]


class Budgets(_Shown):
    """A page of councils, by code."""

    budgets: Annotated[list[BudgetShown], Field(description="Councils of this page.")]
    next: Next


class SuggestionShown(_Shown):
    """A question that a council suggests. It asks nobody anything."""

    paper: Hex
    council: Annotated[str, Field(description="Code of the council.")]
    name: Annotated[str, Field(description="Name of the council.")]
    agreement: Annotated[str, Field(description="Id of the agreement under which it could be asked.")]
    received_at: Moment
    for_everybody: Annotated[bool, Field(description="Whether the council published it.")]
    title: Annotated[str | None, Field(description="Title of the question; null where it is not shown.")]
    reason: Annotated[str | None, Field(description="Why the council would like to know, in its own words.")]
    question: Annotated[str | None, Field(description="The question, in YAML.")]
    not_shown_because: Annotated[str | None, Field(description="Why nothing is shown; null where something is.")]


class Suggestions(_Shown):
    """A page of what councils suggest asking, newest first."""

    suggestions: Annotated[list[SuggestionShown], Field(description="Those of this page that you may see.")]
    next: Next


class PaperHandIn(BaseModel):
    """A signed paper."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"kind": "comment", "paper": "e30="}]}
    )

    kind: Kind
    paper: Annotated[
        str, Field(description=f"Its DSSE envelope, as signed, in Base64; at most {PAPER_LIMIT:,} bytes before that.")
    ]


class PaperTaken(_Shown):
    """A paper that is kept here: its signatures hold, and it is about something of its agreement."""

    paper: Hex
    kind: Kind
    agreement: Annotated[str, Field(description="Id of the agreement that it is under.")]


class RulingShown(_Shown):
    """What a meeting decided about one thing."""

    plan: Annotated[str | None, Field(description="Digest of the question's plan, if it is about one.")]
    about: Annotated[str, Field(description="What it is about.")]
    decision: Annotated[str, Field(description="What was decided.")]
    reason: Annotated[str, Field(description="Why.")]


class MinutesShown(_Shown):
    """Minutes of a meeting of the reviewers."""

    held_on: Annotated[str, Field(description="Day of the meeting.")]
    present: Annotated[list[str], Field(description="Who was there.")]
    signed_by: Annotated[list[str], Field(description="Names of the reviewers who signed.")]
    rulings: Annotated[list[RulingShown], Field(description="What was decided.")]


class RepeatShown(_Shown):
    """One time that a standing question is asked."""

    period_from: Annotated[str, Field(description="First day that it is about.")]
    period_to: Annotated[str, Field(description="Last day that it is about.")]
    due: Annotated[str, Field(description="First day on which it is asked.")]


class SeriesShown(_Shown):
    """A standing question, which is asked again on a schedule."""

    id: Annotated[str, Field(description="Its name.")]
    edition: Annotated[int, Field(description="One more at each review.")]
    until: Annotated[str, Field(description="Last day on which it is asked.")]
    epsilon_each: Annotated[str, Field(description="What one repeat costs, exact.")]
    epsilon_sum: Annotated[str, Field(description="What all repeats cost together, exact.")]
    repeats: Annotated[list[RepeatShown], Field(description="Every time that it is asked.")]


class PaperShown(_Shown):
    """A signed paper as you may see it."""

    paper: Hex
    kind: Kind
    agreement: Annotated[str, Field(description="Id of the agreement that it is under.")]
    subject: Annotated[
        str,
        Field(
            description="What it is about: digest of the answer, day of the meeting, id of the series, or year of the "
            "suggestion."
        ),
    ]
    council: Annotated[str | None, Field(description="Code of the council that signed it; null where none did.")]
    who: Annotated[str, Field(description="Name of the council, or who else signed it.")]
    received_at: Moment
    signed_at: Annotated[str | None, Field(description=f"When it was signed, {_TIME} Null where it is not shown.")]
    for_everybody: Annotated[
        bool, Field(description="Whether everybody may see it; a remark, once its answer's figures are public.")
    ]
    text: Annotated[
        list[str],
        Field(description="In paragraphs: a comment, what changed, or why a council suggests a question."),
    ]
    question: Annotated[str | None, Field(description="The standing or suggested question, in YAML.")]
    minutes: Annotated[MinutesShown | None, Field(description="What minutes say; null for other kinds.")]
    series: Annotated[SeriesShown | None, Field(description="What a series says; null for other kinds.")]
    envelope: Annotated[
        str | None,
        Field(
            description="DSSE envelope, the bytes that were signed, in Base64, for analysts and reviewers of its "
            "agreement; null for others, and where nothing is shown."
        ),
    ]
    hidden_at: Annotated[str | None, Field(description=f"Since when the operator hides it, {_TIME} Null otherwise.")]
    not_shown_because: Annotated[str | None, Field(description="Why nothing is shown; null where something is.")]


class Papers(_Shown):
    """A page of signed papers of a kind, newest first."""

    papers: Annotated[list[PaperShown], Field(description="Those of this page that you may see.")]
    next: Next
