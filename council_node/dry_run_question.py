"""The question of a dry run: a file that somebody wrote, or a question that waits for this council's decision."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from council_node.node_store import DocumentKind, NodeStore
from council_node.settings import Settings
from federated.agreement import Agreement
from federated.demo.papers import manifest_payload
from federated.errors import FileProblem
from federated.manifest import MANIFEST_TYPE
from federated.plan import NONCE_SIZE, PLAN_TYPE, Plan, Terms, derive_plan, read_terms
from federated.planner import choose_mechanism, terms_for
from federated.privacy import Mechanism, Totals
from federated.query import Query, load_query, parse_query
from federated.roster import Roster
from federated.schema import Schema
from federated.signing import unsafe_payload
from protocols.encoding import canonical_json, sha256
from protocols.identifiers import RandomSource

__all__ = ["Asked", "find_question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question to rehearse.

    Attributes:
        question: The question.
        manifest: What explains it; None when nobody gave one, and a practice manifest stands in.
        agreement: Id of its agreement, where it names one.
        mechanism: Of its noise; the planner chooses when None.
        terms: Its dates and attempts; made as an analyst's client would when None.
    """

    question: Query
    manifest: bytes | None = field(default=None, repr=False)
    agreement: str | None = None
    mechanism: Mechanism | None = None
    terms: Terms | None = None

    def manifest_or_practice(self, now: datetime) -> bytes:
        """The manifest, or the practice one."""
        return self.manifest or manifest_payload("dry-run", self.question, today=now.date())

    def plan(
        self,
        *,
        agreement: Agreement,
        roster: Roster,
        schema: Schema,
        spent: Totals,
        manifest: bytes,
        now: datetime,
        rng: RandomSource,
    ) -> Plan:
        """The plan under the rehearsal's papers, with a nonce of its own so that it is no plan anybody signed.

        Raises:
            QueryError: The question cannot be planned as written.
            PolicyRefusal: The group, its councils or the cohort's size do not allow it.
        """
        if self.terms is None:
            terms = terms_for(agreement, sha256(manifest), now=now, nonce=rng(NONCE_SIZE))
        else:
            terms = replace(self.terms, nonce=rng(NONCE_SIZE))
        if self.mechanism is None:
            return choose_mechanism(
                self.question, agreement=agreement, roster=roster, schema=schema, terms=terms, worst=spent
            )
        return derive_plan(
            self.question, agreement=agreement, roster=roster, schema=schema, mechanism=self.mechanism, terms=terms
        )


def find_question(text: str, settings: Settings, *, manifest: Path | None, agreement: str | None) -> Asked:
    """The question a person names.

    Args:
        text: A question file, or the digest of a plan that was proposed to this council, or its first digits.
        settings: Of the node.
        manifest: File of the manifest that explains a question file.
        agreement: Id of the agreement, where a person named it.

    Raises:
        FileProblem: There is no such file or proposal, or several proposals begin so.
        QueryError: The file is not a question.
    """
    path = Path(text)
    if path.is_file():
        return Asked(
            question=load_query(path), manifest=None if manifest is None else _read(manifest), agreement=agreement
        )
    body = _proposal(text, settings)
    plan: dict[str, Any] = json.loads(unsafe_payload(body["plan"].encode("utf-8"), PLAN_TYPE))
    return Asked(
        question=parse_query(canonical_json(plan["question"]), source="plan"),
        manifest=unsafe_payload(body["manifest"].encode("utf-8"), MANIFEST_TYPE),
        agreement=str(plan["agreement"]["id"]),
        mechanism=Mechanism(plan["mechanism"]),
        terms=read_terms(plan["terms"]),
    )


def _proposal(text: str, settings: Settings) -> dict[str, str]:
    found = []
    if settings.store_file.exists():
        with NodeStore.open(settings.store_file) as store:
            found = [d for d in store.all_latest(DocumentKind.PROPOSAL) if d.name.startswith(text.lower())]
    if len(found) != 1:
        raise FileProblem(
            f"There is no question file '{text}', and {len(found)} proposed questions have a digest that begins so.",
            remedy="Name a question file, or a question that `council-node status` lists.",
        )
    body: dict[str, str] = json.loads(found[0].body)
    return body


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: the manifest cannot be read ({error.strerror}).") from error
