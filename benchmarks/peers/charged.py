"""Epsilon charged against epsilon asked: in every council's ledger here, and as SmartNoise SQL states it.

`python -m benchmarks.peers.charged`

Ours is what the councils' ledgers hold after the question was answered, not what was planned. SmartNoise's epsilon
is for each noisy column and query, by its documentation; what a question costs is what `get_privacy_cost` says.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from benchmarks.peers.environment import PEERS, run_program, versions
from benchmarks.peers.results import Comparison, keep
from benchmarks.questions import about_households
from benchmarks.targets import add_record_option
from coordinator.simulate import Scenario, simulate
from coordinator.simulation_papers import SMALLEST
from council_node.ledger_book import LedgerBook
from federated.ledger_entries import RoundState
from federated.privacy import Mechanism
from federated.query import Dimension, Query, Table, measured
from protocols.identifiers import CouncilId

SMARTNOISE = PEERS["smartnoise"]
PROGRAM_S: Final = 300.0


def questions(epsilon: Fraction) -> dict[str, Query]:
    """The questions, by the names that the peer's program uses."""
    reason, age = Dimension(column="reason_loss"), Dimension(column="main_age_band")
    one = Table(name="reasons", statistic="households", by=(reason,))
    two = Table(name="ages", statistic="households", by=(age,))
    mean = Table(name="children", statistic="mean", measures=(measured("dependent_children_n", 0, 6),))
    base = about_households("Benchmark of what a question costs", one, epsilon=epsilon)
    return {
        "one table of counts": base,
        "two tables of counts": replace(base, tables=(one, two)),
        "a mean": replace(base, tables=(mean,)),
    }


def our_charge(question: Query, *, councils: int = SMALLEST) -> Fraction:
    """What every council's ledger was charged for the question.

    Raises:
        SystemExit: The ledgers disagree.
    """
    scenario = Scenario(questions=(question,), councils=councils, mechanism=Mechanism.DISCRETE_LAPLACE)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        simulation = simulate(scenario, folder=Path(name))
        charges = {charge for council in simulation.councils for charge in _charges(Path(name), council)}
    if len(charges) != 1:
        raise SystemExit(f"the councils' ledgers do not hold one and the same charge: {charges}")
    [charge] = charges
    return charge


def _charges(folder: Path, council: CouncilId) -> Iterator[Fraction]:
    """The pure epsilon of each round in a council's ledger that its data was read for."""
    path = folder / "councils" / council / "node" / "state" / "ledger.db"
    with LedgerBook.read_only(path, council) as ledger:
        for charged in ledger.rounds():
            if charged.state is not RoundState.SPENT or charged.charge.epsilon is None:
                raise SystemExit(f"{council}: a round of the simulation was not charged in pure epsilon")
            yield charged.charge.epsilon


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", type=Fraction, default=Fraction(1))
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    stated = run_program(
        SMARTNOISE, "smartnoise_counts", ["--epsilon", str(float(chosen.epsilon))], timeout_s=PROGRAM_S
    )
    for name, question in questions(chosen.epsilon).items():
        charged = our_charge(question)
        row = Comparison(
            name=f"epsilon charged where {chosen.epsilon} was asked, {name}",
            peer=SMARTNOISE.name,
            unit="epsilon",
            ours=[float(charged)],
            theirs=[stated[name][0]],
            command=f"python -m benchmarks.peers.charged --epsilon {chosen.epsilon}",
            versions=versions(SMARTNOISE),
            figures={"their_delta": stated[name][1]},
        ).row()
        print(json.dumps(row, indent=2), flush=True)
        if chosen.record:
            keep(row)


if __name__ == "__main__":
    main()
