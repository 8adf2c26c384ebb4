"""Requests that schemathesis makes from the description of the interface, sent by everybody who may be there.

Held: no reply is a failure of the server, each is as described, and nobody is told what is not theirs. The last is
looked for in what was sent to them, by what an answer holds, and not by the rules that decide.
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    load_all_checks,
    not_a_server_error,
    response_schema_conformance,
)
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    response_headers_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp

from coordinator.api import views
from coordinator.api.site import CALLS, description
from coordinator.console.answers import Access
from tests.evidence import record
from tests.integration.api_world import NAMES, ORIGIN, ApiWorld, Program, api_world
from tests.integration.governance_papers import comment, keep_series, meeting, standing_series

SEED = 20260201
EXAMPLES = 2
LONG_EXAMPLES = 100
WHO = ("", "analyst", "reviewer", "observer", "operator", "stranger", "wrong")
OUTSIDERS = ("", "operator", "stranger", "wrong")
"""To whom nothing of the agreement is open while its figures are not published."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
"""Not that whatever fits the description is accepted: whether a plan is signed, no schema can say."""
NUMBER = re.compile(r"(?<![0-9a-f.:-])-?\d{3,7}(?![0-9a-f:-])")
TOO_LONG = 414
load_all_checks()
SCHEMA = schemathesis.openapi.from_dict(description())


@dataclass
class Secrets:
    """What outsiders must not find: what a closed answer holds, and who has an account."""

    figures: frozenset[int]
    words: frozenset[str]

    @classmethod
    def of(cls, world: ApiWorld) -> "Secrets":
        tables = [table.model_dump(mode="json") for release in world.console.answered for table in release.tables]
        figures = {int(found) for found in NUMBER.findall(json.dumps(tables)) if abs(int(found)) > 100}
        outcomes = {record.reason for release in world.console.answered for record in release.councils}
        return cls(frozenset(figures), frozenset({*NAMES.values(), *outcomes} - {""}))

    def found_in(self, text: str, *, own: str) -> set[object]:
        """Two figures or more, as one may be there by chance; or a word."""
        figures = {int(found) for found in NUMBER.findall(text)} & self.figures
        return {word for word in self.words - {own} if word in text} | (figures if len(figures) > 1 else set())


@dataclass
class Tried:
    """Sends requests as everybody, and keeps what was wrong with the replies."""

    world: ApiWorld
    secrets: Secrets
    site: ASGIApp | None = None
    programs: dict[str, Program] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        site = self.world.site() if self.site is None else self.site
        self.programs = {who: Program(self.world, who, site=site) for who in WHO}

    def known(self) -> dict[str, list[str]]:
        """What there is, for the names in paths: chance never hits a digest."""
        answered = self.world.console.answered
        files = [f"{answered[0].tables[0].name}.csv", "release.json"]
        return {
            "plan": list(self.world.console.plans.values()),
            "digest": [release.digest.hex() for release in answered],
            "agreement": [self.world.console.agreement, "another"],
            "file": files,
        }

    def send(self, case: schemathesis.Case, who: str, *, known: bool = False) -> None:
        sent = case.as_transport_kwargs(base_url=ORIGIN)
        sent.pop("cookies", None)
        sent["headers"] = {k: v for k, v in sent["headers"].items() if k.lower() not in {"authorization", "host"}}
        reply = self.programs[who].request(**sent)
        self.statuses[reply.status_code] += 1
        # Where a name is put in that there is, what was wrong may be right; and an address may be too long.
        checks = CHECKS[:-1] if known or reply.status_code == TOO_LONG else CHECKS
        case.validate_response(reply, checks=checks)
        found = self.secrets.found_in(reply.text, own=NAMES.get(who, ""))
        given = reply.status_code == 200 and "/files/" in case.path
        if who in OUTSIDERS and (found or given):
            self.leaks.append(f"{case.method} {case.path} told {who or 'nobody'}: {sorted(map(str, found))}")

    def run(self, *, examples: int, paths: str = "", modes: tuple[GenerationMode, ...] = tuple(GenerationMode)) -> None:
        known = self.known()
        for found in SCHEMA.get_all_operations():
            operation = found.ok()
            if paths not in operation.path:
                continue
            takes_anything = any(operation.iter_parameters()) or bool(operation.body)
            for mode in modes:
                if mode is GenerationMode.NEGATIVE and not takes_anything:
                    continue  # there is no wrong way to ask
                self._run(operation.as_strategy(generation_mode=mode), known, examples)

    def _run(self, cases: st.SearchStrategy, known: dict[str, list[str]], examples: int) -> None:
        @seed(SEED)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, data=st.data())
        def each(case: schemathesis.Case, data: st.DataObject) -> None:
            self.send(case, data.draw(st.sampled_from(WHO)))
            there = {name: data.draw(st.sampled_from(known[name])) for name in case.path_parameters}
            case.path_parameters.update(there)
            for who in WHO:
                self.send(case, who, known=True)

        each()


