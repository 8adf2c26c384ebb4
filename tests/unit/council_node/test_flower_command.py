"""`council-node flower`: what it refuses in a sentence, the key it makes, and where its switches are set."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from council_node.cli import app
from council_node.commands import flower
from council_node.flower_service import make_flower_key
from federated.errors import FileProblem
from federated.flower_process import QUIET, SECRET_SIZE, quiet_environment, write_secret


def call(*arguments):
    return app(["flower", *arguments], standalone_mode=False)


@pytest.fixture(autouse=True)
def _switches(monkeypatch):
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    yield
    for name in QUIET:
        os.environ.pop(name, None)


def test_a_key_is_made_for_its_owner_alone_and_none_is_replaced(tmp_path, capsys):
    call("key", str(tmp_path / "node.key"))
    assert "node.key.pub" in capsys.readouterr().out
    private = load_ssh_private_key((tmp_path / "node.key").read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    public = load_ssh_public_key((tmp_path / "node.key.pub").read_bytes())
    assert public.public_numbers() == private.public_key().public_numbers()
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileProblem, match="File exists"):
        make_flower_key(tmp_path / "node.key")


def test_a_supernode_on_another_machine_needs_an_authority(tmp_path):
    with pytest.raises(FileProblem, match="another machine"):
        call("executor", "--runtime", "10.0.0.7:9094", "--secret-file", str(tmp_path / "none"))


def test_a_secret_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileProblem, match="cannot be read"):
        call("executor", "--runtime", "127.0.0.1:9094", "--secret-file", str(tmp_path / "none"))


def test_a_key_that_is_not_there_is_named_before_anything_is_started(tmp_path, monkeypatch):
    settings = SimpleNamespace(coordinator=SimpleNamespace(ca_file=tmp_path / "ca.pem"), state=tmp_path / "state")
    monkeypatch.setattr(flower, "read_settings", lambda _path: settings)
    options = ["--superlink", "127.0.0.1:1", "--key", str(tmp_path / "none.key")]
    with pytest.raises(FileProblem, match=r"none\.key: the file cannot be read"):
        call("run", *options)
    (tmp_path / "none.key").write_bytes(b"")
    with pytest.raises(FileProblem, match=r"ca\.pem: the file cannot be read"):
        call("run", *options)
    settings.coordinator.ca_file = None
    with pytest.raises(FileProblem, match="no authority"):
        call("run", *options)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "A" * 64])
def test_what_is_no_digest_of_a_bundle_is_refused(tmp_path, digest):
    (tmp_path / "secret").write_bytes(b"x")
    options = ["--secret-file", str(tmp_path / "secret"), "--bundle", digest]
    with pytest.raises(FileProblem, match="no digest of a bundle"):
        call("executor", "--runtime", "127.0.0.1:9094", *options)


def test_the_executors_own_process_has_the_switches_before_flower_reads_them(tmp_path):
    code = (
        "import sys\n"
        "from council_node.cli import app\n"
        "try:\n"
        "    app(['flower', 'executor', '--runtime', '127.0.0.1:1', '--secret-file', 'none'], standalone_mode=False)\n"
        "except Exception as error:\n"
        "    assert 'none' in str(error)\n"
        "from flwr.supercore import telemetry\n"
        "print(telemetry.FLWR_TELEMETRY_ENABLED)\n"
    )
    plain = {name: value for name, value in os.environ.items() if name not in QUIET}
    arguments = [sys.executable, "-c", code]
    done = subprocess.run(arguments, env=plain, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_what_flower_gets_is_this_environment_with_the_switches(monkeypatch):
    monkeypatch.setenv("FLWR_TELEMETRY_ENABLED", "1")
    monkeypatch.setenv("OTHER", "kept")
    found = quiet_environment(Path("home"))
    assert {name: found[name] for name in QUIET} == dict(QUIET)
    assert (found["OTHER"], found["FLWR_HOME"]) == ("kept", "home")
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert quiet_environment().get("FLWR_HOME") == os.environ.get("FLWR_HOME")


def test_a_secret_is_new_each_time_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "secret"
    first, second = (write_secret(path, os.urandom) for _ in range(2))
    assert first != second
    assert path.read_bytes() == second
    assert len(second) == SECRET_SIZE
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileProblem, match="cannot be written"):
        write_secret(tmp_path / "no folder" / "secret", os.urandom)
