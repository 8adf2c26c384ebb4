"""No text of a case leaves a council: whole rounds in one process, with everything that could carry it swept up."""

import json
from dataclasses import replace

import pytest

from coordinator.operations import Meter
from council_node.station import Station
from federated.keys import read_private_key
from federated.signing import sign_statement
from protocols.wire.link_message import Kind, LinkMessage, fault
from tests.canary.federation import CANARY, LINK, METRICS, PLACES, many_cells, poison, scenario, sweep_rounds
from tests.canary.harness import Sweep


def test_no_canary_passes_the_link_or_is_kept_or_logged(tmp_path, capfd):
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(lost=1))
    out, err = capfd.readouterr()
    sweep.add("output of the process", "stdout and stderr", f"{out}\n{err}")
    assert {item for item, _ in sweep.channels["answers"]} == {question.title for question in scenario().questions}
    sweep.assert_clean(CANARY, expected=LINK | PLACES | METRICS | {"answers", "output of the process"})


def test_the_canary_is_in_the_data_that_the_nodes_read(tmp_path):
    """Otherwise not finding it would say nothing: without leaving the extracts out, it is found."""
    sweep = Sweep()
    world = sweep_rounds(tmp_path, sweep, scenario(many_cells()))
    sweep.assert_clean(CANARY, expected=LINK | PLACES)
    sweep.files("extracts", tmp_path / "councils")
    assert {finding.item for finding in sweep.findings(CANARY)} == {
        f"{council}/extract.csv" for council in world.councils
    }


# Planted, one channel at a time: a leak that the code could have, and the channels in which it must be seen.


def refuses_with_a_case_value(world, nodes):
    """A node that signs a case's text as the reason of its refusal: it is kept, released, and told to all others."""
    council = min(nodes)
    key = read_private_key(world.folder / "councils" / council / "node" / "identity.pem")

    def answer(request):
        message = LinkMessage.decode(request)
        if message.kind is not Kind.PROPOSAL:
            return nodes[council](request)
        body = {
            "version": 1,
            "council": council,
            "plan_digest": message.reference.hex(),
            "decision": "refused",
            "rule": "coverage",
            "reason": f"The row of {CANARY} cannot be read.",
            "extract_date": "",
            "decided_at": "2026-01-01T00:00:00Z",
        }
        signed = sign_statement("decision", body, key)
        return LinkMessage(kind=Kind.DECISION, reference=message.reference, payload=signed).encode()

    return {**nodes, council: answer}


def faults_with_a_case_value(_world, nodes):
    council = min(nodes)

    def answer(request):
        message = LinkMessage.decode(request)
        if message.kind is not Kind.SHARES:
            return nodes[council](request)
        return fault(message.reference, "internal", f"could not convert {CANARY.lower()!r}").encode()

    return {**nodes, council: answer}


def test_a_case_value_in_a_signed_refusal_is_seen_wherever_it_goes(tmp_path):
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(many_cells()), meddle=refuses_with_a_case_value)
    assert sweep.found_in(CANARY) == {
        "link, received",  # its refusal
        "coordinator's folder",
        "coordinator's folder, tables",
        "answers",  # the refusal's reason stands in the release
        "link, sent",  # which every contributing council is given
        "nodes' folders",
        "nodes' folders, tables",
    }


def test_a_case_value_in_a_fault_is_seen_on_the_link(tmp_path):
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(many_cells()), meddle=faults_with_a_case_value)
    assert "link, received" in sweep.found_in(CANARY)


def test_a_case_value_in_a_nodes_log_is_seen(tmp_path, monkeypatch):
    honest = Station.compute

    def logs_a_row(self, plan, iteration=None):
        self.log("counted", {"row": f"household {CANARY.encode().hex()}"})
        return honest(self, plan, iteration)

    monkeypatch.setattr(Station, "compute", logs_a_row)
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(many_cells()))
    assert sweep.found_in(CANARY) == {"node's log"}


def test_a_case_value_in_the_coordinators_log_or_folder_is_seen(tmp_path, monkeypatch):
    def careless(report, *_positions, **_names):
        office, folder = seen["office"], tmp_path / "coordinator"
        office.note("debug", {"received": CANARY})
        (folder / "crash.json").write_text(json.dumps({"last": CANARY.upper()}))
        return honest(report, *_positions, **_names)

    from coordinator import proposal_run, simulation_hub

    seen, honest = {}, proposal_run.release_of
    make_office = simulation_hub.Office

    def office(**names):
        seen["office"] = make_office(**names)
        return seen["office"]

    monkeypatch.setattr(simulation_hub, "Office", office)
    monkeypatch.setattr(proposal_run, "release_of", careless)
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(many_cells()))
    assert sweep.found_in(CANARY) == {"coordinator's log", "coordinator's folder"}


def test_a_case_value_in_a_metric_is_seen(tmp_path, monkeypatch):
    """A coordinator that counts rounds by what it last heard of a council, as a label of its own."""
    honest = Meter.hear

    def careless(self, event, fields):
        honest(
            self, event, {**fields, "outcome": f"{fields['outcome']} with {CANARY}"} if "outcome" in fields else fields
        )

    monkeypatch.setattr(Meter, "hear", careless)
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(many_cells()))
    assert {finding.item for finding in sweep.findings(CANARY)} == {"metrics"}
    assert sweep.found_in(CANARY) == METRICS


def test_a_case_value_in_an_approved_column_is_counted_as_not_known_and_never_named(tmp_path):
    """Every row of every council poisoned: all of them are outside the period or not known, and still nothing shows."""
    sweep = Sweep()
    made = replace(scenario(many_cells()), marker=None)
    sweep_rounds(tmp_path, sweep, made, damage=lambda _council, path: poison(path, every=1))
    sweep.assert_clean(CANARY, expected=LINK | PLACES | METRICS | {"answers"})


@pytest.mark.long
@pytest.mark.parametrize("lost", [0, 1])
def test_no_canary_in_rounds_of_twelve_councils(tmp_path, lost):
    sweep = Sweep()
    sweep_rounds(tmp_path, sweep, scenario(*scenario().questions, many_cells(), councils=12, lost=lost))
    sweep.assert_clean(CANARY, expected=LINK | PLACES | METRICS | {"answers"})
