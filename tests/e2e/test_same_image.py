"""The image can be made again: the same checkout makes the same files, byte for byte, in another place at another time."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from docker import build_images
from docker.build_images import PACKAGES, build_own, digest_of
from docker.image_file import COMMIT_LABEL, settle
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
    assert {Path(name).suffix for name in first} == {".tar", ".json", ".image-id", ".commit", ".sha256"}
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
        "config": {
            "Hostname": container[:12],
            "User": user,
            "Labels": {"kept": "yes"},
            "Healthcheck": {"Test": ["CMD", "health"]},
        },
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


def git(place: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *settings, *arguments], cwd=place, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def checkout(place: Path) -> Path:
    """A small repository of what decides an image."""
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "docker/tools.py", "requirements/node.txt"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    for package in PACKAGES:
        (place / package).mkdir()
        (place / package / "__init__.py").write_text("")
    git(place, "init", "--quiet")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", "First")
    return place


@pytest.mark.parametrize("name", ["LICENSE", "README.md", "setup.py", "requirements/node.txt", "federated/__init__.py"])
def test_an_image_is_made_again_for_every_file_that_gets_into_it(monkeypatch, tmp_path, name):
    place = checkout(tmp_path / "checkout")
    monkeypatch.setattr(build_images, "ROOT", place)
    monkeypatch.setattr(build_images, "base_packages", lambda: "base")
    node = build_images.PARTIES["node"]
    before = build_images.inputs_digest(node)
    (place / "other.txt").write_text("of no account")
    assert build_images.inputs_digest(node) == before
    (place / name).write_text("changed")
    assert build_images.inputs_digest(node) != before


def test_every_licence_that_is_in_our_wheel_decides_the_image(tmp_path):
    own_wheel(tmp_path, 1_700_000_000)
    (wheel,) = (tmp_path / "made").glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if "/licenses/" in name}
    known = {path.name for pattern in build_images.LICENCES for path in tmp_path.glob(pattern)}
    assert {Path(name).name for name in inside} == known == {"LICENSE"}


def test_a_commit_is_named_with_whether_the_files_are_its_own(tmp_path):
    place = checkout(tmp_path / "checkout")
    commit = git(place, "rev-parse", "HEAD")
    assert build_images.commit_of(place) == commit
    (place / "federated/new.py").write_text("")
    assert build_images.commit_of(place) == f"{commit}-dirty"
    (place / "federated/new.py").unlink()
    (place / "LICENSE").write_text("changed")
    assert build_images.commit_of(place) == f"{commit}-dirty"
    assert build_images.commit_of(tmp_path) is None


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("lost", [False, True])
def test_nothing_is_signed_that_is_not_made_from_a_commit_alone(
    without_buildah, monkeypatch, tmp_path, capsys, late, lost
):
    place, out = build_images.ROOT, tmp_path / "dist"
    write_private_key(tmp_path / "key.pem", make_key(os.urandom))
    node = build_images.PARTIES["node"]

    def spoil():
        shutil.rmtree(place / ".git") if lost else (place / "LICENSE").write_text("changed")

    def ensure(*_, **__):
        assert late, "it is refused before anything is built"
        spoil()
        return node

    monkeypatch.setattr(build_images, "ensure_image", ensure)
    arguments = ["build_images", "node", "--out", str(out), "--sign", str(tmp_path / "key.pem")]
    monkeypatch.setattr(sys, "argv", arguments)
    if not late:
        spoil()
    assert build_images.main() == 1
    said = capsys.readouterr().err
    assert ("outside a clone" if lost else "files here differ from the commit") in said
    assert not list(out.glob("*.sig"))


def test_the_commit_stands_beside_the_image_and_in_its_label(without_buildah, tmp_path):
    out = tmp_path / "dist"
    node = build_images.PARTIES["node"]
    first = git(build_images.ROOT, "rev-parse", "HEAD")
    assert out / "council-node.commit" in build_images.write_out(node, out, None)
    assert (out / "council-node.commit").read_text() == f"{first}\n"
    assert "council-node.commit" in (out / "council-node.sha256").read_text()
    assert label_in(out / "council-node.tar") == first
    again = tmp_path / "again"
    build_images.write_out(node, again, None)
    assert digests(again) == digests(out)
    (build_images.ROOT / "LICENSE").write_text("changed")
    build_images.write_out(node, out, None)
    assert label_in(out / "council-node.tar") == f"{first}-dirty"
    shutil.rmtree(build_images.ROOT / ".git")
    build_images.write_out(node, out, None)
    assert label_in(out / "council-node.tar") is None
    assert not (out / "council-node.commit").exists()


def label_in(path: Path) -> str | None:
    with tarfile.open(path) as archive:
        (entry,) = json.loads(archive.extractfile("manifest.json").read())
        settings = json.loads(archive.extractfile(entry["Config"]).read())
    assert settings["config"]["Labels"]["kept"] == "yes"
    return settings["config"]["Labels"].get(COMMIT_LABEL)


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
    monkeypatch.setattr(build_images, "ROOT", checkout(tmp_path / "checkout"))
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
