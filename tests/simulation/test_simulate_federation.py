"""`coordinator simulate`: the whole federation in one process gives right answers, and says what they took."""

import gc
import json
import resource
import subprocess
import sys
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from coordinator import simulate as simulation
from coordinator.cli import app
from coordinator.simulate import Scenario, build_world, simulate
from council_node.page import own_figures
from council_node.sources.databases import Databases
from federated.demo.papers import GROUP
from federated.demo.questions import demo_questions
from federated.errors import FileProblem, QueryError, RoundAborted
from federated.privacy import Mechanism
from federated.query import Dimension, Level, Named, Period, Query, Table, Unknown, measured, write_query
from federated.schema import load_schema
from protocols.secagg import Profile
from tests import evidence
from tests.canary.federation import run_over_lines
from tests.spec.quantiles_by_hand import true_quantiles

QUESTIONS = tuple(question.query for question in demo_questions(GROUP, Fraction(1), regions=True))


def small(**changes: object) -> Query:
    fields = {
        "title": "Households assessed",
        "dataset": "case",
        "unit": "household",
        "group": GROUP,
        "period": Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31)),
        "epsilon": Fraction(1),
        "tables": (Table(name="all", statistic="households"),),
    }
    return Query(**(fields | changes))


@pytest.fixture
def without_noise(monkeypatch):
    def nothing(spec, *, honest, rng):
        return np.zeros(spec.cells, dtype=np.int64)

    monkeypatch.setattr("council_node.contribution.sample_noise_share", nothing)


@pytest.mark.parametrize(
    "table",
    [
        Table(name="t", statistic="variance", measures=(measured("dependent_children_n", 0, 4),)),
        Table(name="t", statistic="co_occurrence", by=(Dimension(column="main_age_band"),), max_cells=2),
        Table(name="t", statistic="share", conditions=(Named(name="a", where=Unknown(column="application_date")),)),
    ],
    ids=lambda table: table.statistic,
)
def test_where_no_truth_is_known_the_simulation_says_so(table):
    with pytest.raises(QueryError, match=f"knows no truth beside '{table.statistic}'"):
        simulate(Scenario(questions=(small(tables=(table,)),), councils=4, seed=1))


@pytest.mark.drawn(2)
@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("lost", [0, 1])
def test_but_for_the_noise_every_total_is_the_exact_sum_of_those_who_contributed(without_noise, mechanism, lost):
    """Counts, rows, sums and means, by region too, through masks and losses: nothing is lost, doubled or wrapped."""
    found = simulate(Scenario(questions=QUESTIONS, councils=5, lost=lost, mechanism=mechanism, seed=8))
    assert len(found.rounds) == 4
    for item in found.rounds:
        assert item.release.contributed == 5 - lost
        assert all(not np.any(residuals) for residuals in item.residuals)
        assert item.exact.sum() > 0


def test_a_crossing_of_protected_characteristics_is_approved_by_the_people_who_are_simulated(monkeypatch):
    """Without them it would wait for good: no policy of a node approves it."""
    crossing = Table(
        name="who",
        statistic="households",
        by=(Dimension(column="main_sex"), Dimension(column="main_age_band")),
    )
    scenario = Scenario(questions=(small(tables=(crossing,)),), councils=8, seed=8)
    monkeypatch.setattr("federated.plan.BASE_FACTOR", 1)
    monkeypatch.setattr("federated.cohort.BASE_FACTOR", 1)
    monkeypatch.setattr("council_node.policy.BASE_FACTOR", 1)
    (item,) = simulate(scenario).rounds
    assert item.release.contributed == 8
    assert item.release.tables[0].caveat


CHILDREN = {"measures": (measured("dependent_children_n", 0, 6),), "by": (Dimension(column="main_sex"),)}
QUANTILES = Table(
    name="quantiles",
    statistic="quantile",
    edges=(0, 1, 2, 3, 5),
    probabilities=(Fraction(1, 2), Fraction(9, 10)),
    **CHILDREN,
)
BANDED = small(
    title="Children: households by band, and quantiles",
    tables=(
        Table(name="bands", statistic="distribution", edges=QUANTILES.edges, **CHILDREN),
        Table(name="beyond", statistic="distribution", edges=(-1, 1, 3, 9), level=Level.REGION, **CHILDREN),
        QUANTILES,
    ),
)


