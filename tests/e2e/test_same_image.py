"""The image can be made again: the same checkout makes the same files, byte for byte, in another place at another time."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from docker import build_images
from docker.build_images import PACKAGES, build_own, digest_of
from docker.image_file import settle
from docker.tools import ROOT
from federated.keys import make_key, write_private_key
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
    assert {Path(name).suffix for name in first} == {".tar", ".json", ".image-id", ".sha256"}
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


def pushed(path: Path, *, container: str, user: str = "10001:10001") -> Path:
    """An image's file as buildah writes it, small."""
    layer = b"files" * 100
    settings = {
        "created": "1970-01-01T00:00:00Z",
        "container": container,
        "container_config": {"Hostname": container[:12]},
        "config": {"Hostname": container[:12], "User": user, "Healthcheck": {"Test": ["CMD", "health"]}},
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


def test_an_images_id_is_the_digest_of_the_settings_it_is_loaded_with(tmp_path):
    """As Docker and Podman work it out when they load it, by nothing but the archive."""
    archive = tmp_path / "one.tar"
    told = settle(pushed(tmp_path / "one", container="a" * 64), archive)
    with tarfile.open(archive) as made:
        (entry,) = json.loads(made.extractfile("manifest.json").read())
        assert told == f"sha256:{hashlib.sha256(made.extractfile(entry['Config']).read()).hexdigest()}"
    assert settle(pushed(tmp_path / "other", container="b" * 64), tmp_path / "other.tar") == told
    assert settle(pushed(tmp_path / "root", container="a" * 64, user="0:0"), tmp_path / "root.tar") != told


@pytest.fixture
def without_buildah(monkeypatch, tmp_path):
    """Writing out, with a small image in the place of a built one."""

    def buildah(_, *arguments, step):
        assert step
        pushed(Path(arguments[-1].split(":")[1]), container="a" * 64)

    @contextmanager
    def mounted(_):
        yield tmp_path

    monkeypatch.setattr(build_images, "buildah", partial(buildah, "push"))
    monkeypatch.setattr(build_images, "mounted", mounted)
    monkeypatch.setattr(build_images, "bill_of_materials", lambda *_: "{}")
    monkeypatch.setattr(build_images, "size_report", lambda *_: {"total": 0, "parts": {}})


@pytest.mark.parametrize(("party", "stem"), [("node", "council-node"), ("coordinator", "coordinator")])
def test_the_id_to_start_an_image_by_is_among_what_is_signed(without_buildah, tmp_path, party, stem):
    write_private_key(tmp_path / "key.pem", make_key(os.urandom))
    out = tmp_path / "dist"
    written = build_images.write_out(build_images.PARTIES[party], out, tmp_path / "key.pem")
    assert set(written) == set(out.iterdir())
    named = out / f"{stem}.image-id"
    with tarfile.open(out / f"{stem}.tar") as archive:
        (entry,) = json.loads(archive.extractfile("manifest.json").read())
    assert named.read_text() == f"sha256:{entry['Config'].removesuffix('.json')}\n"
    checked = dict(reversed(line.split("  ")) for line in (out / f"{stem}.sha256").read_text().splitlines())
    signature = {f"{stem}.sha256", f"{stem}.sha256.sig", f"{stem}.pub.pem"}
    assert checked == {path.name: digest_of(path) for path in written if path.name not in signature}
    assert named.name in checked
    check = ["sha256sum", "--check", "--quiet", f"{stem}.sha256"]
    assert subprocess.run(check, cwd=out, capture_output=True, check=False).returncode == 0
    named.write_text(f"sha256:{'0' * 64}\n")
    assert subprocess.run(check, cwd=out, capture_output=True, check=False).returncode != 0


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