@pytest.fixture(scope="module")
def world() -> Iterator[ApiWorld]:
    with tempfile.TemporaryDirectory() as folder, api_world(Path(folder)) as made:
        # What was said of an answer quotes it, as people do; another council says so to the parties alone.
        quoted = " and ".join(str(figure) for figure in sorted(Secrets.of(made).figures)[:4])
        for council, publish in ((0, True), (1, False)):
            comment(made.console, f"We had {quoted} here.", council=council, publish=publish)
        meeting(made.console, held_on=date(2026, 1, 20), decision="May be put.")
        keep_series(made.console, standing_series(made.console))
        yield made


@pytest.fixture
def tried(world):
    return Tried(world, Secrets.of(world))


def test_requests_made_from_the_description(tried):
    print(f"seed {SEED}")
    tried.run(examples=EXAMPLES)
    assert tried.leaks == []
    assert {200, 401, 403, 404, 422} <= set(tried.statuses)
    assert not any(status >= 500 for status in tried.statuses)


@pytest.mark.long
def test_requests_made_from_the_description_at_length(tried):
    tried.run(examples=LONG_EXAMPLES)
    assert tried.leaks == []
    record(
        "requests that schemathesis makes from the description of the programs' interface",
        {
            "calls": len(CALLS),
            "kinds of asker": len(WHO),
            "requests": sum(tried.statuses.values()),
            "replies by status": {str(status): number for status, number in sorted(tried.statuses.items())},
            "failures of the server": 0,
            "replies that told somebody what is not theirs": len(tried.leaks),
        },
        test="tests/integration/test_api_schemathesis.py::test_requests_made_from_the_description_at_length",
        n=sum(tried.statuses.values()),
        seed=SEED,
    )


# --- each thing looked for is found where it is ---


def test_figures_given_to_everybody_are_seen(world, monkeypatch):
    monkeypatch.setattr(
        "coordinator.console.answers.access_to", lambda *_args: Access(open=True, public=True, public_from=None)
    )
    tried = Tried(world, Secrets.of(world))
    tried.run(examples=1, paths="/files/", modes=(GenerationMode.POSITIVE,))
    assert any("told nobody" in leak for leak in tried.leaks)
    assert any("told stranger" in leak and "'" in leak for leak in tried.leaks)


def test_what_was_said_of_an_answer_given_to_everybody_is_seen(world, monkeypatch):
    everybody = Access(open=True, public=True, public_from=None)
    monkeypatch.setattr("coordinator.console.signed_papers.access_to", lambda *_args: everybody)
    published = Tried(world, Secrets.of(world), site=world.site(publish=(world.console.agreement,)))
    published.run(examples=8, paths="/papers", modes=(GenerationMode.POSITIVE,))
    assert any("GET /api/v1/papers told nobody" in leak for leak in published.leaks)


def test_names_given_to_another_agreement_are_seen(world, monkeypatch):
    analyst = Program(world, "analyst")
    analyst.ask(f"/releases/{world.console.release}/files/release.json")
    monkeypatch.setattr("coordinator.api.asking.check_allowed", lambda *_args, **_named: None)
    tried = Tried(world, Secrets.of(world))
    tried.run(examples=2, paths="/readers", modes=(GenerationMode.POSITIVE,))
    assert any("told stranger" in leak and NAMES["analyst"] in leak for leak in tried.leaks)


def test_a_reply_that_is_not_as_described_is_seen(world, monkeypatch):
    line = views._answer

    def undated(ask, row):
        return line(ask, row) | {"digest": "not a digest"}

    monkeypatch.setattr(views, "_answer", undated)
    with pytest.raises(BaseException, match=r"500|does not match|Server error"):
        Tried(world, Secrets.of(world)).run(examples=1, paths="/releases", modes=(GenerationMode.POSITIVE,))


def test_a_failure_of_the_server_is_seen(world, monkeypatch):
    def broken(*_args, **_named):
        raise ZeroDivisionError

    monkeypatch.setattr(views, "_place", broken)
    monkeypatch.setattr(views, "_line", broken)
    with pytest.raises(BaseException, match="Server error"):
        Tried(world, Secrets.of(world)).run(examples=1, paths="/questions", modes=(GenerationMode.POSITIVE,))


def test_the_secrets_are_there_to_be_found(world):
    secrets = Secrets.of(world)
    assert len(secrets.figures) >= 8
    content = world.console.answered[0].encode().decode()
    assert secrets.found_in(content, own="")
    assert not secrets.found_in(json.dumps({"size": 2812, "title": "Families by age"}), own="")
    assert not replace(secrets, figures=frozenset()).found_in("{}", own="")