@pytest.mark.drawn(1)
@pytest.mark.parametrize("mechanism", Mechanism)
def test_bands_and_quantiles_come_through_masks_and_losses_too(without_noise, mechanism):
    """Under Gaussian noise weighted running totals are sent; without the noise the quantiles are the exact ones."""
    [found] = simulate(Scenario(questions=(BANDED,), councils=11, lost=1, mechanism=mechanism, seed=8)).rounds
    assert all(not np.any(residuals) for residuals in found.residuals)
    bands, beyond, sent = (np.array(table.totals) // table.scale for table in found.release.tables)
    bands, beyond = bands.reshape(-1, 6), beyond.reshape(-1, 5)
    assert bands.sum() == beyond.sum() > 0
    assert not beyond[:, [0, 4]].any()
    assert bool(sent.sum() == bands.sum()) == (mechanism is Mechanism.DISCRETE_LAPLACE)
    printed = [cell.estimate for cell in found.release.table("quantiles").cells]
    by_hand = [true_quantiles(QUANTILES, counts.tolist()) or [None] * 2 for counts in bands]
    assert printed == [value if value is None else pytest.approx(value) for row in by_hand for value in row]
    assert len(set(printed)) > 4
    # A council's page counts its own households as they are, whatever the answer's kind of noise asked for.
    *_, own = own_figures._planned(found.release, found.plan.question, load_schema().dataset("case"))
    assert own.mechanism is Mechanism.DISCRETE_LAPLACE
    shown = own_figures._decoded(own, bands.reshape(-1), "E12000001").values()
    assert list(shown) == [value if value is None else pytest.approx(value) for row in by_hand for value in row]


def test_quantiles_of_a_simulated_federation_hold_the_truth():
    for mechanism in Mechanism:
        [found] = simulate(Scenario(questions=(BANDED,), councils=10, mechanism=mechanism, seed=8)).rounds
        held = [item.held for item in found.cells() if item.truth is not None and item.cell.coverage < 1]
        # 95 in 100 are held; fewer than half would be a fault, however few there are.
        assert len(held) > 10
        assert sum(held) > len(held) / 2


def test_noise_is_drawn_afresh_each_time_and_the_cases_follow_the_seed():
    question = small(tables=(Table(name="reasons", statistic="households", by=(Dimension(column="reason_loss"),)),))
    one = simulate(Scenario(questions=(question,), councils=4, rounds=2, seed=1))
    other = simulate(Scenario(questions=(question,), councils=4, seed=1))
    changed = simulate(Scenario(questions=(question,), councils=4, seed=2))
    first, second = one.rounds
    assert np.array_equal(first.exact, second.exact)
    assert np.array_equal(first.exact, other.rounds[0].exact)
    assert not np.array_equal(first.exact, changed.rounds[0].exact)
    totals = [item.release.tables[0].totals for item in (first, second, other.rounds[0])]
    assert len(set(totals)) == 3


def test_councils_lost_are_named_and_others_are_lost_next_time():
    found = simulate(Scenario(questions=(small(),), councils=8, rounds=3, lost=2, seed=1))
    missing = []
    for item in found.rounds:
        dropped = {record.council for record in item.release.councils if record.outcome == "dropped"}
        assert len(dropped) == 2
        assert item.release.joined == 8
        missing.append(dropped)
    assert len(set.union(*missing)) > 2


def test_losing_too_many_ends_without_an_answer():
    with pytest.raises(RoundAborted, match="3 councils have sent masked inputs; 4 are needed"):
        simulate(Scenario(questions=(small(),), councils=5, lost=2, seed=1))


def test_a_refusal_by_the_nodes_is_passed_on_with_its_reason():
    with pytest.raises(RoundAborted, match=r"refused: 5 of 5.*said: The question needs more random draws"):
        simulate(Scenario(questions=(small(epsilon=Fraction(90)),), councils=5))


def test_the_profile_is_the_one_asked_for():
    careful = simulate(Scenario(questions=(small(),), councils=10, profile=Profile.CAREFUL)).rounds[0].release
    standard = simulate(Scenario(questions=(small(),), councils=10)).rounds[0].release
    assert (careful.threshold, careful.honest) == (7, 4)
    assert (standard.threshold, standard.honest) == (9, 8)


def test_bytes_are_counted_on_both_ways_and_the_events_reach_their_logs(tmp_path):
    seen, notes, logs = [], [], []
    found = simulate(
        Scenario(questions=(small(),), councils=4),
        folder=tmp_path,
        record=lambda way, council, content: seen.append((way, council, len(content))),
        note=lambda event, _fields: notes.append(event),
        node_log=lambda council: lambda event, _fields: logs.append((council, event)),
    )
    for council, traffic in found.traffic.items():
        assert traffic.sent == sum(size for way, who, size in seen if (way, who) == ("received", council)) > 0
        assert traffic.received == sum(size for way, who, size in seen if (way, who) == ("sent", council)) > 0
    assert {council for council, _event in logs} == set(found.councils)
    assert (tmp_path / "coordinator" / "state" / "coordinator.db").exists()


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ({"questions": ()}, "needs a question"),
        ({"rounds": 0}, "at least one round"),
        ({"lost": -1}, "fewer than none"),
        ({"councils": 3}, "has 4 to 296 councils, not 3"),
        ({"councils": 297}, "has 4 to 296 councils, not 297"),
        ({"questions": (small(), small(group="other"))}, "one group"),
        ({"questions": (small(dataset="rough_sleeping"),)}, "of the data set 'case' only"),
        (
            {
                "questions": (
                    small(period=Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 4, 1))),
                )
            },
            "from 2025-01-01 to 2025-03-31 only",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_a_sentence(scenario, said):
    with pytest.raises(QueryError, match=said):
        Scenario(**({"questions": (small(),)} | scenario))


