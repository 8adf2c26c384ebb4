"""`federated demo`: a whole federation on this machine, from nothing to answers; and what differencing learns."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from federated.attack.report import print_attacks
from federated.demo.processes import command, run
from federated.query.model import parse_epsilon
from federated.shell import now_utc, output

__all__ = ["register"]


demo = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@demo.callback()
def run_demo(
    context: typer.Context,
    councils: Annotated[
        int, typer.Option("--councils", help="How many councils; twelve are all of the North East.")
    ] = 12,
    epsilon: Annotated[str, typer.Option("--epsilon", help="Privacy cost of each question, such as 1 or 1/2.")] = "1",
    seed: Annotated[int, typer.Option("--seed", help="Fixes the synthetic cases and which node fails.")] = 1,
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep all files in this new folder.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Run a coordinator and councils as separate processes, with synthetic cases of real sizes, and ask them.

    Example: federated demo --councils 12 --keep demo-output
    """
    if context.invoked_subcommand is not None:
        return
    # Imported here: the demo needs drawing and numbers that no other command waits for.
    from federated.demo.report import print_result  # noqa: PLC0415
    from federated.demo.run import run_questions, write_report  # noqa: PLC0415
    from federated.demo.world import build_world, demo_folder  # noqa: PLC0415

    begun = time.perf_counter()
    cost = parse_epsilon(epsilon)

    def tell(line: str) -> None:
        if not as_json:
            output.print(line, markup=False)

    with demo_folder(keep) as folder:
        tell(f"Setting up a coordinator and {councils} councils, each with its own key and messy extract …")
        with build_world(folder, count=councils, epsilon=cost, seed=seed) as world:
            tell(f"Up after {time.perf_counter() - begun:.0f} seconds. Asking.")
            result = run_questions(world, epsilon=cost, seed=seed, today=now_utc().date(), tell=tell)
            with world.client() as client:
                roster = client.trusted().roster
        write_report(result, folder / "demo.json")
        if as_json:
            output.print_json(json.dumps(result.as_json()))
        else:
            print_result(result, roster, output)
            where = (
                f"All files are in {folder}."
                if keep is not None
                else "Add --keep DIR to keep releases, charts, receipts and logs."
            )
            output.print(f"Done in {time.perf_counter() - begun:.0f} seconds. {where}", markup=False)


@demo.command()
def attack(
    trials: Annotated[int, typer.Option("--trials", help="Planted households for each attack, 20 to 2,000.")] = 1000,
    councils: Annotated[
        int, typer.Option("--councils", help="How many councils in each federation; at least five.")
    ] = 12,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Fixes the records and who is in them; never the noise.")
    ] = 1,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Try to learn by differencing whether a household is in the records: where small counts are hidden, and here.

    Example: federated demo attack --trials 500
    """
    if not as_json:
        output.print("Mounting five attacks, each on a federation of its own. This takes about half a minute …")
    numbers = {"--trials": trials, "--councils": councils, "--seed": seed}
    options = [text for name, number in numbers.items() for text in (name, str(number))]
    found = json.loads(run([command("coordinator"), "simulate-attacks", "--json", *options]))
    if as_json:
        output.print_json(json.dumps(found))
    else:
        print_attacks(found, output)


def register(app: typer.Typer) -> None:
    """Add this command to `federated`."""
    app.add_typer(demo, name="demo")
