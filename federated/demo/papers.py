"""The signed papers of the demo: agreement and manifests, from the texts beside this module."""

from collections.abc import Mapping
from datetime import date, timedelta
from fractions import Fraction
from importlib import resources
from typing import Any

import yaml

from federated.keys import SigningKey, public_line
from federated.query import Query
from federated.rationals import rational_text
from protocols.identifiers import CouncilId
from protocols.secagg import Profile

__all__ = ["GROUP", "agreement_document", "agreement_payload", "manifest_payload", "yaml_payload"]

GROUP = "pilot"
SMALL_COHORT = 10
YEARLY_QUESTIONS = 8
"""The budget of a year covers this many of the demo's questions."""


def _text(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(resources.files("federated.demo").joinpath(name).read_bytes())
    return document


def yaml_payload(document: Mapping[str, Any]) -> bytes:
    """A document as the bytes that are signed."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True).encode("utf-8")


def agreement_document(
    councils: Mapping[CouncilId, str],
    *,
    label: str,
    profile: Profile,
    epsilon: Fraction,
    analyst: SigningKey,
    reviewer: SigningKey,
    today: date,
) -> dict[str, Any]:
    """The agreement as plain values.

    Args:
        councils: Names by GSS code; fewer than ten need the careful profile and a smaller smallest cohort.
        label: Name of the group, as printed on answers.
        profile: Standard or careful.
        epsilon: The most one question may cost.
        analyst: Who may ask.
        reviewer: Who may check.
        today: First day of validity.
    """
    document = _text("agreement.yaml")
    document |= {
        "valid_from": today.isoformat(),
        "valid_to": (today + timedelta(days=365)).isoformat(),
        "review_on": (today + timedelta(days=180)).isoformat(),
        "min_cohort": min(SMALL_COHORT, max(4, len(councils) - 1)),
        "min_honest": 2 if len(councils) < SMALL_COHORT else 3,
        "max_epsilon_per_query": rational_text(epsilon),
        "groups": [{"name": GROUP, "label": label, "profile": profile.value, "councils": sorted(councils)}],
        "analysts": [_person("Demo analyst", "Ministry of Housing, Communities and Local Government", analyst)],
        "reviewers": [_person("Demo reviewer", "A pilot council", reviewer)],
    }
    document["budget"] |= {"epsilon": rational_text(epsilon * YEARLY_QUESTIONS)}
    return document


def agreement_payload(
    councils: Mapping[CouncilId, str],
    *,
    label: str,
    profile: Profile,
    epsilon: Fraction,
    analyst: SigningKey,
    reviewer: SigningKey,
    today: date,
) -> bytes:
    """The agreement's bytes, to be signed; see `agreement_document`."""
    document = agreement_document(
        councils, label=label, profile=profile, epsilon=epsilon, analyst=analyst, reviewer=reviewer, today=today
    )
    return yaml_payload(document)


def _person(name: str, organisation: str, key: SigningKey) -> dict[str, str]:
    return {"name": name, "organisation": organisation, "public_key": public_line(key.public)}


def manifest_payload(name: str, query: Query, *, today: date) -> bytes:
    """The manifest of one question, as bytes."""
    fields = [
        {
            "dataset": query.dataset,
            "column": column,
            "why": "It is one of the categories, dates or numbers that the question counts by.",
            "effort": "None beyond the mapping file that the council has already.",
        }
        for column in sorted(query.columns())
    ]
    document = _text("manifest.yaml")
    document |= {
        "id": f"demo-{name}",
        "title": query.title,
        "fields_read": fields,
        "retention": {"until": (today + timedelta(days=1000)).isoformat(), "then": "It is deleted everywhere."},
        "collect_by": (today + timedelta(days=14)).isoformat(),
        "return_by": (today + timedelta(days=15)).isoformat(),
        "expires_on": (today + timedelta(days=30)).isoformat(),
    }
    return yaml_payload(document)
