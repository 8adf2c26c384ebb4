"""`coordinator simulate-attacks`: what differencing learns from a federation in this process."""

import json
from typing import Annotated

import typer

from coordinator.simulate_command import needs_node
from federated.attack.report import print_attacks
from federated.shell import output

__all__ = ["simulate_attacks"]


def simulate_attacks(
    *,
    trials: Annotated[int, typer.Option(help="Planted households for each attack, 20 to 2,000.")] = 1000,
    councils: Annotated[int, typer.Option(help="How many councils in each federation; at least five.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the records and who is in them; never the noise.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Attack a federation on this computer by differencing, and say how often the guesses are right.

    Every part is the real one but the network. Needs the council node's packages beside the coordinator's.

    Example: coordinator simulate-attacks --trials 500
    """
    with needs_node():
        from coordinator.simulate_attacks import simulate_attacks as mount  # noqa: PLC0415 - needs the node's packages

    def tell(line: str) -> None:
        if not json_:
            output.print(line, markup=False)

    found = mount(trials=trials, seed=seed, councils=councils, tell=tell).as_json()
    if json_:
        output.print_json(json.dumps(found))
    else:
        print_attacks(found, output)
