"""Charge, count, noise, mask: no step can be left out, because the types do not fit, and each has one caller."""

import ast
import os
import subprocess
import sys

import pytest

from tests.architecture.source_tree import ROOT, modules

HEAD = """\
from datetime import datetime
from council_node.contribution import ApprovedPlan, ChargedPlan, NoisedStatistic, add_noise, charge, contribute, mask
from council_node.ledger import Ledger
from council_node.local_statistic import LocalStatistic
from federated.plan import Plan
from protocols.identifiers import RandomSource
from protocols.secagg import ParticipantSession

def step(plan: Plan, approved: ApprovedPlan, charged: ChargedPlan, exact: LocalStatistic, noised: NoisedStatistic,
         session: ParticipantSession, ledger: Ledger, rng: RandomSource, now: datetime) -> bytes:
"""
IN_ORDER = "    return mask(add_noise(exact, charge(approved, ledger, now), honest=3, rng=rng), session)\n"
SKIPPED = {
    "a figure masked without noise": "    return mask(exact, session)\n",
    "noise added for a plan not charged": "    return mask(add_noise(exact, approved, honest=3, rng=rng), session)\n",
    "a plan charged that nobody approved": "    return mask(add_noise(exact, charge(plan, ledger, now), honest=3, rng=rng), session)\n",
    "a contribution to a plan not charged": "    return contribute(approved, compute=lambda _: exact, session=session, rng=rng)\n",
    "a noised figure sent without a mask": "    return noised\n",
    "noise added to a plan instead of a figure": "    return mask(add_noise(plan, charged, honest=3, rng=rng), session)\n",
}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory) -> dict[str, list[str]]:
    """What the type checker says of each order of steps; one run for all of them."""
    folder = tmp_path_factory.mktemp("steps")
    names = {"in order": IN_ORDER} | SKIPPED
    files = {}
    for number, (name, body) in enumerate(names.items()):
        file = folder / f"order_{number}.py"
        file.write_text(HEAD + body, encoding="utf-8")
        files[name] = file
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--follow-imports=silent"]
    command += ["--cache-dir", str(folder / "cache"), "--no-error-summary", *map(str, files.values())]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "MYPYPATH": str(ROOT)}
    )
    assert ran.returncode in {0, 1}, ran.stderr
    lines = ran.stdout.splitlines()
    return {name: [line for line in lines if file.name in line and " error: " in line] for name, file in files.items()}


def test_the_steps_in_order_type_check(complaints):
    assert complaints["in order"] == []


@pytest.mark.parametrize("name", SKIPPED)
def test_a_step_left_out_does_not_type_check(complaints, name):
    assert any("incompatible" in line.lower() for line in complaints[name])


def callers(method: str, *packages: str) -> set[str]:
    """Modules that call a method or function of this name."""
    return {
        name
        for name, tree in modules(*packages)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", maxsplit=1)[-1] == method
    }


@pytest.mark.parametrize(
    ("function", "caller"),
    [
        ("mask", {"council_node/contribution.py"}),
        ("add_noise", {"council_node/contribution.py"}),
        ("contribute", {"council_node/rounds.py"}),
        ("charge", {"council_node/rounds.py"}),
        ("sample_noise_share", {"council_node/contribution.py"}),
    ],
)
def test_each_step_has_one_caller_in_the_node(function, caller):
    assert callers(function, "council_node") == caller
