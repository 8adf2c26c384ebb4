"""A whole round with every council connected over TLS: seconds, and the coordinator's peak memory.

`python -m benchmarks.real_connections --councils 350 --lost 10` runs 350 councils over 10,010 cells on loopback, and
loses ten at the worst moment: their keys are dealt and their masked inputs have not come, so that their seeds must be
rebuilt and their masks with every survivor expanded. Beside it, in the same run, the bare cryptography of that round.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bare_round import bare_round_seconds
from benchmarks.connected_councils import COORDINATOR, Papers, councils_running, make_papers
from benchmarks.memory import peak_mib
from benchmarks.targets import AT_MOST, Target, add_record_option, tell
from coordinator.courier import Courier
from coordinator.grpc_link import GrpcLink
from coordinator.grpc_server import serving
from coordinator.mask_pool import MaskPool
from coordinator.progress import ProgressBoard
from coordinator.round_report import RoundOrder, RoundReport
from coordinator.rounds import RoundDriver
from coordinator.settings import StageTimeouts
from coordinator.tls import issue_certificate, make_authority

CORES = os.cpu_count() or 1
TARGET = 2.0
DEADLINE_S = 3000.0
CONNECT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round.

    Attributes:
        report: How it went.
        connect_s: Seconds until every council was connected and proven.
        seconds: From the first invitation to the sum.
        processor_s: Of which the coordinator's own processor time.
        before_mib: The coordinator's peak memory before the round, everyone connected.
        peak_mib: The same after it.
    """

    report: RoundReport
    connect_s: float
    seconds: float
    processor_s: float
    before_mib: int
    peak_mib: int

    def figures(self) -> dict[str, object]:
        """For the row and for people."""
        return {
            "seconds": round(self.seconds, 2),
            "coordinator_processor_seconds": round(self.processor_s, 2),
            "coordinator_peak_mib": self.peak_mib,
            "coordinator_mib_before": self.before_mib,
            "connect_seconds": round(self.connect_s, 2),
            "stage_seconds": {time.stage.label: round(time.microseconds / 1e6, 2) for time in self.report.times},
        }


def measure(councils: int, *, lost: int, processes: int) -> Measured:
    """Run one round in this process, the councils in others."""
    papers = make_papers(councils)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return asyncio.run(_measure(papers, Path(folder), lost=lost, processes=processes))


async def _measure(papers: Papers, folder: Path, *, lost: int, processes: int) -> Measured:
    now = datetime.now(UTC)
    authority = make_authority("Benchmark", now=now)
    certificate = issue_certificate(authority, ["127.0.0.1"], now=now)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    identities = {council: entry.public_key for council, entry in papers.roster.councils.items()}
    link = GrpcLink(
        coordinator_id=COORDINATOR, server_names=certificate.names, identities=lambda: identities, rng=os.urandom
    )
    async with serving("127.0.0.1:0", certificate, link) as port:
        begun = time.perf_counter()
        with councils_running(f"127.0.0.1:{port}", folder / "ca.pem", papers, processes=processes, lost=lost):
            async with asyncio.timeout(CONNECT_S):
                while len(link.connected()) < len(identities):  # noqa: ASYNC110 - the link sets no event to wait on
                    await asyncio.sleep(0.01)
            connect_s = time.perf_counter() - begun
            return await _one_round(papers, link, connect_s)


async def _one_round(papers: Papers, link: GrpcLink, connect_s: float) -> Measured:
    # Those who leave never come back, so nobody waits for their connection; everyone else is waited for.
    waits = StageTimeouts(**dict.fromkeys(StageTimeouts.model_fields, DEADLINE_S) | {"reconnect": 0.0})
    board = ProgressBoard(lambda: datetime.now(UTC))
    board.begin(papers.plan.digest)
    masks = MaskPool(CORES)
    driver = RoundDriver(Courier(link), timeouts=waits, board=board, sum_of=masks)
    order = RoundOrder.make(papers.plan, papers.roster, papers.plan.eligible, attempt=1, rng=os.urandom)
    before, processor, begun = peak_mib(), time.process_time(), time.perf_counter()
    report = await driver.run(order)
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    masks.close()
    return Measured(
        report=report,
        connect_s=connect_s,
        seconds=seconds,
        processor_s=processor,
        before_mib=before,
        peak_mib=peak_mib(),
    )


def _beside_floor(councils: int, lost: int, processes: int) -> tuple[Measured, float]:
    """A round, and the seconds of its bare cryptography."""
    found = measure(councils, lost=lost, processes=processes)
    report = found.report
    if report.result is None:
        raise SystemExit(f"the round ended without a sum: {report.reason}")
    if len(report.result.u3) != councils - lost:
        raise SystemExit(f"{len(report.result.u3)} councils are in the sum, not {councils - lost}")
    plan = report.order.plan
    floor = bare_round_seconds(report.result.thresholds, cells=plan.cells, bits=plan.ring.bits, cores=CORES)
    print(f"round {found.seconds:.1f} s, {found.peak_mib} MiB, bare cryptography {floor:.1f} s", flush=True)
    return found, floor


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--councils", type=int, default=350)
    parser.add_argument("--lost", type=int, default=10)
    parser.add_argument("--processes", type=int, default=CORES, help="processes that hold the councils that stay")
    parser.add_argument("--repeats", type=int, default=3)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    pairs = [_beside_floor(chosen.councils, chosen.lost, chosen.processes) for _ in range(chosen.repeats)]
    cells = pairs[0][0].report.order.plan.cells
    # Figures are of the middle round, memory of the worst.
    middle, floor = sorted(pairs, key=lambda pair: pair[0].seconds)[len(pairs) // 2]
    row = Target(
        name=f"a round of {chosen.councils} councils over TLS, {cells} cells, {chosen.lost} lost",
        samples=[found.seconds / bare for found, bare in pairs],
        target=TARGET,
        direction=AT_MOST,
        command=f"python -m benchmarks.real_connections --councils {chosen.councils} --lost {chosen.lost} "
        f"--repeats {chosen.repeats}",
        figures={
            **middle.figures(),
            "coordinator_peak_mib": max(found.peak_mib for found, _ in pairs),
            "coordinator_mib_before": min(found.before_mib for found, _ in pairs),
            "floor_seconds": round(floor, 2),
            "cores": CORES,
        },
    ).row()
    tell(row, kept=chosen.record)


if __name__ == "__main__":
    main()
