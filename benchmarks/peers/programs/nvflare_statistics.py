"""NVIDIA FLARE's federated statistics on loopback: a server, a client process for each council, one job a question.

Run by FLARE's own Python. The recipe is that of its hello-tabular-stats example; the processes are those of its proof
of concept mode, which stay up, and each question is a job handed in through the administrator's startup kit.
"""

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
from nvflare.job_config.stats_job import StatsJob
from nvflare.recipe.poc_env import PocEnv
from nvflare.recipe.prod_env import ProdEnv
from nvflare.recipe.spec import Recipe

from council_statistics import CouncilStatistics

RUN_S = 600.0
LOGIN_S = 60.0


def recipe(number, sites, folder, question):
    """The job that `FedStatsRecipe` makes, without its limit on histograms.

    FLARE keeps back a council's histogram that has more bins than a share of its rows, at most all of them; the
    question has more cells than a small council has rows, and would go without it.
    """

    class Job(StatsJob):
        def add_privacy_result_filters(self, site_id):
            pass

    asked = json.loads(Path(question).read_text(encoding="utf-8"))
    cells = [math.prod(len(codes) for codes in table["codes"]) for table in asked["tables"]]
    bins = {f"table{index}": {"bins": count, "range": [0, count]} for index, count in enumerate(cells)}
    job = Job(
        name=f"question{number}",
        statistic_configs={"count": {}, "histogram": bins},
        stats_generator=CouncilStatistics(extracts=str(folder), question=str(question)),
        output_path="statistics/answer.json",
    )
    job.setup_clients(sites)
    return Recipe(job)


def ask(number, env, sites, folder, question, *, started=None):
    """One job from handing it in to its answer on this side; `started` answers for a deployment that is not up yet."""
    begun = time.perf_counter()
    run = recipe(number, sites, folder, question).execute(env)
    # Not by the run itself: getting its result also stops a proof of concept deployment.
    place = (started() if started else env).get_job_result(run.get_job_id(), RUN_S)
    seconds = time.perf_counter() - begun
    [found] = Path(place).rglob("answer.json")
    answer = json.loads(found.read_text(encoding="utf-8"))
    tables = [counts(answer[name]["histogram"], "Global") for name in sorted(answer)]
    seen = sorted(set(answer["table0"]["histogram"]) & set(sites))
    return {"submitted_seconds": seconds, "total": np.concatenate(tables).tolist(), "councils_in_answer": len(seen)}


def administrator(folder):
    [kit] = (folder / "poc").glob("*/prod_00/admin@nvidia.com")
    return ProdEnv(startup_kit_location=str(kit), login_timeout=LOGIN_S)


def counts(histogram, who):
    return np.array([int(bucket[2]) for bucket in histogram[who]["cases"]], dtype=np.int64)


@contextmanager
def counted_bytes(port):
    """Bytes of TCP content over every connection to a port, looked at ten times a second, as the kernel counts them."""
    most, before, done = {}, sockets(port), threading.Event()

    def watch():
        while not done.wait(0.1):
            most.update(sockets(port))

    watcher, spent = threading.Thread(target=watch), {}
    watcher.start()
    try:
        yield spent
    finally:
        done.set()
        watcher.join()
        most.update(sockets(port))
        spent["bytes"] = sum(count - before.get(name, 0) for name, count in most.items())


def sockets(port):
    shown = subprocess.run(
        ["ss", "-tinOH", f"sport = :{port}"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {line.split()[4]: sum(map(int, re.findall(r"bytes_(?:sent|received):(\d+)", line))) for line in shown}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="empty; FLARE's workspace")
    parser.add_argument("question", type=Path)
    parser.add_argument("extracts", type=Path, help="a folder with one CSV file for each council")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--port", type=int, default=8002, help="that FLARE's server listens on")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # and everything that was started with it
    os.environ["NVFLARE_POC_WORKSPACE"] = str(chosen.folder / "poc")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    sites = sorted(extract.stem for extract in chosen.extracts.glob("*.csv"))
    poc = PocEnv(clients=sites, num_clients=len(sites), extra={"login_timeout": LOGIN_S})
    found = []
    with redirect_stdout(sys.stderr):
        try:
            # The first starts everything and is not counted.
            ask(0, poc, sites, chosen.extracts, chosen.question, started=lambda: administrator(chosen.folder))
            env = administrator(chosen.folder)
            found += [ask(1 + turn, env, sites, chosen.extracts, chosen.question) for turn in range(chosen.rounds)]
            with counted_bytes(chosen.port) as spent:  # once more, not timed
                ask(chosen.rounds + 1, env, sites, chosen.extracts, chosen.question)
        finally:
            poc.stop()
    print(json.dumps({"rounds": found, "bytes": spent["bytes"]}))


if __name__ == "__main__":
    main()
