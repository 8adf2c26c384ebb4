"""The demo's federation, from nothing: keys, agreement, coordinator, councils with messy extracts, roster."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import yaml

from federated.agreement import AGREEMENT_TYPE
from federated.client import Client
from federated.demo.papers import SMALL_COHORT, agreement_payload
from federated.demo.people import People
from federated.demo.processes import Processes, command, run, wait_for
from federated.errors import FederatedError, FileProblem
from federated.keys import fingerprint, read_public_key, write_private_key
from federated.manifest import RED_LINES
from federated.query import Query
from federated.roster import ROSTER_TYPE
from federated.schema import Council, load_schema
from federated.shell import now_utc
from federated.signing import add_signature, sign_payload
from federated.synthetic import Cases, style_of, synthesise, with_journeys, write_extract, write_mapping
from federated.synthetic.exact import Recorded
from federated.synthetic.styles import DATASET, canonical_style
from federated.workspace import Workspace
from protocols.identifiers import CouncilId, Digest
from protocols.secagg import Profile

__all__ = ["Records", "World", "build_world", "choose_councils", "demo_folder", "demo_records"]

COORDINATOR = "demo-hub"
NORTH_EAST = "E12000001"
SMALLEST = 4
START_S = 60.0
ASK_AGAIN_S = 2
"""Councils whose people are still deciding are asked again this often."""
AT_ONCE = 3
"""Commands run side by side while the federation is set up."""

Records = Callable[[CouncilId, int], Sequence[Cases]]
"""From a council and a seed to its tables, cases first."""


def demo_records(council: CouncilId, seed: int) -> tuple[Cases, ...]:
    """What a council of the demo holds: cases alone, with their journeys."""
    return (with_journeys(synthesise(council, seed), seed),)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A federation that is up.

    Attributes:
        folder: Everything it wrote.
        councils: Who is asked, by code.
        recorded: What each council's extracts hold: the synthetic truth.
        processes: What runs.
        workspace: The analyst's.
        profile: Of the group that is asked.
    """

    folder: Path
    councils: Mapping[CouncilId, Council]
    recorded: Sequence[Recorded]
    processes: Processes
    workspace: Workspace
    profile: Profile

    @property
    def cases(self) -> tuple[Cases, ...]:
        """The case table of each council."""
        return tuple(item.cases for item in self.recorded)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """The analyst's connection."""
        with Client(self.workspace, clock=now_utc, rng=os.urandom) as client:
            yield client

    def approve(self, council: CouncilId, plan: Digest) -> None:
        """What a person at a council types where no policy may say yes: every red line answered, then approval."""
        answers = [part for name, _ in RED_LINES for part in ("--answer", f"{name}=yes")]
        settings = ["--settings", str(self.folder / "councils" / council / "node" / "node.yaml")]
        who = ["--by", "A person of the demo", "--role", "data protection officer"]
        run([command("council-node"), "approve", plan.hex(), *who, *answers, *settings])


def choose_councils(count: int) -> dict[CouncilId, Council]:
    """The first `count` councils, those of the North East before all others.

    Raises:
        FederatedError: Fewer than a round needs, or more than there are.
    """
    councils = load_schema().councils
    if not SMALLEST <= count <= len(councils):
        raise FederatedError(f"The demo runs with {SMALLEST} to {len(councils)} councils, not {count}.")
    ordered = sorted(councils.values(), key=lambda council: (council.region != NORTH_EAST, council.id))
    return {council.id: council for council in sorted(ordered[:count], key=lambda council: council.id)}


