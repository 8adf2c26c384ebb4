"""A process that charges rounds to a ledger and says so as each call returns; killed or cut off by the tests."""

import os
import sys
from contextlib import suppress
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path

from council_node.ledger import Ledger
from federated.errors import FileProblem, InternalError, PolicyRefusal
from federated.privacy import Charge
from tests.unit.council_node.ledger_cases import ME, NOW, reserve, sid_of

TINY = Charge(epsilon=Fraction(1, 10**6), rho=Fraction(1, 2 * 10**12), draws=1)
STEPS = (("reserve", "a"), ("spend", "a"), ("reserve", "b"), ("release", "b"), ("reserve", "c"), ("spend", "c"))


def act(ledger: Ledger, step: str, name: str) -> None:
    match step:
        case "reserve":
            reserve(ledger, name, charge=TINY)
        case "spend":
            ledger.spend(sid_of(name), NOW)
        case "release":
            ledger.release(sid_of(name), "abandoned", NOW)


def write_until_killed(path: Path, first: int, said: Connection) -> None:
    """Charge round after round, telling the other end of the pipe what has returned."""
    with Ledger.open(path, ME) as ledger:
        ledger.recover(NOW)
        for number in range(first, sys.maxsize):
            for step in ("reserve", "release" if number % 4 == 3 else "spend"):
                act(ledger, step, str(number))
                said.send((step, str(number)))


def write_recorded(path: Path) -> None:
    """Run `STEPS` with the disk recorded; the file `said` gets a line as each call returns or is refused."""
    said = os.open(path.with_name("said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(line: str) -> None:
        with suppress(OSError):  # this file is on the full disk too; what matters was read from the refusal
            os.write(said, f"{line}\n".encode())

    try:
        ledger = Ledger.create(path, ME, NOW)
    except FileProblem as error:
        sys.stdout.write(f"create: {error}\n")
        return
    say("create")
    for step, name in STEPS:
        try:
            act(ledger, step, name)
            say(f"{step} {name}")
        except PolicyRefusal as error:
            sys.stdout.write(f"{step} {name}: {error.rule}: {error}\n")
        except InternalError:  # its reservation was refused, so there is nothing to spend or release
            sys.stdout.write(f"{step} {name}: not reserved\n")


if __name__ == "__main__":
    write_recorded(Path(sys.argv[1]))
