"""Builds the images of both parties with buildah, from nothing but Debian's archive and wheels with known hashes.

    python -m docker.build_images node --out dist

(0) the base: Debian 12 with Python, by debootstrap, from the archive this machine's apt uses, whose signatures are
checked; (1) the wheels of `requirements/<party>.txt`, by this environment's own pip, checked by their hashes;
(2) the image, from these alone; (3) beside it, for who takes it: the image as one file, its list of parts (CycloneDX),
where its size lies, the id to start it by, the commit it was made from, checksums, and a signature on these when a key
is given and nothing differs from the commit. Needs root, as containers do here.

The same checkout and the same versions of Debian's packages make the same files, byte for byte, so that whoever doubts
the signed ones can make them again and compare their checksums.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from docker.bill_of_materials import bill_of_materials, size_report
from docker.debian_base import BASE, base_packages, ensure_base, label_of
from docker.image_file import settle
from docker.tools import ROOT, STORAGE, BuildError, buildah, run
from federated.pages.assets import STYLESHEET

PACKAGES: Final = ("protocols", "federated", "council_node", "mask_holder", "coordinator")
LARGE: Final = 5_000_000
"""Bytes of a part that is worth a line of its own."""
INPUTS_LABEL: Final = "council-federation.inputs"
LICENCES: Final = ("LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*")
"""What setuptools puts beside a package of itself."""
DIRTY: Final = "-dirty"
"""After a commit from which the files differ, as git says it."""
FIRST_DAY_OF_ZIP: Final = "315532800"
"""1 January 1980: a wheel is a ZIP file, and these know no earlier day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Whose image it is.

    Attributes:
        name: As people say it.
        dockerfile: How it is made.
        image: Its name in the local storage.
        folder: Where the packages are inside it.
    """

    name: str
    dockerfile: Path
    image: str
    folder: str


PARTIES: Final = {
    "node": Party(
        name="node",
        dockerfile=ROOT / "docker/council_node.Dockerfile",
        image="localhost/council-node",
        folder="opt/council-node",
    ),
    "coordinator": Party(
        name="coordinator",
        dockerfile=ROOT / "docker/coordinator.Dockerfile",
        image="localhost/coordinator",
        folder="opt/coordinator",
    ),
}


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    STORAGE.mkdir(parents=True, exist_ok=True)
    with (STORAGE / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# (1) the wheels


def fetch_wheels(party: Party) -> Path:
    """Bring the wheels of a party, each checked by its hash, and build our own from this checkout."""
    folder = ROOT / "build/wheels" / party.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input"]
    for listed in (f"requirements/{party.name}.txt", "requirements/installer.txt"):
        only = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--dest", str(folder), "-r", listed]
        run([*pip, "download", *only], step=f"The wheels of {listed}")
    build_own(folder, ROOT)
    return folder


def build_own(folder: Path, project: Path) -> None:
    """Build our own wheel; the same files make the same wheel, on whatever day they were checked out."""
    shutil.rmtree(project / "build/lib", ignore_errors=True)  # what was deleted since would come back from there
    only = ["--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--wheel-dir", str(folder)]
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "wheel", *only, str(project)]
    run(pip, step="Our own wheel", cwd=project, environment={"SOURCE_DATE_EPOCH": FIRST_DAY_OF_ZIP})


def require_styles() -> None:
    """Refuse before anything is fetched what our own wheel would refuse to be built without (`setup.py`).

    Raises:
        BuildError: The style sheet of the pages was not made yet.
    """
    if not STYLESHEET.is_file():
        raise BuildError("The styles of the pages are not there, so no image is built: run `make setup-web` first.")


def inputs_digest(party: Party) -> str:
    """One digest of everything that decides the image, so that an image that is there already is not made again."""
    files = [ROOT / "pyproject.toml", ROOT / "setup.py", ROOT / "README.md", *(ROOT / "requirements").glob("*.txt")]
    files += [path for pattern in LICENCES for path in ROOT.glob(pattern)]
    files += [path for path in (ROOT / "docker").iterdir() if path.suffix in {".py", ".Dockerfile"}]
    for package in PACKAGES:
        files += [path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    digest = hashlib.sha256(f"{party.name} {base_packages()}".encode())
    for path in sorted(files):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def commit_of(checkout: Path) -> str | None:
    """The commit that is checked out, marked where the files are not its own; None outside a repository."""
    if not (checkout / ".git").exists():
        return None
    commit = run(["git", "rev-parse", "HEAD"], step="The commit", cwd=checkout)
    return commit + (DIRTY if run(["git", "status", "--porcelain"], step="The commit", cwd=checkout) else "")


def require_commit(commit: str | None) -> None:
    """Refuse to sign what nobody could make again.

    Raises:
        BuildError: It is not made from a commit, or not from a commit alone.
    """
    if commit is None:
        raise BuildError(
            "Nothing is signed outside a clone of the repository: nobody could tell what it was made from."
        )
    if commit.endswith(DIRTY):
        raise BuildError(
            "Nothing is signed, as files here differ from the commit: see `git status`; commit them or take them out."
        )


# (2) the image


def ensure_image(name: str, *, mirror: str | None = None, fresh: bool = False) -> Party:
    """Build a party's image, unless one of the same inputs is there. Safe to call from two processes at once."""
    party = PARTIES[name]
    if os.geteuid() != 0:
        raise BuildError("Images can only be built as root on this machine.")
    require_styles()
    with _one_at_a_time():
        ensure_base(mirror=mirror, fresh=fresh)
        digest = inputs_digest(party)
        if label_of(party.image, INPUTS_LABEL) != digest:
            fetch_wheels(party)
            fixed = ["--pull-never", "--isolation", "chroot", "--format", "docker"]
            fixed += ["--timestamp", "0", "--label", f"{INPUTS_LABEL}={digest}", "--build-arg", f"BASE={BASE}"]
            fixed += ["--quiet", "--tag", party.image, "--file", str(party.dockerfile), str(ROOT)]
            buildah("build", *fixed, step=f"The image of the {name}")
    return party


