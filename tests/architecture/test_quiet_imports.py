"""Loading our modules, with all the libraries behind them, calls nobody, opens no socket and starts no process."""

import json
import subprocess
import sys

import pytest

LOOK = """
import importlib, json, os, pkgutil, sys

leave_out, *packages = sys.argv[1:]
act = ("__main__", "migrations.env")  # when they are loaded
LOUD = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "urllib.", "http.", "ftplib.", "smtplib.")
heard = []

def hook(event, arguments):
    if event.startswith(LOUD):
        heard.append([event, [str(argument) for argument in arguments]])

sys.addaudithook(hook)
for name in packages:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), f"{name}."):
        if not module.name.endswith(act) and not (leave_out and leave_out in module.name):
            importlib.import_module(module.name)
open_files = [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.islink(entry.path)]
sockets = [name for name in open_files if name.startswith("socket:")]
print(json.dumps({"heard": heard, "sockets": sockets, "modules": len(sys.modules)}))
"""
OF_URLLIB3 = {"socket.__new__", "socket.bind"}
"""It asks once whether the computer knows IPv6, by a socket of its own that reaches nobody: bound to ::1, and closed."""
OF_RAY = {"subprocess.Popen"}
"""It looks for a graphics card."""


def loading(*packages, leave_out="", folder=None):
    command = [sys.executable, "-c", LOOK, leave_out, *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=folder)
    return json.loads(done.stdout.splitlines()[-1])


def test_no_module_of_the_node_opens_a_socket_or_starts_a_process():
    found = loading("council_node", "protocols", leave_out="flower")
    assert found["heard"] == []
    assert found["sockets"] == []
    assert found["modules"] > 500


@pytest.mark.long
def test_no_module_of_any_party_calls_anybody():
    found = loading("protocols", "federated", "council_node", "mask_holder", "coordinator")
    assert {event for event, _ in found["heard"]} <= OF_URLLIB3 | OF_RAY
    assert all("::1" in arguments[1] for event, arguments in found["heard"] if event == "socket.bind")
    assert all("amdgpu" in arguments[1] for event, arguments in found["heard"] if event == "subprocess.Popen")
    assert found["sockets"] == []


@pytest.mark.parametrize(
    ("statement", "event"),
    [
        ("import socket; kept = socket.socket()", "socket.__new__"),
        ("import socket; socket.getaddrinfo('127.0.0.1', 80)", "socket.getaddrinfo"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
    ],
)
def test_a_module_that_is_not_quiet_is_heard(tmp_path, statement, event):
    (tmp_path / "planted.py").write_text(statement, encoding="utf-8")
    found = loading("planted", folder=tmp_path)
    assert event in [heard for heard, _ in found["heard"]]
    assert bool(found["sockets"]) == ("kept" in statement)
