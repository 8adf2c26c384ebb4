"""The node's image: built from nothing but Debian's archive and hashed wheels, locked in, and taking part in a round.

Needs root, buildah and debootstrap, which `make setup-system` installs; without them it fails, because an image that was
not built was not tested. The coordinator is an ordinary process on loopback.
"""

import json
import os
import re
import shutil
import subprocess
import time
import tomllib
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from docker.bill_of_materials import bill_of_materials, debian_packages, hashes, python_packages, size_report
from docker.build_images import PARTIES, ensure_image, fetch_wheels, mounted, sign
from docker.tools import ROOT
from federated.demo import world as demo_world
from federated.demo.papers import GROUP, manifest_payload
from federated.demo.processes import Processes
from federated.demo.questions import demo_questions
from federated.demo.run import truth_of
from federated.shell import now_utc
from tests.e2e.containers import PROGRAM, PYTHON, TRY_TO_WRITE, USER, Container, violations

COUNCILS = 4
LARGEST = 700_000_000
"""Bytes the image may have."""
WRITABLE = ("/node/state", "/tmp")
NODE_REQUIREMENTS = ROOT / "requirements/node.txt"


@pytest.fixture(scope="module")
def image():
    missing = [tool for tool in ("buildah", "debootstrap", "unshare") if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.fail(
            f"needs root and {', '.join(missing) or 'its rights'}: run `make setup-system` as root", pytrace=False
        )
    begun = time.monotonic()
    party = ensure_image("node")
    print(f"image ready after {time.monotonic() - begun:.0f} s")
    with mounted(party) as root:
        yield root


# What is in it


@pytest.mark.in_turn
def test_the_image_holds_no_shell_no_package_tool_and_nothing_that_gives_rights(image):
    programs = {path.name for folder in ("usr/bin", "usr/sbin", "usr/local/bin") for path in (image / folder).glob("*")}
    assert "python3.11" in programs
    assert not programs & {
        "sh",
        "bash",
        "dash",
        "busybox",
        "perl",
        "apt",
        "apt-get",
        "dpkg",
        "pip",
        "su",
        "mount",
        "gcc",
    }
    assert [path for path in image.rglob("*") if not path.is_symlink() and path.lstat().st_mode & 0o6000] == []
    site = next((image / "opt/council-node").glob("lib/python3*/site-packages"))
    assert not list(site.glob("pip*")) + list(site.glob("coordinator*")) + list(site.glob("setuptools*"))


@pytest.mark.in_turn
def test_the_image_holds_the_locked_packages_and_its_list_of_parts_names_them_all(image):
    locked = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", NODE_REQUIREMENTS.read_text(), re.MULTILINE))
    inside = {name: found.version for name, found in python_packages(image, "opt/council-node").items()}
    assert inside.pop("council-federation")
    assert inside == locked
    parts = json.loads(bill_of_materials(image, "opt/council-node", NODE_REQUIREMENTS))
    purls = {part["purl"] for part in parts["components"]}
    assert {f"pkg:pypi/{name}@{version}" for name, version in locked.items()} <= purls
    assert len([purl for purl in purls if purl.startswith("pkg:deb/debian/")]) == len(debian_packages(image))
    assert any(purl.startswith("pkg:deb/debian/libssl3@") for purl in purls)
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(parts)) is None


@pytest.mark.in_turn
def test_no_compiled_file_of_the_image_is_held_against_a_date(image):
    """All its dates are 0: what named one would be compiled again at every start (PEP 552: the second word is 1)."""
    folders = (image / "usr/lib/python3.11", image / "opt/council-node")
    compiled = [path for folder in folders for path in folder.rglob("*.pyc")]
    assert len(compiled) > 1000
    assert [path for path in compiled if path.read_bytes()[4:8] != b"\1\0\0\0"] == []
    sources = [path for path in (image / "usr/lib/python3.11").glob("*.py") if not path.is_symlink()]
    missing = [path for path in sources if not (path.parent / f"__pycache__/{path.stem}.cpython-311.pyc").is_file()]
    assert missing == []


@pytest.mark.in_turn
def test_the_image_is_small_and_every_byte_is_accounted_for(image):
    report = size_report(image, "opt/council-node")
    print(json.dumps({name: size for name, size in report["parts"].items() if size > 5_000_000}, indent=2))
    assert report["total"] == sum(report["parts"].values())
    assert report["total"] <= LARGEST


