"""The signed papers of the demo: agreement and manifests, from the texts beside this module."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from importlib import resources
from math import ceil
from typing import Any, Final

import yaml

from federated.crossings import BASE_FACTOR, crossed_tables
from federated.keys import SigningKey, public_line
from federated.privacy import FILTER_SHARE_OF_DELTA, zcdp_epsilon
from federated.query import Query
from federated.rationals import rational_text
from federated.schema import load_schema
from federated.yaml_document import write_document
from protocols.identifiers import CouncilId
from protocols.secagg import Profile

__all__ = ["GROUP", "agreement_document", "agreement_payload", "datasets_of", "manifest_payload", "yaml_payload"]

GROUP = "pilot"
SMALL_COHORT = 10
YEARLY_QUESTIONS = 8
"""The budget of a year covers this many of the demo's questions."""


def _text(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(resources.files("federated.demo").joinpath(name).read_bytes())
    return document


def yaml_payload(document: Mapping[str, Any]) -> bytes:
    """A document as the bytes that are signed."""
    return write_document(dict(document)).encode("utf-8")


SENSITIVE: Final = 2
APPROVED_BY: Final = "The data protection officers of the pilot councils, at their meeting of 12 January 2026"


def datasets_of(questions: Sequence[Query]) -> dict[str, Any]:
    """What an agreement must allow for these questions and no others: the part `datasets` of its document."""
    allowed: dict[str, Any] = {}
    for name in dict.fromkeys(question.dataset for question in questions):
        asked = [question for question in questions if question.dataset == name]
        tables = [table for question in asked for table in question.tables]
        columns = sorted(set().union(*(question.columns() for question in asked)))
        dataset = load_schema().dataset(name)
        sensitive = [column for column in columns if dataset.column(column).highest_class == SENSITIVE]
        allowed[name] = {
            "unit": dataset.unit,
            "columns": columns,
            "statistics": sorted({table.statistic for table in tables}),
            "max_cells": max(table.max_cells for table in tables),
            "class_2_approved_by": dict.fromkeys(sensitive, APPROVED_BY),
        }
    return allowed


def _room_for(questions: Sequence[Query], epsilon: Fraction, delta: Fraction) -> int:
    """Epsilon of a year in which every question can be asked once, whichever noise each is given.

    Costs of Laplace noise alone add up. As soon as one question has Gaussian noise all of them are added up as rho, of
    which pure epsilon costs epsilon squared over two, and converted at the part of delta that is kept for that
    (`protocol.md` 2): more, where the questions are few and dear.
    """
    rho = len(questions) * epsilon**2 / 2
    return ceil(max(epsilon * len(questions), zcdp_epsilon(rho, FILTER_SHARE_OF_DELTA * delta)))


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
    questions: Sequence[Query] = (),
) -> bytes:
    """The agreement's bytes, to be signed; see `agreement_document`.

    Where `questions` are given the agreement allows these, each once a year, and nothing else. A table that crosses
    protected characteristics needs twice the smallest cohort, so that is set to half of those here, less one.
    """
    document = agreement_document(
        councils, label=label, profile=profile, epsilon=epsilon, analyst=analyst, reviewer=reviewer, today=today
    )
    if questions:
        document["datasets"] = datasets_of(questions)
        if any(crossed_tables(question, load_schema().dataset(question.dataset)) for question in questions):
            document["min_cohort"] = min(document["min_cohort"], max(4, len(councils) // BASE_FACTOR - 1))
        document["budget"] |= {"epsilon": str(_room_for(questions, epsilon, Fraction(document["budget"]["delta"])))}
    return yaml_payload(document)


def _person(name: str, organisation: str, key: SigningKey) -> dict[str, str]:
    return {"name": name, "organisation": organisation, "public_key": public_line(key.public)}


def manifest_payload(name: str, query: Query, *, today: date, question: str | None = None) -> bytes:
    """The manifest of one question, as bytes; `question` is what it asks in words, where that is not the demo's."""
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
    if question is not None:
        document["question"] = question
    return yaml_payload(document)
