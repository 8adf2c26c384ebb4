"""One council of the North East as `council-node init` and `accept` leave it, before it ever connects."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import yaml

from council_node.agreements import accept_agreement
from council_node.policy_file import Class2
from council_node.settings import Settings
from council_node.setup import NewNode, make_node
from federated.agreement import AGREEMENT_TYPE
from federated.demo.papers import agreement_document, yaml_payload
from federated.keys import SigningKey, make_key, public_line
from federated.query import Query, parse_query
from federated.schema import load_schema
from federated.shell import now_utc
from federated.signing import sign_payload
from federated.synthetic import style_of, synthesise, write_extract, write_mapping
from federated.trust import TrustSettings
from protocols.identifiers import CouncilId
from protocols.secagg import Profile

COUNCIL = CouncilId("E06000001")
NORTH_EAST = tuple(sorted(c.id for c in load_schema().councils.values() if c.region == "E12000001"))
QUESTION = """\
query: 1
title: Households assessed, by outcome and month
dataset: case
unit: household
group: pilot
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: '1'
tables:
  - name: outcome
    count: households
    by: [assessment_outcome]
  - name: outcome_by_month
    count: households
    by: [assessment_outcome, {column: assessment_date, part: month}]
"""


@dataclass(frozen=True, slots=True)
class LoneCouncil:
    """A council's folder.

    Attributes:
        file: The settings file.
        extract: The extract.
        key: Its identity key.
    """

    folder: Path
    settings: Settings
    file: Path
    extract: Path
    key: SigningKey
    analyst: SigningKey
    signers: tuple[SigningKey, SigningKey]

    @property
    def question(self) -> Query:
        return parse_query(QUESTION.encode())


def lone_council(
    folder: Path,
    *,
    councils: tuple[CouncilId, ...] = NORTH_EAST,
    automatic: bool = False,
    address: str = "127.0.0.1:1",
    agreement: Mapping[str, object] = MappingProxyType({}),
) -> LoneCouncil:
    """Make the folder; `agreement` is what else the agreement says."""
    signer_a, signer_b, programme, association, analyst, reviewer = (make_key(os.urandom) for _ in range(6))
    trust = TrustSettings(
        roster_keys=(public_line(signer_a.public), public_line(signer_b.public)),
        agreement_keys=(public_line(programme.public), public_line(association.public)),
    )
    (folder / "trust.yaml").write_text(yaml.safe_dump(trust.model_dump(mode="json")), encoding="utf-8")
    document = agreement_document(
        {council: load_schema().council(council).name for council in councils},
        label="the councils of the test",
        profile=Profile.STANDARD if len(councils) >= 10 else Profile.CAREFUL,
        epsilon=Fraction(1),
        analyst=analyst,
        reviewer=reviewer,
        today=now_utc().date() - timedelta(days=1),
    )
    signed = folder / "agreement.dsse"
    payload = yaml_payload({**document, **agreement})
    signed.write_bytes(sign_payload(payload, AGREEMENT_TYPE, [programme, association]))
    write_mapping(folder / "case-mapping.yaml", style_of(COUNCIL), file="extract.csv")
    write_extract(synthesise(COUNCIL, 3), folder / "extract.csv", seed=3)
    settings, key = make_node(
        NewNode(
            folder=folder / "node",
            council=COUNCIL,
            coordinator="lone-hub",
            address=address,
            trust=folder / "trust.yaml",
            mapping=folder / "case-mapping.yaml",
            automatic=automatic,
            class_2=Class2.PERSON,
        )
    )
    accept_agreement(signed, settings, confirm=lambda _agreement: True, now=now_utc())
    (folder / "question.yaml").write_text(QUESTION, encoding="utf-8")
    return LoneCouncil(
        folder=folder,
        settings=settings,
        file=folder / "node" / "node.yaml",
        extract=folder / "extract.csv",
        key=key,
        analyst=analyst,
        signers=(signer_a, signer_b),
    )