@contextmanager
def mounted(party: Party) -> Iterator[Path]:
    """The image's files, in a folder; nothing written there gets into the image."""
    container = buildah("from", "--pull-never", party.image, step="The image")
    try:
        yield Path(buildah("mount", container, step="The image"))
    finally:
        buildah("umount", container, step="The image")
        buildah("rm", container, step="The image")


# (3) what goes with it


def write_out(party: Party, out: Path, key: Path | None) -> list[Path]:
    """The image as one file, its list of parts, its sizes, its id, its commit, checksums and their signature."""
    out.mkdir(parents=True, exist_ok=True)
    stem = party.image.rpartition("/")[2]
    archive, parts, sizes = out / f"{stem}.tar", out / f"{stem}.cdx.json", out / f"{stem}.sizes.json"
    named, made_from = out / f"{stem}.image-id", out / f"{stem}.commit"
    commit = commit_of(ROOT)
    made_from.unlink(missing_ok=True)  # of a build from elsewhere
    pushed = out / f"{stem}.pushed.tar"
    pushed.unlink(missing_ok=True)  # of a run that was broken off
    buildah("push", "--quiet", party.image, f"docker-archive:{pushed}:{stem}:latest", step="The image's file")
    # Signed with the rest: whoever starts the image starts it by this, and by no name that another could take.
    named.write_text(f"{settle(pushed, archive, commit)}\n", encoding="ascii")
    pushed.unlink()
    with mounted(party) as root:
        parts.write_text(
            bill_of_materials(root, party.folder, ROOT / f"requirements/{party.name}.txt"), encoding="utf-8"
        )
        report = size_report(root, party.folder)
    sizes.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    written = [archive, parts, sizes, named]
    if commit is not None:
        made_from.write_text(f"{commit}\n", encoding="ascii")
        written.append(made_from)
    sums = out / f"{stem}.sha256"
    sums.write_text("".join(f"{digest_of(path)}  {path.name}\n" for path in written), encoding="ascii")
    if key is not None:
        require_commit(commit)  # again: building takes minutes, in which somebody may have saved a file
        written += sign(sums, key)
    return [*written, sums]


def sign(sums: Path, key: Path) -> list[Path]:
    """Sign the checksums (Ed25519), in the form that `openssl pkeyutl -verify -rawin` reads."""
    private = load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise BuildError(f"{key} is not an Ed25519 key; `federated keys new` makes one.")
    signature, public = sums.with_suffix(".sha256.sig"), sums.with_suffix(".pub.pem")
    signature.write_bytes(private.sign(sums.read_bytes()))
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return [signature, public]


def digest_of(path: Path) -> str:
    """SHA-256 of a file, which need not fit into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def print_sizes(path: Path) -> None:
    """Where the size of an image lies."""
    report = json.loads(path.read_text(encoding="utf-8"))
    small = sum(size for size in report["parts"].values() if size < LARGE)
    for name, size in [*report["parts"].items(), ("everything smaller than 5 MB", small)]:
        if size >= LARGE or name not in report["parts"]:
            print(f"  {size / 1e6:8.1f} MB  {name}")  # noqa: T201 - a command's output
    print(f"  {report['total'] / 1e6:8.1f} MB  in all")  # noqa: T201 - as above


def main() -> int:
    """Build, write out, say what was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("party", choices=[*PARTIES, "all"])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the image's file and its papers")
    parser.add_argument("--mirror", help="Debian archive for the base, where not this machine's own")
    parser.add_argument("--fresh", action="store_true", help="make the base again, with today's security fixes")
    parser.add_argument("--sign", type=Path, metavar="KEY", help="Ed25519 private key (PEM) that signs the checksums")
    given = parser.parse_args()
    try:
        if given.sign is not None:
            require_commit(commit_of(ROOT))
        for number, name in enumerate(PARTIES if given.party == "all" else [given.party]):
            party = ensure_image(name, mirror=given.mirror, fresh=given.fresh and number == 0)
            written = write_out(party, given.out, given.sign)
            print(f"{party.image}: {', '.join(str(path) for path in written)}")  # noqa: T201 - as above
            print_sizes(written[2])
    except BuildError as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