@contextmanager
def demo_folder(keep: Path | None) -> Iterator[Path]:
    """A folder to work in: a new one to keep, or one that goes at the end of the block.

    Raises:
        FileProblem: The folder to keep holds something.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="federation-") as name:
            yield Path(name)
        return
    if keep.exists() and any(keep.iterdir()):
        raise FileProblem(f"{keep} is not empty.", remedy="Name a new folder.")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


@contextmanager
def build_world(
    folder: Path,
    *,
    count: int,
    epsilon: Fraction,
    seed: int,
    records: Records = demo_records,
    questions: Sequence[Query] = (),
) -> Iterator[World]:
    """Set a federation up and keep it running for the length of the block.

    Args:
        folder: An empty folder.
        count: Councils asked.
        epsilon: Cost of each question.
        seed: Fixes the synthetic cases. Masks and noise always come from the system's entropy.
        records: Makes what a council holds.
        questions: What the agreement allows; the demo's own questions when there are none.
    """
    councils = choose_councils(count)
    profile = Profile.STANDARD if count >= SMALL_COHORT else Profile.CAREFUL
    people = _people(folder)
    signed = _agreement(folder, councils, profile, people, epsilon=epsilon, questions=questions)
    recorded = [_extracts(folder, records(council, seed), seed) for council in councils]
    with Processes(folder) as processes:
        address = _coordinator(folder, processes, signed)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            list(pool.map(lambda item: _council(folder, item, address, signed), recorded))
        _roster(folder, councils, people)
        for council in councils:
            node = folder / "councils" / council / "node" / "node.yaml"
            processes.start(f"councils/{council}/node", [command("council-node"), "run", "--settings", str(node)])
        wait_for(
            "Every council's connection",
            lambda: all(processes.running[f"councils/{council}/node"].logged("roster_changed") for council in councils),
            check=processes.check,
            timeout_s=START_S,
        )
        yield World(
            folder=folder,
            councils=councils,
            recorded=recorded,
            processes=processes,
            workspace=_workspace(folder, address, people),
            profile=profile,
        )


def _people(folder: Path) -> People:
    people = People.make(os.urandom)
    (folder / "keys").mkdir(parents=True)
    for each in fields(people):
        write_private_key(folder / "keys" / f"{each.name}.pem", getattr(people, each.name))
    people.write_trust(folder / "trust.yaml")
    return people


def _agreement(
    folder: Path,
    councils: Mapping[CouncilId, Council],
    profile: Profile,
    people: People,
    *,
    epsilon: Fraction,
    questions: Sequence[Query],
) -> Path:
    regions = {council.region for council in councils.values()}
    label = (
        "the twelve councils of the North East"
        if _is_north_east(councils)
        else f"{len(councils)} councils in {len(regions)} region(s)"
    )
    payload = agreement_payload(
        {council.id: council.name for council in councils.values()},
        label=label,
        profile=profile,
        epsilon=epsilon,
        analyst=people.analyst,
        reviewer=people.reviewer,
        today=now_utc().date(),
        questions=questions,
    )
    path = folder / "agreement.dsse"
    path.write_bytes(sign_payload(payload, AGREEMENT_TYPE, people.agreement_signers))
    return path


def _is_north_east(councils: Mapping[CouncilId, Council]) -> bool:
    everyone = {council.id for council in load_schema().councils.values() if council.region == NORTH_EAST}
    return set(councils) == everyone


def _extracts(folder: Path, tables: Sequence[Cases], seed: int) -> Recorded:
    """Write every table with its mapping: cases as the council's own system has them, the others as the schema has."""
    cases, *others = tables
    place = folder / "councils" / cases.council
    place.mkdir(parents=True)
    held = {}
    for table in tables:
        path = place / _file(table, "extract.csv")
        style = style_of(table.council) if table is cases else canonical_style(table.dataset)
        write_mapping(
            place / _file(table, "mapping.yaml"), style, file=path.name, columns=table.columns, dataset=table.dataset
        )
        held[table.dataset] = write_extract(table, path, seed=seed, style=style)
    return Recorded(cases=held[cases.dataset], others={table.dataset: held[table.dataset] for table in others})


def _file(table: Cases, name: str) -> str:
    return name if table.dataset == DATASET else f"{table.dataset}-{name}"


