"""Feeds files to a target without the fuzzer: `python -m tests.fuzz.again TARGET FILE ...`; ends with 1 for a fault."""

import sys
import traceback
from pathlib import Path

from tests.fuzz.limits import fault_of
from tests.fuzz.planted import PLANTED
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Say what each file breaks."""
    name, *paths = sys.argv[1:]
    target = PLANTED if name == PLANTED.name else TARGETS[name]
    target.prepare()
    target.feed(b"")  # so that what is made once does not count as any input's own
    found = 0
    for path in paths:
        error = fault_of(target, Path(path).read_bytes())
        if error is not None:
            found = 1
            print(f"{path}:")
            traceback.print_exception(error, file=sys.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
