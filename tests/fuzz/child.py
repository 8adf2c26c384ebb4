"""One target under the fuzzer, in a process of its own: `python -m tests.fuzz.child TARGET FOLDER [OPTION ...]`.

What goes wrong is written into the folder, each kind of fault once, in its shortest form so far, and the fuzzer goes
on; what ends the process, or hangs, the fuzzer's own library writes there.
"""

import hashlib
import json
import random
import shlex
import sys
import traceback
from pathlib import Path

import atheris

from tests.fuzz.change import changed
from tests.fuzz.limits import fault_of
from tests.fuzz.planted import PLANTED
from tests.fuzz.table import Finding, Form, Target
from tests.fuzz.targets import TARGETS

ALSO = (
    "protocols.encoding",
    "protocols.envelope",
    "protocols.wire.codec",
    "federated.rationals",
    "federated.signing",
    "federated.timestamps",
    "federated.yaml_document",
)
"""Watched for new paths in every target, beside the modules of its decoders."""
TREE_SHARE = 0.7
"""Share of the changes made to a document by its form."""


def place_of(error: Exception) -> str:
    """Kind of a fault and where it arose: the last line of ours, so that one fault is not counted many times."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename and "/lib/python" not in frame.filename]
    last = ours[-1] if ours else None
    where = f"{last.filename.rsplit('/', 2)[-2]}/{Path(last.filename).name}:{last.lineno}" if last else ""
    said = str(error).split(":")[0] if isinstance(error, Finding) else ""
    return f"{type(error).__name__} {where} {said}".strip()


class Watch:
    """Feeds a target and keeps what breaks it."""

    def __init__(self, target: Target, folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._known: dict[str, int] = {}

    def __call__(self, content: bytes) -> None:
        error = fault_of(self._target, content)
        if error is None:
            return
        place = place_of(error)
        if len(content) >= self._known.get(place, len(content) + 1):
            return
        self._known[place] = len(content)
        name = hashlib.sha256(place.encode()).hexdigest()[:12]
        (self._folder / f"fault-{name}").write_bytes(content)
        said = {"place": place, "said": "".join(traceback.format_exception(error))[-3000:]}
        (self._folder / f"fault-{name}.json").write_text(json.dumps(said, indent=1), encoding="utf-8")


def main() -> None:
    """Run the fuzzer until its options say that it ends."""
    name, folder, *options = sys.argv[1:]
    target = PLANTED if name == PLANTED.name else TARGETS[name]
    with atheris.instrument_imports(include=[*target.modules, *ALSO]):
        target.prepare()
    watch = Watch(target, Path(folder))

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < TREE_SHARE:
            made = changed(content, target.form, rng)
            if made is not None and len(made) <= most:
                return made
        found: bytes = atheris.Mutate(content, most)
        return found

    more = {} if target.form is Form.BYTES else {"custom_mutator": mutate}
    # A merge is done in processes of its own, each started by a shell with what stands first.
    again = shlex.join([sys.executable, "-m", "tests.fuzz.child", name, folder])
    atheris.Setup([again, *options], watch, **more)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
