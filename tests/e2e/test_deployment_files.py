"""What `docker/compose.yaml` and the systemd unit promise; and that a line taken out is noticed."""

import os
import re
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from docker.tools import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))
UNIT = (ROOT / "docker/council-node.service").read_text(encoding="utf-8")
EXPOSURE = 15
"""Most of systemd's own score, times ten; 0 is locked up, 96 is wide open."""


def looser(service: dict) -> list[str]:
    """What a service of the compose file allows that it should not."""
    found = [
        name for name in ("ports", "expose", "privileged", "cap_add", "devices", "network_mode") if name in service
    ]
    found += [] if service.get("user") == "10001:10001" else ["user"]
    found += [] if service.get("read_only") is True else ["read_only"]
    found += [] if service.get("cap_drop") == ["ALL"] else ["cap_drop"]
    found += [] if "no-new-privileges:true" in service.get("security_opt", []) else ["no-new-privileges"]
    found += [name for name in ("mem_limit", "cpus", "pids_limit") if not service.get(name)]
    found += [] if service.get("ulimits", {}).get("core") == 0 else ["core"]
    found += [] if "COUNCIL_NODE_IMAGE:?" in service["image"] else ["image"]
    places = {volume["target"]: volume.get("read_only", False) for volume in service["volumes"]}
    found += [] if places["/data"] else ["/data can be written to"]
    found += ["environment holds secrets"] if "environment" in service else []
    return found


def test_the_node_of_the_compose_file_is_locked_in():
    node = COMPOSE["services"]["node"]
    assert looser(node) == []
    writable = [volume["target"] for volume in node["volumes"] if not volume.get("read_only")]
    assert writable == ["/node/state"]
    assert node["healthcheck"]["test"][:3] == ["CMD", "council-node", "health"]
    assert looser(COMPOSE["services"]["admin"]) == []


def test_the_image_itself_names_the_one_user_without_rights():
    """For whoever starts it without the compose file."""
    told = re.findall(r"^USER (.*)$", (ROOT / "docker/council_node.Dockerfile").read_text(), re.MULTILINE)
    assert told == ["10001:10001"]


DOCKERFILES = ("council_node.Dockerfile", "coordinator.Dockerfile")
DEBIANS = "/usr/lib/python3.11"
COMPILE = [sys.executable, "-m", "compileall"]


def compiled_by(dockerfile: str) -> dict[str, list[str]]:
    """Folder → how its modules are compiled before the last stage takes them."""
    before, _, _ = dockerfile.rpartition("\nFROM ")
    found = [line.split() for line in re.findall(r"-m compileall (.*?)(?: &&|$)", before, re.MULTILINE)]
    return {arguments[-1]: arguments[:-1] for arguments in found}


def stale(folder: Path) -> bool:
    """Whether Python compiles the folder's module when it imports it, with all dates as they are in the image."""
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))
    done = subprocess.run(
        [sys.executable, "-B", "-v", "-c", "import lonely"],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    (read,) = re.findall(r"^# code object from .*\blonely\b(\S*?)'?$", done.stderr, re.MULTILINE)
    return read == ".py"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_no_start_of_an_image_compiles_what_it_imports(tmp_path, name):
    made = compiled_by((ROOT / "docker" / name).read_text())
    assert DEBIANS in made
    assert len(made) == 2
    for number, (place, arguments) in enumerate(made.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "lonely.py").write_text("A = 1\n")
        if place == DEBIANS:  # which come compiled, by date
            subprocess.run([*COMPILE, "-q", str(folder)], check=True)
            shutil.copytree(folder, tmp_path / "as-debian-has-it")
            assert stale(tmp_path / "as-debian-has-it")
        subprocess.run([*COMPILE, *arguments, str(folder)], check=True)
        assert not stale(folder)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_debians_modules_are_compiled_before_the_image_takes_them(name):
    root = (ROOT / "docker" / name).read_text().partition(" AS root\n")[2]
    assert -1 < root.find(f" {DEBIANS} &&") < root.find("cp -a") < root.find("\nFROM scratch")


@pytest.mark.parametrize(
    ("name", "value", "noticed"),
    [
        ("ports", ["8080:8080"], "ports"),
        ("user", "0:0", "user"),
        ("read_only", False, "read_only"),
        ("cap_drop", [], "cap_drop"),
        ("security_opt", [], "no-new-privileges"),
        ("mem_limit", None, "mem_limit"),
        ("image", "council-node:latest", "image"),
        ("volumes", [{"target": "/data"}], "/data can be written to"),
    ],
)
def test_a_looser_compose_file_is_noticed(name, value, noticed):
    service = deepcopy(COMPOSE["services"]["node"])
    service[name] = value
    assert looser(service) == [noticed]


def complaints(unit: str, tmp_path) -> list[str]:
    """What systemd says of a unit, with a command that is there in the place of the installed one."""
    if shutil.which("systemd-analyze") is None:
        pytest.fail("needs systemd-analyze: run `make setup-system` as root", pytrace=False)
    path = tmp_path / "council-node.service"
    path.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit, flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "council-node" in line]
    judge = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(path)]
    judged = subprocess.run(judge, capture_output=True, text=True, check=False)
    return said + ([] if judged.returncode == 0 else [judged.stdout.strip().splitlines()[-1]])


def test_systemd_understands_the_unit_and_finds_it_locked_in(tmp_path):
    assert complaints(UNIT, tmp_path) == []


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("ProtectSystem=strict", "ProtectSytem=strict"),
        (
            "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources @mount @debug\nSystemCallFilter=setrlimit prlimit64\n",
            "",
        ),
        ("User=council-node\n", ""),
    ],
    ids=["misspelt", "any system call", "as root"],
)
def test_a_looser_unit_is_noticed(tmp_path, line, instead):
    assert line in UNIT
    assert complaints(UNIT.replace(line, instead), tmp_path) != []


def test_the_unit_gives_what_the_compose_file_gives():
    for setting in (
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=\n",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "MemoryMax=768M",
        "LimitCORE=0",
        "SocketBindDeny=any",
    ):
        assert setting in UNIT
