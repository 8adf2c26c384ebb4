"""Flower's stock deployment on loopback: a SuperLink, a SuperNode for each council, `flwr run` for each question.

Run by Flower's own Python. As https://flower.ai/docs/framework/how-to-run-flower-with-deployment-engine.html has it:
plain connections (`--insecure`), which spare Flower the TLS that ours has, and every app in a process of its own.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

BIN = Path(sys.executable).parent
START_S = 180.0
RUN_S = 600.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder, name, command):
    log = (folder / f"{name}.log").open("wb")
    return subprocess.Popen([str(BIN / command[0]), *command[1:]], stdout=log, stderr=subprocess.STDOUT, cwd=folder)


def wait(what, done, processes, limit_s):
    deadline = time.monotonic() + limit_s
    while not done():
        if any(process.poll() is not None for process in processes):
            raise SystemExit(f"{what}: a Flower process has ended; see its log")
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {limit_s:g} seconds")
        time.sleep(0.01)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def federation(folder, extracts, through):
    """SuperLink and SuperNodes, up; `through` is a port that passes on to the SuperLink, for counting bytes."""
    port = free_port()
    link = ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port)]
    processes = [start(folder, "superlink", [*link, "--disable-runtime-dependency-installation"])]
    try:
        wait("the SuperLink", lambda: answers(port), processes, START_S)
        Path(os.environ["FLWR_HOME"], "config.toml").write_text(
            f'[superlink]\ndefault = "bench"\n\n[superlink.bench]\naddress = "127.0.0.1:{port}"\ninsecure = true\n',
            encoding="utf-8",
        )
        if through:
            through.write_text(str(port), encoding="utf-8")
            wait("the relay", through.with_suffix(".up").exists, processes, START_S)
            port = int(through.with_suffix(".up").read_text(encoding="utf-8"))
        for extract in extracts:
            node = ["flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{port}", "--port", str(free_port())]
            processes.append(start(folder, extract.stem, [*node, "--node-config", f'extract="{extract}"']))
        yield processes
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def ask(folder, kind, number, settings, processes):
    """One `flwr run`: seconds from typing it to the answer, and those inside the ServerApp."""
    answer = folder / f"answer-{kind}-{number}.json"
    config = settings | {"answer": str(answer), "protected": kind == "protected"}
    texts = [f"{name}={json.dumps(value)}" for name, value in config.items()]
    begun, busy = time.perf_counter(), family_seconds()
    done = subprocess.run(
        [str(BIN / "flwr"), "run", str(folder / kind), "bench", "--run-config", " ".join(texts)],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    if done.returncode:
        raise SystemExit(f"flwr run: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    wait("the answer", answer.exists, processes, RUN_S)
    seconds = time.perf_counter() - begun
    found = json.loads(answer.read_text(encoding="utf-8"))
    return {
        "submitted_seconds": seconds,
        "message_seconds": found["seconds"],
        "processor_seconds": family_seconds() - busy,
        "total": found["total"],
    }


def family_seconds():
    """Processor seconds so far of every process under this one, and of those of theirs that have ended."""
    parents, spent = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            process = int(stat.parent.name)
            parents[process], spent[process] = int(fields[1]), sum(map(int, fields[11:15]))
    family = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(spent[process] for process in family) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="empty; holds logs, the app and Flower's own files")
    parser.add_argument("question", type=Path)
    parser.add_argument("extracts", type=Path, help="a folder with one CSV file for each council")
    parser.add_argument("--threshold", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=("plain", "protected"), default=["plain", "protected"])
    parser.add_argument("--through", type=Path, help="file to leave the SuperLink's port in, for a relay")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # and everything that was started with it
    extracts = sorted(chosen.extracts.glob("*.csv"))
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    os.environ |= {"FLWR_HOME": str(chosen.folder / "home"), "PATH": path} | quiet
    (chosen.folder / "home").mkdir(parents=True)
    for kind in chosen.kinds:
        app = shutil.copytree(Path(__file__).parent / "flower_app", chosen.folder / kind)
        settings_file = app / "pyproject.toml"
        text = settings_file.read_text(encoding="utf-8")
        settings_file.write_text(text.replace("client_app:plain", f"client_app:{kind}"), encoding="utf-8")
    settings = {"councils": len(extracts), "threshold": chosen.threshold, "question": str(chosen.question)}
    found = {kind: [] for kind in chosen.kinds}
    with federation(chosen.folder, extracts, chosen.through) as processes:
        ask(chosen.folder, chosen.kinds[0], 0, settings, processes)  # not counted: files are read, code is compiled
        for number in range(1, chosen.rounds + 1):
            for kind in chosen.kinds:
                found[kind].append(ask(chosen.folder, kind, number, settings, processes))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
