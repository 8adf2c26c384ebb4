"""`python -m benchmarks.peers list | setup NAME... | run`: the peers, their environments, every comparison in turn."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from benchmarks.peers import (
    charged,
    dropouts,
    equal_epsilon,
    local_counts,
    query,
    secure_sum_flower,
    secure_sum_mpyc,
)
from benchmarks.peers.environment import PEERS, PeerFailure, interpreter, setup, versions

COMPARISONS: Final = (
    (secure_sum_flower, ()),
    (secure_sum_mpyc, ()),
    (query, ("--peers", "nvflare")),
    # Flower starts a process in each council for each message: more than six councils are too many for two cores.
    (query, ("--peers", "flower", "--councils", "6")),
    (equal_epsilon, ()),
    (dropouts, ()),
    (charged, ()),
    (local_counts, ()),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="which peers are installed, and their versions")
    chosen = commands.add_parser("setup", help="install peers, each in an environment of its own")
    chosen.add_argument("peers", nargs="+", choices=[*PEERS, "all"])
    commands.add_parser("run", help="install what is missing, run every comparison at full size, keep the figures")
    asked = parser.parse_args(arguments)
    try:
        match asked.command:
            case "list":
                _list()
            case "setup":
                _set_up(list(PEERS) if "all" in asked.peers else asked.peers)
            case _:
                return _run()
    except PeerFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def _list() -> None:
    for peer in PEERS.values():
        try:
            print(peer.name, versions(peer))
        except PeerFailure as failure:
            print(failure)


def _set_up(names: Sequence[str]) -> None:
    for name in names:
        setup(PEERS[name])
        print(name, versions(PEERS[name]), flush=True)


def _run() -> int:
    for peer in PEERS.values():
        try:
            interpreter(peer)
        except PeerFailure:
            _set_up([peer.name])
    failed = 0
    for comparison, options in COMPARISONS:
        print(comparison.__name__, *options, flush=True)
        try:
            comparison.main([*options, "--record"])
        except PeerFailure as failure:  # told, and the others still run
            print(failure, file=sys.stderr, flush=True)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