def test_a_system_with_too_few_open_files_is_told_so(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, 256))
    with pytest.raises(FileProblem, match="12 councils in one process need 344 open files; this system allows 256"):
        simulate(Scenario(questions=(small(),)))


def kept_databases():
    return {found for found in gc.get_objects() if isinstance(found, Databases) and found._kept is not None}


def test_beyond_so_many_councils_no_database_stays_open_between_questions(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "ENGINES_KEPT", 2)
    others = kept_databases()  # of tests in this process before this one
    with build_world(Scenario(questions=(small(),), councils=5), tmp_path) as world:
        [item] = run_over_lines(world, lambda _way, _council, _content: None)
        assert item.release.contributed == 5
        assert len(kept_databases() - others) == 2


def run(*arguments):
    return app(["simulate", *arguments], standalone_mode=False)


def test_the_command_prints_one_json_object(capsys, tmp_path):
    question = tmp_path / "question.yaml"
    question.write_text(write_query(small()))
    run("--councils", "6", "--question", str(question), "--epsilon", "1/2", "--rounds", "2", "--lost", "1", "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["councils"], found["profile"], len(found["rounds"])) == (6, "careful", 2)
    assert found["bytes_per_council"]["sent"] > 1000
    first = found["rounds"][0]
    assert (first["epsilon"], first["numbers"], first["asked"], first["contributed"]) == ("1/2", 1, 6, 5)
    assert first["tables"][0]["planned_sd"] > 2
    assert set(first["seconds"]) >= {"plan", "advertise keys", "share keys", "masked input", "unmask"}
    assert first["declared_coverage"] >= 0.95


def test_the_command_takes_the_engine_that_is_named(monkeypatch, capsys):
    asked = []

    def on_flower(scenario, *, tell):
        asked.append(scenario.councils)
        return simulate(scenario, tell=tell)

    monkeypatch.setattr("coordinator.simulate_flower.simulate_on_flower", on_flower)
    for engine, expected in (("process", []), ("flower", [5])):
        run("--councils", "5", "--engine", engine, "--json")
        assert json.loads(capsys.readouterr().out)["councils"] == 5
        assert asked == expected


def test_the_command_prints_tables(capsys):
    run("--councils", "4")
    out = capsys.readouterr().out
    for part in ("masked input", "Planned sd", "Found sd", "intervals hold the exact value", "bytes for a question"):
        assert part in out


def test_without_the_nodes_packages_the_command_says_what_to_install():
    code = "import sys; sys.modules['duckdb'] = None; from coordinator.cli import main; sys.argv[1:] = ['simulate']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "The package 'duckdb' of the council node is not installed." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.parametrize(("councils", "lost"), [(12, 0), (100, 0), (100, 10), (296, 0)])
def test_capacity(councils, lost):
    """What one process takes for that many councils: recorded, and held only to giving the right answer."""
    code = "from coordinator.cli import main; main()"
    options = ["--councils", str(councils), "--lost", str(lost), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, "simulate", *options], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    [item] = found["rounds"]
    assert item["contributed"] == councils - lost
    assert item["tables"][0]["found_sd"] == pytest.approx(item["tables"][0]["planned_sd"], rel=0.15)
    evidence.record(
        f"simulate/{councils} councils, {lost} lost",
        {
            "options": options,
            "seconds": item["seconds"],
            "setup_seconds": found["setup_seconds"],
            "bytes_per_council": found["bytes_per_council"],
            "memory_mib": found["memory_mib"],
        },
        test="tests/simulation/test_simulate_federation.py",
        n=item["numbers"],
        seed=1,
    )
