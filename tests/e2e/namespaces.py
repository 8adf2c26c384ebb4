"""Each party of a federation in a network of its own, all joined by a switch: real lines, to be cut and slowed.

By network namespaces of Linux, so as root. Of the computer's own network nothing is touched but one cable more, by
which the test itself is joined to the switch; all of it is gone when the block ends.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from typing import Self

__all__ = ["Network", "NoNamespaces", "exists", "run"]

SLOW = ("rate", "64kbit", "burst", "2kb", "limit", "3kb")
"""What does not fit into three kilobytes that wait for the line is lost (tc-tbf(8)): a slow line that loses packets."""


_NUMBERS = count(1)


class NoNamespaces(AssertionError):
    """This computer gives no networks; the test cannot be run, and does not pass."""


class Network:
    """A switch with one line to each party.

    Args:
        parties: Their names; the first line is the test's own.
    """

    def __init__(self, parties: Sequence[str]) -> None:
        mine, number = os.getpid(), next(_NUMBERS)
        self._prefix = f"fed{mine}-{number}"
        self._subnet = f"10.77.{(mine + number) % 250 + 1}"
        self._places = {party: number for number, party in enumerate(parties, start=2)}
        self._made: list[str] = []

    def __enter__(self) -> Self:
        """Lay every line."""
        try:
            self._lay()
        except (subprocess.CalledProcessError, OSError) as problem:
            self.__exit__()
            said = getattr(problem, "stderr", "") or str(problem)
            raise NoNamespaces(f"network namespaces are needed, with ip and tc, as root: {said.strip()}") from problem
        return self

    def __exit__(self, *_: object) -> None:
        """Take everything away; a line goes with either of its ends."""
        if self._made:  # its line is taken out here and now, the others go some time later
            subprocess.run(["ip", "link", "del", self._prefix], check=False, capture_output=True)
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def address(self, party: str) -> str:
        """Of a party, on the switch."""
        return f"{self._subnet}.{self._places[party]}"

    def within(self, party: str) -> tuple[str, ...]:
        """What a command begins with to run in a party's network; it keeps its process id."""
        return ("ip", "netns", "exec", self._name(party))

    # What happens to lines

    def cut(self, party: str) -> None:
        """Nothing passes, and nobody is told."""
        self._in(party, "ip", "link", "set", "eth0", "down")

    def mend(self, party: str) -> None:
        """Everything passes again."""
        self._in(party, "ip", "link", "set", "eth0", "up")

    def slow(self, party: str) -> None:
        """Little passes, and some of it is lost."""
        self._in(party, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *SLOW)

    def quicken(self, party: str) -> None:
        """As before."""
        self._in(party, "tc", "qdisc", "del", "dev", "eth0", "root")

    def lost(self, party: str) -> int:
        """Packets that a slow line has lost so far."""
        shown = self._in(party, "tc", "-s", "qdisc", "show", "dev", "eth0")
        return int(shown.split("dropped ")[1].split(",")[0])

    def reaches(self, party: str, other: str) -> bool:
        """Whether a packet of one party comes to another."""
        code = "import socket, sys; s = socket.socket(); s.settimeout(0.5); sys.exit(s.connect_ex((sys.argv[1], 9)) != 111)"
        command = [*self.within(party), sys.executable, "-S", "-c", code, self.address(other)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _name(self, party: str) -> str:
        return f"{self._prefix}-{self._places[party]}"

    def _lay(self) -> None:
        switch = f"{self._prefix}-1"
        self._make(switch)
        run("ip", "-n", switch, "link", "add", "switch", "type", "bridge")
        run("ip", "-n", switch, "link", "set", "switch", "up")
        run("ip", "link", "add", self._prefix, "type", "veth", "peer", "name", "p1", "netns", switch)
        run("ip", "address", "add", f"{self._subnet}.1/24", "dev", self._prefix)
        run("ip", "link", "set", self._prefix, "up")
        run("ip", "-n", switch, "link", "set", "p1", "master", "switch", "up")
        for party, place in self._places.items():
            name = self._name(party)
            self._make(name)
            run("ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", f"p{place}", "netns", switch)
            run("ip", "-n", switch, "link", "set", f"p{place}", "master", "switch", "up")
            run("ip", "-n", name, "address", "add", f"{self.address(party)}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                run("ip", "-n", name, "link", "set", device, "up")

    def _make(self, name: str) -> None:
        run("ip", "netns", "add", name)
        self._made.append(name)

    def _in(self, party: str, *command: str) -> str:
        return run(*self.within(party), *command)


def exists(name: str) -> bool:
    """Whether a namespace of this name is there."""
    return name in run("ip", "netns", "list").split()


def run(*command: str) -> str:
    """Run a command that must not fail, and give its output."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
