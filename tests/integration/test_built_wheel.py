"""What is built for others has the styles of its pages, or is not built."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from docker import build_images
from docker.tools import BuildError
from federated.pages.assets import STYLESHEET
from tests.docs.pages import ROOT

SHEET = STYLESHEET.relative_to(ROOT)
GENERATED = shutil.ignore_patterns("__pycache__", "*.egg-info")


@pytest.fixture
def checkout(tmp_path):
    """A copy of all that a wheel is made from, so that nothing is built into this one."""
    folder = tmp_path / "checkout"
    for package in build_images.PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=GENERATED)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(checkout):
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", "wheel", "--no-deps", "--no-build-isolation"]
    return subprocess.run(
        [*command, "--no-index", "--wheel-dir", "wheels", "."],
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_wheel_holds_the_style_sheet(checkout):
    done = build(checkout)
    assert done.returncode == 0, done.stderr
    (wheel,) = (checkout / "wheels").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        assert opened.read(str(SHEET)) == STYLESHEET.read_bytes()
        assert "coordinator/console/templates/watch.html" in opened.namelist()


def test_a_wheel_without_the_style_sheet_is_not_built(checkout):
    (checkout / SHEET).unlink()
    done = build(checkout)
    assert done.returncode != 0
    assert "run `make setup-web` first" in done.stderr
    assert not list(checkout.glob("wheels/*.whl"))


def test_no_image_is_begun_without_the_style_sheet(monkeypatch, tmp_path):
    begun = []
    monkeypatch.setattr(build_images, "ensure_base", lambda **_named: begun.append(1))
    monkeypatch.setattr(build_images.os, "geteuid", lambda: 0)
    monkeypatch.setattr(build_images, "STYLESHEET", tmp_path / "none.css")
    with pytest.raises(BuildError, match="make setup-web"):
        build_images.ensure_image("node")
    assert begun == []


def test_images_are_made_after_the_styles():
    (made,) = re.findall(r"(?m)^images:([^#]*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert {"setup", "setup-system", "setup-web"} <= set(made.split())
