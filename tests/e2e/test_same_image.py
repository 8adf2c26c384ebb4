"""The image can be made again: the same checkout makes the same files, byte for byte, in another place at another time."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from docker.build_images import PACKAGES, build_own, digest_of
from docker.image_file import settle
from docker.tools import ROOT
from tests.evidence import record

STYLES = "federated/pages/static"


def digests(folder: Path) -> dict[str, str]:
    return {path.name: digest_of(path) for path in sorted(folder.iterdir())}


def built(place: Path) -> dict[str, str]:
    """The node's image and its papers, made from nothing in a clone of its own: base, wheels and image."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    shutil.copytree(ROOT / STYLES, place / STYLES, dirs_exist_ok=True)
    out = place / "dist"
    command = [sys.executable, "-m", "docker.build_images", "node", "--out", str(out)]
    done = subprocess.run(
        command, cwd=place, env=os.environ | {"PYTHONPATH": str(place)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = digests(out)
    shutil.rmtree(place)
    return found


@pytest.mark.long
def test_two_builds_from_nothing_make_the_same_files(tmp_path):
    first, second = built(tmp_path / "one"), built(tmp_path / "another")
    assert first == second
    assert {Path(name).suffix for name in first} == {".tar", ".json", ".sha256"}
    record(
        "the node's image made twice",
        {"files that differ": 0, "SHA-256": first},
        test="tests/e2e/test_same_image.py::test_two_builds_from_nothing_make_the_same_files",
        n=len(first),
    )


# Its two parts that would differ


def own_wheel(place: Path, day: int) -> bytes:
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, place / name)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in place.rglob("*"):
        os.utime(path, (day, day))
    build_own(place / "made", place)
    (wheel,) = (place / "made").glob("*.whl")
    return wheel.read_bytes()


def test_our_own_wheel_does_not_tell_when_it_was_made(tmp_path):
    assert own_wheel(tmp_path / "one", 1_700_000_000) == own_wheel(tmp_path / "another", 1_800_000_000)


def pushed(path: Path, *, container: str) -> Path:
    """An image's file as buildah writes it, small."""
    layer = b"files" * 100
    settings = {
        "created": "1970-01-01T00:00:00Z",
        "container": container,
        "container_config": {"Hostname": container[:12]},
        "config": {"Hostname": container[:12], "User": "10001:10001", "Healthcheck": {"Test": ["CMD", "health"]}},
        "history": [{"created_by": f"COPY dir:{container}", "empty_layer": True}, {"created_by": "COPY"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    content = json.dumps(settings).encode()
    name = f"{hashlib.sha256(content).hexdigest()}.json"
    manifest = [{"Config": name, "Layers": ["layer.tar"], "RepoTags": ["council-node:latest"]}]
    with tarfile.open(path, "w") as archive:
        for member, body in ((name, content), ("layer.tar", layer), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return path


def test_an_images_file_does_not_tell_which_container_made_it(tmp_path):
    one = pushed(tmp_path / "one", container="a" * 64)
    other = pushed(tmp_path / "other", container="b" * 64)
    assert one.read_bytes() != other.read_bytes()
    for path in (one, other):
        settle(path, path.with_suffix(".tar"))
    assert one.with_suffix(".tar").read_bytes() == other.with_suffix(".tar").read_bytes()


def test_an_images_file_keeps_its_layers_and_how_it_is_run(tmp_path):
    old = pushed(tmp_path / "one", container="a" * 64)
    settle(old, tmp_path / "one.tar")
    with tarfile.open(tmp_path / "one.tar") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}
    (entry,) = json.loads(files.pop("manifest.json"))
    settings = files.pop(entry["Config"])
    assert entry["Config"] == f"{hashlib.sha256(settings).hexdigest()}.json"
    assert entry["RepoTags"] == ["council-node:latest"]
    kept = json.loads(settings)
    assert kept["config"]["User"] == "10001:10001"
    assert kept["config"]["Healthcheck"] == {"Test": ["CMD", "health"]}
    assert len([step for step in kept["history"] if not step.get("empty_layer")]) == len(kept["rootfs"]["diff_ids"])
    assert [f"sha256:{hashlib.sha256(files[name]).hexdigest()}" for name in entry["Layers"]] == kept["rootfs"][
        "diff_ids"
    ]