def test_every_package_a_party_asks_for_is_locked():
    """Somebody who adds a dependency and forgets `make lock` hears of it here, and not from a council."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {"node": [*extras["node"], *extras["postgresql"]], "coordinator": extras["coordinator"]} | {
        "mask-holder": extras["mask-holder"]
    }
    for name, lines in wanted.items():
        asked = {re.split(r"[\[<>=]", line)[0].lower() for line in [*project["dependencies"], *lines]}
        assert asked - hashes(ROOT / f"requirements/{name}.txt").keys() == set(), "run `make lock`"


def test_every_locked_package_of_a_party_is_one_of_the_whole_lock():
    everything = hashes(ROOT / "requirements/all.txt")
    for name in ("node", "coordinator", "mask-holder"):
        for package, digests in hashes(ROOT / f"requirements/{name}.txt").items():
            assert digests
            assert digests == everything[package], package


def test_the_checksums_signature_is_checked_with_openssl(tmp_path):
    """The commands of the guide, by somebody who has none of our software."""
    from federated.keys import make_key, write_private_key

    write_private_key(tmp_path / "key.pem", make_key(os.urandom))
    sums = tmp_path / "council-node.sha256"
    sums.write_text("00  council-node.tar\n")
    signature, public = sign(sums, tmp_path / "key.pem")
    verify = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(public), "-sigfile", str(signature)]
    assert subprocess.run([*verify, "-in", str(sums)], capture_output=True, check=False).returncode == 0
    sums.write_text("01  council-node.tar\n")
    assert subprocess.run([*verify, "-in", str(sums)], capture_output=True, check=False).returncode != 0


# A round with nodes started from it


def container_of(image: Path, place: Path) -> Container:
    return Container(
        root=image,
        binds=(
            (str(place / "node"), "/node", False),
            (str(place / "node" / "state"), "/node/state", True),
            (str(place / "data"), "/data", False),
        ),
    )


def hand_over(place: Path) -> None:
    """What the guide has IT do: the extract in a folder of its own, the node's folder to the node's user."""
    data = place / "data"
    data.mkdir()
    for name in ("extract.csv", "mapping.yaml"):
        shutil.move(place / name, data / name)
        (data / name).chmod(0o644)
    settings = place / "node" / "node.yaml"
    document = yaml.safe_load(settings.read_text())
    document["data"]["case"] = "/data/mapping.yaml"
    settings.write_text(yaml.safe_dump(document, sort_keys=False))
    for path in [place / "node", *(place / "node").rglob("*")]:
        os.chown(path, USER, USER)


class FromImage(Processes):
    """Starts councils' nodes from the image, and everything else as it is."""

    image: Path

    def start(self, name, arguments):
        if name.startswith("councils/"):
            place = self.folder / Path(name).parent
            hand_over(place)
            arguments = container_of(self.image, place).command(PROGRAM, "run", "--settings", "/node/node.yaml")
        return super().start(name, arguments)


@pytest.fixture
def world(image, tmp_path, monkeypatch):
    monkeypatch.setattr(FromImage, "image", image, raising=False)
    monkeypatch.setattr(demo_world, "Processes", FromImage)
    with demo_world.build_world(tmp_path, count=COUNCILS, epsilon=Fraction(2), seed=3) as built:
        yield built


def ask(world, question):
    manifest = manifest_payload(question.id, question.query, today=now_utc().date())
    with world.client() as client:
        plan = client.plan(question.query, agreement=None, manifest=manifest)
        steps = list(client.submit(plan, manifest))
        assert steps[-1].release_digest, steps[-1].message
        return client.release(release_digest=steps[-1].release_digest)


