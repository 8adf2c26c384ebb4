"""`python -m benchmarks.peers list | setup NAME...`: the peers, and the environments that hold them."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.peers.environment import PEERS, PeerFailure, setup, versions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="which peers are installed, and their versions")
    chosen = commands.add_parser("setup", help="install peers, each in an environment of its own")
    chosen.add_argument("peers", nargs="+", choices=[*PEERS, "all"])
    asked = parser.parse_args(arguments)
    if asked.command == "list":
        return _list()
    names = PEERS if "all" in asked.peers else asked.peers
    try:
        for name in names:
            setup(PEERS[name])
            print(name, versions(PEERS[name]), flush=True)
    except PeerFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def _list() -> int:
    for peer in PEERS.values():
        try:
            print(peer.name, versions(peer))
        except PeerFailure as failure:
            print(failure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
