"""`federated demo` from nothing to answers: the object it prints, and the files it leaves."""

import json
import subprocess

from federated.attack.report import print_attacks
from federated.demo.processes import command
from federated.shell import PlainConsole


def test_the_demo_prints_one_object_and_leaves_its_files(tmp_path):
    kept = tmp_path / "kept"
    run = [
        command("federated"),
        "demo",
        "--councils",
        "6",
        "--epsilon",
        "1/2",
        "--seed",
        "2",
        "--json",
        "--keep",
        str(kept),
    ]
    done = subprocess.run(run, capture_output=True, text=True, timeout=240, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"councils", "queries", "budgets", "bytes_per_council"}
    assert len(found["councils"]) == 6
    assert len(found["queries"]) == 4
    for query in found["queries"]:
        assert {
            "id",
            "statistic",
            "mechanism",
            "cells",
            "covered_95",
            "epsilon",
            "rho",
            "seconds",
            "stage_seconds",
        } <= set(query)
        assert 0 < query["covered_95"] <= query["cells"] == len(query["declared_coverage"])
        assert min(query["declared_coverage"]) >= 0.95
        assert query["epsilon"] == "1/2"
    # One node is killed during the last question; the answer names the five others.
    assert [query["contributed"] for query in found["queries"]] == [6, 6, 6, 5]
    rounds = sorted(row["rounds"] for row in found["budgets"] if row.get("spent_epsilon"))
    assert rounds == [3, 4, 4, 4, 4, 4]
    assert found["bytes_per_council"] > 1000
    for name in ("duties", "causes", "applicants", "children"):
        answer = kept / "answers" / name
        assert (answer / "release.json").exists()
        assert list(answer.glob("*.csv"))
        assert list(answer.glob("*.svg"))
    assert json.loads((kept / "demo.json").read_text(encoding="utf-8"))["councils"] == found["councils"]


def test_demo_attack_prints_one_object_or_a_table():
    run = [command("federated"), "demo", "attack", "--trials", "20", "--councils", "5"]
    done = subprocess.run([*run, "--json"], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["threshold_only"]["success"] >= 0.9
    assert found["ours"]["success"] <= found["ours"]["bound"] + 4 * found["standard_error"]
    assert len(found["attacks"]) == 5
    printed = PlainConsole(width=160)
    with printed.capture() as shown:
        print_attacks(found, printed)
    for attack in found["attacks"]:
        assert attack["title"] in shown.get()
        assert f"{100 * attack['ours']['bound']:.1f}%" in shown.get()
        assert attack["ours"]["refused"] in shown.get()
    done = subprocess.run([*run, "--trials", "3"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "20 to 2000 trials" in done.stderr


def test_the_demo_refuses_what_it_cannot_do_in_one_sentence(tmp_path):
    def fails(*arguments):
        run = [command("federated"), "demo", *arguments]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "4 to 296 councils" in fails("--councils", "3")
    assert "exact number" in fails("--epsilon", "a lot")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert "not empty" in fails("--keep", str(tmp_path))