def inside(world, image, council, *arguments):
    """Run a command in the container of a council's node, beside the node."""
    place = world.folder / "councils" / council
    command = container_of(image, place).command(*arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.in_turn
def test_nodes_from_the_image_take_part_in_a_round_locked_in(world, image):
    question = demo_questions(GROUP, Fraction(2), regions=False)[1]
    release = ask(world, question)
    assert release.contributed == COUNCILS
    for table in question.query.tables:
        truth = truth_of(world, question, table, release)
        for cell in release.table(table.name).cells:
            # Fifteen scales of the noise or more: a right sum is further off once in a million cells.
            slack, exact = 2 * (cell.high - cell.low), truth.get(cell.codes, 0)
            assert cell.low - slack <= exact <= cell.high + slack, cell.codes

    coordinator = (world.folder / "coordinator" / "ready").read_text().strip()
    for council in world.councils:
        running = world.processes.running[f"councils/{council}/node"]
        assert violations(running.process.pid, writable=WRITABLE, remote=coordinator) == []
        limits = Path(f"/proc/{running.process.pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0\s", limits)

    council = min(world.councils)
    tried = inside(world, image, council, PYTHON, "-I", "-c", TRY_TO_WRITE)
    assert json.loads(tried.stdout) == {"written": list(WRITABLE), "loose": list(WRITABLE)}, tried.stderr
    assert not (world.folder / "councils" / council / "data" / "planted").exists()
    (world.folder / "councils" / council / "node" / "state" / "planted").unlink()

    well = inside(world, image, council, PROGRAM, "health", "--settings", "/node/node.yaml")
    assert (well.returncode, well.stdout) == (0, "Well: connected.\n"), well.stderr
    receipt = inside(world, image, council, PROGRAM, "receipt", "--settings", "/node/node.yaml")
    assert receipt.returncode == 0, receipt.stderr

    log = [
        json.loads(line) for line in world.processes.running[f"councils/{council}/node"].log.read_text().splitlines()
    ]
    events = [line["event"] for line in log]
    for event in ("started", "link_up", "question_decided", "round_joined", "masked_input_sent", "answer_received"):
        assert event in events
    joined = next(line for line in log if line["event"] == "round_joined")
    assert {line["sid"] for line in log if "sid" in line} == {joined["sid"]}
    assert "unlisted_event" not in events

    world.processes.kill("coordinator-serve")
    silent = inside(world, image, council, PROGRAM, "health", "--minutes", "0", "--settings", "/node/node.yaml")
    deadline = time.monotonic() + 30
    while silent.returncode == 0 and time.monotonic() < deadline:
        time.sleep(0.5)
        silent = inside(world, image, council, PROGRAM, "health", "--minutes", "0", "--settings", "/node/node.yaml")
    assert silent.returncode == 8
    assert "no contact with the coordinator since" in silent.stderr


# The checks notice


LISTEN = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('up', flush=True); time.sleep(60)"
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


@pytest.mark.in_turn
@pytest.mark.parametrize(
    ("change", "code", "noticed"),
    [
        ({}, SLEEP, set()),
        ({"read_only": False}, SLEEP, {"/ can be written to"}),
        (
            {"user": 10003},
            SLEEP,
            {"Uid is ['10003', '10003', '10003', '10003']", "Gid is ['10003', '10003', '10003', '10003']"},
        ),
        ({"keep_capabilities": True}, SLEEP, {"CapBnd is"}),
        ({"user": 0, "keep_capabilities": True}, SLEEP, {"CapBnd is", "CapEff is", "CapPrm is", "Gid is", "Uid is"}),
        ({}, LISTEN, {"listens on 127.0.0.1:"}),
    ],
    ids=["locked in", "writable root", "another user", "capabilities", "root", "listening"],
)
def test_the_checks_notice_what_a_careless_operator_could_get_wrong(image, change, code, noticed):
    command = Container(root=image).but(**change).command(PYTHON, "-I", "-c", code)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "up\n"
            found = violations(process.pid, writable=WRITABLE)
        finally:
            process.kill()
    assert {line for line in found if not any(line.startswith(start) for start in noticed)} == set()
    assert {start for start in noticed if not any(line.startswith(start) for line in found)} == set()


@pytest.mark.in_turn
def test_a_connection_to_anywhere_else_is_noticed(image):
    import socket

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        host, port = server.getsockname()
        code = f"import socket, time; s = socket.create_connection(('{host}', {port})); print('up', flush=True); time.sleep(60)"
        with subprocess.Popen(
            Container(root=image).command(PYTHON, "-I", "-c", code), stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout.readline() == "up\n"
                assert violations(process.pid, writable=WRITABLE, remote=f"{host}:{port}") == []
                found = violations(process.pid, writable=WRITABLE, remote="127.0.0.1:1")
            finally:
                process.kill()
    assert found == [f"is connected to {host}:{port}"]


@pytest.mark.in_turn
def test_wheels_that_are_not_the_locked_ones_are_refused(tmp_path):
    """The check that the Dockerfile makes, on one small package with one byte changed."""
    import sys

    folder = ROOT / "build/wheels/node"
    wheel = next((folder if folder.is_dir() else fetch_wheels(PARTIES["node"])).glob("h11-*.whl"))
    (line,) = re.findall(r"^h11==.*(?:\n    --hash.*)+", NODE_REQUIREMENTS.read_text(), re.MULTILINE)
    dockerfile = PARTIES["node"].dockerfile.read_text()
    (options,) = re.findall(r"\$pip install (.*) --find-links \. (.*) -r /requirements\.txt", dockerfile)
    install = [sys.executable, "-m", "pip", "install", *" ".join(options).split(), "--find-links", str(tmp_path)]
    install += ["--no-deps", "--target", str(tmp_path / "out"), "-r", str(tmp_path / "one.txt")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")} | {
        "PIP_CONFIG_FILE": os.devnull
    }
    shutil.copyfile(wheel, tmp_path / wheel.name)
    (tmp_path / "one.txt").write_text(line.partition(" ")[0] + "\n")
    unnamed = subprocess.run(install, capture_output=True, text=True, check=False, env=environment)
    assert unnamed.returncode != 0, "a package whose hash is not listed was installed"
    assert "Hashes are required" in unnamed.stderr
    (tmp_path / "one.txt").write_text(line.rstrip("\\\n ") + "\n")
    assert subprocess.run(install, capture_output=True, check=False, env=environment).returncode == 0
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / wheel.name).write_bytes(content)
    refused = subprocess.run(install, capture_output=True, text=True, check=False, env=environment)
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
