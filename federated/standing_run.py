"""Asking what a standing question is due to ask: run by a scheduler, as often as it likes, with the analyst's own key.

Each repeat is asked once, whatever happens. Its plan is signed and kept on this disk before it is sent; from then on
only those very bytes are ever sent again, which councils and coordinator know by their digest. A repeat that councils
refused, that failed or that ran out of time stays so: whether it is asked again is for a person to decide.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from federated.client import Client, Trusted
from federated.errors import FederatedError, FileProblem, PolicyRefusal
from federated.schema import load_schema
from federated.series import Repeat, Series, check_signed_by_now, repeats
from federated.timestamps import parse_time, time_text
from protocols.identifiers import Digest
from protocols.wire import analyst_pb2 as pb

__all__ = ["Journal", "Kept", "Told", "run_series", "states_of"]

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A repeat whose plan is signed and kept here.

    Attributes:
        plan_digest: Its identity.
        collect_by: Last moment at which it can be handed in.
    """

    plan_digest: Digest
    collect_by: datetime
    plan: bytes = field(repr=False)
    manifest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a repeat in one run.

    Attributes:
        asked: Whether it was handed in by this run.
        said: In a sentence.
    """

    repeat: Repeat
    asked: bool
    said: str


class Journal:
    """The plans signed for a standing question, one file for each repeat; a file is made once and never changed.

    Args:
        folder: Where they are; made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, query_digest: Digest) -> Kept | None:
        """The plan kept for a question, if there is one.

        Raises:
            FileProblem: The file cannot be read, so whether it was asked is not known.
        """
        path = self._path(query_digest)
        try:
            found = json.loads(path.read_bytes())
            _check_about(found, query_digest)
            return Kept(
                plan_digest=Digest(bytes.fromhex(found["plan_digest"])),
                collect_by=parse_time(found["collect_by"]),
                plan=b64decode(found["plan"]),
                manifest=b64decode(found["manifest"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, FederatedError) as error:
            raise FileProblem(
                f"{path}: the record of a repeat cannot be read, so it is not known whether it was asked.",
                remedy="Restore the file. Without it the repeat could be asked, and charged, twice.",
            ) from error

    def keep(self, query_digest: Digest, kept: Kept) -> Kept:
        """Put a plan on the disk before it is sent; where another run has done so meanwhile, that one's counts.

        Raises:
            FileProblem: It cannot be written.
        """
        document = {
            "version": _VERSION,
            "query_digest": query_digest.hex(),
            "plan_digest": kept.plan_digest.hex(),
            "collect_by": time_text(kept.collect_by),
            "plan": b64encode(kept.plan).decode(),
            "manifest": b64encode(kept.manifest).decode(),
        }
        path = self._path(query_digest)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}.draft")
            _write_durably(draft, json.dumps(document).encode())
            with suppress(FileExistsError):  # a link, unlike a renamed file, never takes another's place
                os.link(draft, path)
            draft.unlink()
            _sync_folder(self._folder)
        except OSError as error:
            raise FileProblem(
                f"{path}: the record of a repeat cannot be written ({error.strerror}). Nothing was asked."
            ) from error
        found = self.get(query_digest)
        return kept if found is None else found

    def _path(self, query_digest: Digest) -> Path:
        return self._folder / f"{query_digest.hex()}.json"


def _check_about(found: Mapping[str, object], query_digest: Digest) -> None:
    if found["version"] != _VERSION or found["query_digest"] != query_digest.hex():
        raise ValueError


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def states_of(series: Series, questions: Sequence[pb.QuestionSummary]) -> Mapping[int, str]:
    """Number of a repeat → state of the newest question that asks it, as the coordinator tells."""
    schema = load_schema().digest
    numbers = {repeat.question.digest(schema): repeat.number for repeat in repeats(series)}
    found: dict[int, str] = {}
    for question in questions:  # newest first
        number = numbers.get(Digest(question.query_digest))
        if number is not None and question.agreement_id == series.agreement:
            found.setdefault(number, question.state)
    return found


def run_series(
    client: Client,
    series: Series,
    journal: Journal,
    *,
    trusted: Trusted,
    now: datetime,
    tell: Callable[[Told], None],
) -> None:
    """Ask every repeat that is due and was not asked yet.

    Args:
        client: Of the analyst.
        series: Checked against the agreement in force.
        journal: Where this computer keeps what it has signed.
        trusted: The signed state to plan against.
        now: The time, UTC.
        tell: Is told what became of each repeat that is due.

    Raises:
        PolicyRefusal: `series_lapsed`: nothing is asked any more; or `series_dates`: it is dated ahead.
        FederatedError: What the first repeat that could not be asked met; the others were tried.
    """
    if now.date() > series.until:
        raise PolicyRefusal(
            "series_lapsed",
            f"The standing question '{series.id}' lapsed at the end of {series.until}. Nothing was asked.",
            remedy="Review it with the councils. If it is still needed, sign a new edition.",
        )
    check_signed_by_now(series, now)
    states = states_of(series, list(client.questions()))
    problem: FederatedError | None = None
    for repeat in repeats(series):
        if repeat.due > now.date():
            continue
        state = states.get(repeat.number)
        try:
            told = (
                _ask(client, series, repeat, journal, trusted=trusted, now=now)
                if state is None
                else Told(repeat=repeat, asked=False, said=f"It was asked: {state}.")
            )
        except FederatedError as error:
            told = Told(repeat=repeat, asked=False, said=error.diagnostics())
            problem = problem or error
        tell(told)
    if problem is not None:
        raise problem


def _ask(client: Client, series: Series, repeat: Repeat, journal: Journal, *, trusted: Trusted, now: datetime) -> Told:
    query_digest = repeat.question.digest(load_schema().digest)
    # The coordinator says that it knows no such question. What stands here counts for more: it may have forgotten.
    kept = journal.get(query_digest)
    if kept is None:
        kept = journal.keep(query_digest, _signed(client, series, repeat, trusted, now))
    if now > kept.collect_by:
        said = "Its plan was signed and never arrived, and its time is over. It is not signed again by itself."
        return Told(repeat=repeat, asked=False, said=said)
    step = client.hand_in(kept.plan, kept.manifest)
    return Told(repeat=repeat, asked=True, said=f"Handed in. {step.message}")


def _signed(client: Client, series: Series, repeat: Repeat, trusted: Trusted, now: datetime) -> Kept:
    days = trusted.agreements[series.agreement].decision_days
    manifest = repeat.manifest(series, today=now.date(), decision_days=days)
    plan = client.plan(repeat.question, agreement=series.agreement, manifest=manifest, trusted=trusted)
    signed_plan, signed_manifest = client.sign(plan, manifest)
    return Kept(plan_digest=plan.digest, collect_by=plan.terms.collect_by, plan=signed_plan, manifest=signed_manifest)
