"""Opening what an analyst hands in. The same checks run in every node, which believes none of this."""

import json
from dataclasses import dataclass, field
from datetime import datetime

from coordinator.roster import Membership
from federated.errors import PolicyRefusal
from federated.manifest import check_columns, check_manifest, open_manifest
from federated.plan import PLAN_TYPE, Plan, open_plan
from federated.schema import Schema
from federated.signing import open_envelope, unsafe_payload
from protocols.identifiers import DIGEST_SIZE, Digest

__all__ = ["Submission", "agreement_digest", "open_submission"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A plan and its manifest, opened.

    Attributes:
        plan: Derived again from its own question.
        analyst: Key id of who signed the plan.
        manifest_id: Name of the manifest, the same in its repeats.
        plan_envelope: As signed.
        manifest_envelope: As signed.
    """

    plan: Plan
    analyst: str
    manifest_id: str
    plan_envelope: bytes = field(repr=False)
    manifest_envelope: bytes = field(repr=False)


def open_submission(
    plan_envelope: bytes, manifest_envelope: bytes, *, membership: Membership, schema: Schema, now: datetime
) -> Submission:
    """Check a signed plan with its manifest.

    Checks, in order: (0) the agreement it names is in force here, (1) an analyst of that agreement signed it, (2) its
    figures follow from its question, (3) its dates, (4) the manifest is the one it names, is signed, is sound, and
    explains every column.

    Raises:
        FederatedError: Any check fails; names the rule.
    """
    agreement = membership.require_agreement(agreement_digest(plan_envelope)).agreement
    agreement.check_in_force(now)
    opened = open_envelope(plan_envelope, PLAN_TYPE, agreement.analyst_keys)
    plan = open_plan(opened.payload, agreement=agreement, roster=membership.require_roster(), schema=schema)
    _check_dates(plan, now)
    manifest = open_manifest(manifest_envelope, agreement.analyst_keys, now)
    if manifest.digest != plan.terms.manifest_digest:
        raise PolicyRefusal(
            "manifest_other",
            "The manifest is not the one that the plan names.",
            remedy="Hand in the plan with the manifest it was planned with.",
        )
    check_manifest(manifest, agreement)
    check_columns(manifest, dataset=plan.question.dataset, columns=plan.question.columns())
    return Submission(
        plan=plan,
        analyst=opened.signers[0],
        manifest_id=manifest.id,
        plan_envelope=plan_envelope,
        manifest_envelope=manifest_envelope,
    )


def agreement_digest(plan_envelope: bytes) -> Digest:
    """The agreement a plan says it is under: only to know whose signatures to look for.

    Raises:
        FederatedError: It is no plan.
    """
    try:
        digest = bytes.fromhex(json.loads(unsafe_payload(plan_envelope, PLAN_TYPE))["agreement"]["digest"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PolicyRefusal("plan_mismatch", "The plan cannot be read as a plan of version 1.") from error
    if len(digest) != DIGEST_SIZE:
        raise PolicyRefusal("plan_mismatch", "The plan names its agreement by something that is no digest.")
    return Digest(digest)


def _check_dates(plan: Plan, now: datetime) -> None:
    if not plan.terms.not_before <= now <= plan.terms.collect_by:
        raise PolicyRefusal(
            "plan_dates",
            f"The plan may be handed in from {plan.terms.not_before:%d %B %Y %H:%M} "
            f"to {plan.terms.collect_by:%d %B %Y %H:%M} UTC; it is now {now:%d %B %Y %H:%M}.",
            remedy="Plan the question again.",
        )