def _coordinator(folder: Path, processes: Processes, agreement: Path) -> str:
    home = folder / "coordinator"
    trust = yaml.safe_load((folder / "trust.yaml").read_text(encoding="utf-8"))
    trusted = [part for key in trust["roster_keys"] for part in ("--roster-key", key)]
    trusted += [part for key in trust["agreement_keys"] for part in ("--agreement-key", key)]
    names = [
        "--id",
        COORDINATOR,
        "--name",
        "Demo coordinator",
        "--host",
        "127.0.0.1",
        "--listen",
        "127.0.0.1",
        "--port",
        "0",
    ]
    run([command("coordinator"), "init", "--folder", str(home), *names, *trusted])
    written = home / "coordinator.yaml"
    document = yaml.safe_load(written.read_text(encoding="utf-8")) | {"proposals": {"ask_again": ASK_AGAIN_S}}
    written.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    settings = ["--settings", str(written)]
    run([command("coordinator"), "agreement", "add", str(agreement), *settings])
    ready = home / "ready"
    processes.start("coordinator-serve", [command("coordinator"), "serve", *settings, "--ready-file", str(ready)])
    wait_for("The coordinator", ready.exists, check=processes.check, timeout_s=START_S)
    return ready.read_text(encoding="ascii").strip()


def _council(folder: Path, recorded: Recorded, address: str, agreement: Path) -> None:
    council = recorded.cases.council
    place = folder / "councils" / council
    run(
        [
            command("council-node"),
            "init",
            str(place / "node"),
            *("--council", council, "--coordinator", COORDINATOR, "--address", address),
            *("--trust", str(folder / "trust.yaml"), "--mapping", str(place / "mapping.yaml")),
            *("--ca-file", str(folder / "coordinator" / "tls" / "authority.pem")),
            *("--agreement", str(agreement), "--automatic", "--class-2", "as_agreed", "--enrol"),
        ]
    )
    if recorded.others:
        _add_tables(place / "node" / "node.yaml", recorded.others.values(), place)


def _add_tables(settings: Path, tables: Iterable[Cases], place: Path) -> None:
    """Name the mappings of the other tables in a node's settings, as its council would by hand."""
    document = yaml.safe_load(settings.read_text(encoding="utf-8"))
    document["data"] |= {table.dataset: str((place / _file(table, "mapping.yaml")).resolve()) for table in tables}
    settings.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _roster(folder: Path, councils: Mapping[CouncilId, Council], people: People) -> None:
    """Compare every fingerprint with the council's own, then have the list drafted, signed by two, and published."""
    settings = ["--settings", str(folder / "coordinator" / "coordinator.yaml")]
    listed = json.loads(run([command("coordinator"), "enrol", "list", "--json", *settings]))
    shown = {item["council"]: item["fingerprint"] for item in listed}
    for council in councils:
        own = fingerprint(read_public_key(folder / "councils" / council / "node" / "identity.pub"))
        if shown.get(council) != own:
            raise FederatedError(f"The key that came for {council} is not the council's own.")
    run([command("coordinator"), "enrol", "accept", *councils, *settings])
    draft = folder / "roster.yaml"
    run([command("coordinator"), "roster", "draft", "--out", str(draft), *settings])
    once = sign_payload(draft.read_bytes(), ROSTER_TYPE, [people.signer_a])
    (folder / "roster.dsse").write_bytes(add_signature(once, people.signer_b))
    run([command("coordinator"), "roster", "publish", str(folder / "roster.dsse"), *settings])


def _workspace(folder: Path, address: str, people: People) -> Workspace:
    shutil.copyfile(folder / "coordinator" / "tls" / "authority.pem", folder / "coordinator-ca.pem")
    document = {
        "workspace": 1,
        "key": "keys/analyst.pem",
        "coordinator": {"id": COORDINATOR, "address": address, "ca_file": "coordinator-ca.pem"},
        "trust": people.trust.model_dump(mode="json"),
    }
    (folder / "federated.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return Workspace.load(folder / "federated.yaml")
