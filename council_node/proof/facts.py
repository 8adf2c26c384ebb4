"""The facts that packs are made from: what the node is set up to do, read from its own files at that moment.

Nothing is typed in by hand, so a pack cannot say something else than the settings; and each pack carries its facts, so
that `council-node pack check` can tell later which of them have changed.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from council_node.mapping import load_mapping
from council_node.policy_file import Policy, read_policy
from council_node.proof.handover import accepted_agreements
from council_node.settings import Settings
from federated.agreement import Agreement
from federated.errors import FileProblem
from federated.keys import fingerprint, parse_public
from federated.schema import Dataset, Schema, load_schema

__all__ = ["Facts", "live_facts"]

Facts = dict[str, Any]
"""Sections of plain names, texts, numbers, lists and dictionaries: what JSON holds, without floats."""
_OPTED_OUT: Final = "opted_out"


def live_facts(settings: Settings, *, proposed: Iterable[Agreement] = ()) -> Facts:
    """The facts as they stand now.

    Args:
        settings: Of the node.
        proposed: Agreements that are not accepted yet, to draft from: an assessment comes before an agreement.

    Raises:
        FileProblem: A file of the node cannot be read.
    """
    schema = load_schema()
    accepted = accepted_agreements(settings)
    waiting = [item for item in proposed if item.digest not in {one.digest for one in accepted}]
    agreements = {item.id: _agreement(item, schema, accepted=True) for item in accepted}
    agreements |= {item.id: _agreement(item, schema, accepted=False) for item in waiting}
    return {
        "council": settings.council.model_dump(mode="json"),
        "coordinator": {"id": settings.coordinator.id, "address": settings.coordinator.address},
        "roles": _without_none(settings.roles.model_dump(mode="json")),
        "policy": _policy(read_policy(settings.policy)),
        "trust": _trust(settings),
        "data": {name: _data_set(settings, name, schema) for name in sorted(settings.data)},
        "agreements": agreements,
    }


def _policy(policy: Policy) -> Facts:
    # A pause is a state of the day and no part of what the processing is.
    return _without_none(policy.model_dump(mode="json", exclude={"policy", "paused"}))


def _without_none(value: Mapping[str, Any]) -> Facts:
    """Without what is not set, so that setting it later reads as something new."""
    return {
        name: _without_none(item) if isinstance(item, dict) else item
        for name, item in value.items()
        if item is not None
    }


def _trust(settings: Settings) -> Facts:
    trust = settings.trust
    return {
        "roster_people": [fingerprint(parse_public(line)) for line in trust.roster_keys],
        "roster_signatures": trust.roster_threshold,
        "agreement_people": [fingerprint(parse_public(line)) for line in trust.agreement_keys],
        "agreement_signatures": trust.agreement_threshold,
    }


def _data_set(settings: Settings, name: str, schema: Schema) -> Facts:
    mapping = load_mapping(settings.data[name], schema)
    dataset = schema.datasets.get(mapping.dataset)
    if dataset is None or mapping.dataset != name:
        raise FileProblem(
            f"The mapping of the data set '{name}' is for '{mapping.dataset}'.", remedy="Correct data in the settings."
        )
    return {
        "unit": dataset.unit,
        "source": mapping.source_kind.value,
        "objections_honoured": _OPTED_OUT in mapping.columns,
        "columns": {
            column: {"heading": mapped.source, "class": dataset.columns[column].highest_class}
            for column, mapped in sorted(mapping.columns.items())
        },
    }


def _agreement(agreement: Agreement, schema: Schema, *, accepted: bool) -> Facts:
    facts = _without_none(agreement.model_dump(mode="json", exclude={"agreement", "analysts", "reviewers"}))
    facts["accepted"] = accepted
    facts["sha256"] = agreement.digest.hex()
    facts["analysts"] = [_person(item) for item in agreement.analysts]
    facts["reviewers"] = [_person(item) for item in agreement.reviewers]
    facts["colluders"] = {group.name: agreement.cohort_rules(group).max_colluders for group in agreement.groups}
    facts["sensitivity"] = {
        name: _classes(schema.datasets[name], allowed.columns)
        for name, allowed in agreement.datasets.items()
        if name in schema.datasets
    }
    return facts


def _classes(dataset: Dataset, columns: Iterable[str]) -> Facts:
    return {column: dataset.columns[column].highest_class for column in columns if column in dataset.columns}


def _person(person: Any) -> Facts:
    return {
        "name": person.name,
        "organisation": person.organisation,
        "fingerprint": fingerprint(parse_public(person.public_key)),
    }
