"""A proposed question as people read it, from the papers that the node kept when it checked their signatures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from council_node.node_store import DocumentKind, NodeStore
from federated.errors import FederatedError, FileProblem
from federated.manifest import MANIFEST_TYPE, Manifest, parse_manifest
from federated.plan import PLAN_TYPE
from federated.query import Query, parse_query
from federated.schema import Schema
from federated.signing import unsafe_payload
from protocols.encoding import canonical_json
from protocols.identifiers import Digest

__all__ = ["FieldShown", "Proposed", "read_proposed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldShown:
    """A column that the question reads.

    Attributes:
        name: As in the schema.
        label: In words.
        highest_class: 0 ordinary, 1 personal, 2 the most sensitive kinds.
        why: Why it is needed, by the manifest; empty where the manifest does not say.
    """

    name: str
    label: str
    highest_class: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A plan and its manifest, read."""

    plan: Mapping[str, Any]
    manifest: Manifest
    question: Query

    @property
    def councils(self) -> int:
        """How many are asked together."""
        return len(self.plan["eligible"])

    def fields(self, schema: Schema) -> tuple[FieldShown, ...]:
        """Every column it reads, by name."""
        dataset = schema.dataset(self.question.dataset)
        reasons = {(item.dataset, item.column): item.why for item in self.manifest.fields_read}
        return tuple(
            FieldShown(
                name=name,
                label=dataset.column(name).label,
                highest_class=int(dataset.column(name).highest_class),
                why=reasons.get((dataset.name, name), ""),
            )
            for name in sorted(self.question.columns())
        )


def read_proposed(store: NodeStore, digest: Digest) -> Proposed | None:
    """The papers of a proposal; None once their time is over and they were deleted.

    Raises:
        FileProblem: They were kept by other software.
    """
    kept = store.latest(DocumentKind.PROPOSAL, digest.hex())
    if kept is None:
        return None
    try:
        body = json.loads(kept.body)
        # Only what was signed as it should be is kept (`council_node.proposals`).
        plan = json.loads(unsafe_payload(body["plan"].encode("utf-8"), PLAN_TYPE))
        return Proposed(
            plan=plan,
            manifest=parse_manifest(unsafe_payload(body["manifest"].encode("utf-8"), MANIFEST_TYPE)),
            question=parse_query(canonical_json(plan["question"]), source="plan"),
        )
    except (FederatedError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileProblem(
            "The papers of this question cannot be read: other software kept them.",
            remedy="Use the version of this software that the node runs.",
        ) from error
