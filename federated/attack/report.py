"""What `federated demo attack` prints: one table, and for each attack what was done and what happened."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

__all__ = ["print_attacks"]


def print_attacks(found: Mapping[str, Any], output: Console) -> None:
    """Print everything.

    Args:
        found: The JSON object of `coordinator simulate-attacks --json`.
        output: Where to.
    """
    output.print(_grid(found))
    chance = 100 * 2 * found["standard_error"]
    output.print(
        "Share of right guesses at whether a household is in the records; 50% is a coin. With "
        f"{found['trials']:,} trials, chance alone seldom moves a share by more than {chance:.1f} points."
    )
    for attack in found["attacks"]:
        output.print(f"\n{attack['title']}", style="bold")
        for line in _sentences(attack):
            output.print(line, markup=False)
    output.print()
    for line in _what_is_real(found):
        output.print(line, markup=False)


def _grid(found: Mapping[str, Any]) -> Grid:
    grid = Grid(
        "Attack", "Exact counts", "Rounded to 5", "Rounded to 10", "Here", "No guesser above", title="Right guesses"
    )
    for attack in found["attacks"]:
        hidden, ours = attack["threshold_only"], attack["ours"]
        shares = hidden["success"], hidden["rounded_to_5"], hidden["rounded_to_10"], ours["success"], ours["bound"]
        grid.add_row(attack["title"], *(f"{100 * share:.1f}%" for share in shares))
    return grid


def _sentences(attack: Mapping[str, Any]) -> Iterator[str]:
    hidden, ours = attack["threshold_only"], attack["ours"]
    yield f"  {attack['how']}"
    yield (
        f"  Counts under five hidden: right in {100 * hidden['success']:.1f}% of the trials, and nothing counts how "
        "often it asks."
    )
    answers = "1 answer" if ours["fresh_answers"] == 1 else f"{ours['fresh_answers']} answers"
    cost = f"rho {ours['spent_rho']}" if ours["spent_epsilon"] is None else f"epsilon {ours['spent_epsilon']}"
    yield (
        f"  Here: the same subtraction is right in {100 * ours['by_subtraction']:.1f}%. The best guesser, told every "
        f"other record, is right in {100 * ours['success']:.1f}%."
    )
    yield f"  It got {answers}, for which the household's council charged {cost}."
    if ours["stored_answers_at_no_cost"]:
        yield f"  The identical question got the stored answer {ours['stored_answers_at_no_cost']} times, at no cost."
    yield f"  Then it was refused. {ours['refused']}" if ours["refused"] else "  The ledgers never refused."


def _what_is_real(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Each attack was tried on {found['trials']:,} planted households, each with a coin of its own, in a cell of "
        "its own of one table."
    )
    yield (
        "Our answers are releases of whole rounds: policy, ledger, plan, noise and secure aggregation are the real "
        "ones, in one process. One release answers about all the households, with noise of its own for each."
    )
    yield (
        "The other side is computed from the exact counts of the same records. Records and coins are made up from the "
        "seed; noise never is."
    )
