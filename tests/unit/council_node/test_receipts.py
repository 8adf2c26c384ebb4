import json
import random
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from types import SimpleNamespace

import pytest

from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.receipt_form import Receipt, SentMessage, open_receipt, receipt_text
from council_node.receipts import find_receipt, keep_receipt, keep_receipt_without_answer, receipts
from council_node.sources.extract import LoadReport
from federated.errors import FileProblem, PolicyRefusal
from federated.keys import make_key, public_line
from federated.manifest import MANIFEST_TYPE
from federated.plan import PLAN_TYPE
from federated.privacy import Budget, Charge
from federated.release import AttestationRecord, CostRecord, CouncilRecord, Release, TableRecord
from federated.signing import sign_payload
from protocols.encoding import canonical_json, sha256
from tests.unit.council_node import policy_cases
from tests.unit.council_node.policy_cases import EXAMPLES, GROUP, ME, NOW, agreement

SID = sha256(b"round")
ANALYST = make_key(random.Random(21).randbytes)
ASKED_UNDER = agreement(
    analysts=[{"name": "Ann Analyst", "organisation": "The department", "public_key": public_line(ANALYST.public)}]
)
PLAN = policy_cases.plan()
SENT = (SentMessage.of("advert", b"a" * 300), SentMessage.of("masked input", b"m" * 9000))
REPORT = LoadReport(rows_read=4321, rows_opted_out=17)


@dataclass
class Desk:
    store: NodeStore
    ledger: Ledger
    settings: object
    load_reports: dict = field(default_factory=dict)
    gone: bool = False

    @property
    def papers(self):
        return self

    def agreement(self, name, now):
        if self.gone:
            raise PolicyRefusal("agreement_expired", "The agreement expired.")
        return ASKED_UNDER


@pytest.fixture
def desk(tmp_path):
    settings = SimpleNamespace(
        council=SimpleNamespace(id=ME, name="Hartlepool"),
        roles=SimpleNamespace(residents_contact="dpo@council.example"),
    )
    with NodeStore.open(tmp_path / "node.db") as store, Ledger.create(tmp_path / "ledger.db", ME, NOW) as ledger:
        yield Desk(store=store, ledger=ledger, settings=settings)


def proposed(desk):
    body = {
        "version": 1,
        "plan": sign_payload(PLAN.encode(), PLAN_TYPE, [ANALYST]).decode(),
        "manifest": sign_payload((EXAMPLES / "manifest.yaml").read_bytes(), MANIFEST_TYPE, [ANALYST]).decode(),
    }
    desk.store.put(DocumentKind.PROPOSAL, PLAN.digest.hex(), json.dumps(body).encode(), NOW)


def charged(desk, *, charge=None, spent=True):
    desk.ledger.reserve(
        sid=SID,
        plan_digest=PLAN.digest,
        title=PLAN.question.title,
        charge=charge or PLAN.charge,
        unit="household",
        agreement=ASKED_UNDER,
        budget=Budget(epsilon=Fraction(4), delta=Fraction(1, 10**6)),
        cap=None,
        class_2=True,
        attempts=2,
        now=NOW,
    )
    if spent:
        desk.ledger.spend(SID, NOW)
    else:
        desk.ledger.release(SID, "too few councils", NOW)


def release(contributed=GROUP.councils):
    councils = tuple(
        CouncilRecord(
            council=council,
            name=f"Council {council}",
            outcome="contributed" if council in contributed else "dropped",
            extract_date="2026-02-20" if council == ME else None,
        )
        for council in GROUP.councils
    )
    table = TableRecord(
        name="by_reason",
        statistic="households",
        title="Households",
        level="all",
        measures=(),
        max_cells=1,
        axes=(),
        cells=(),
        totals=(12,),
        scale=1,
        planned_sd=2.345,
    )
    return Release(
        title=PLAN.question.title,
        plan=json.loads(PLAN.encode()),
        query_digest="00",
        plan_digest=PLAN.digest.hex(),
        sid=SID.hex(),
        manifest_digest="00",
        agreement_id=PLAN.agreement_id,
        agreement_digest="00",
        group="tees-valley",
        group_label="Tees Valley",
        level_label="All councils asked",
        mechanism="discrete_laplace",
        cost=CostRecord(epsilon="1/2", rho="1/8", delta="1/1000000"),
        councils=councils,
        joined=5,
        contributed=len(contributed),
        threshold=4,
        honest=3,
        data_cut_off=None,
        period="2025-01-01/2025-12-31",
        created_at="2026-03-01T09:00:00Z",
        software="0",
        tables=(table,),
        attestations=AttestationRecord(view="00", masked_inputs={}, statements=()),
    )


def round_so_far(survivors=GROUP.councils, sent=SENT):
    return SimpleNamespace(sent=sent, survivors=survivors, took=timedelta(milliseconds=1234), part="")


def answered(desk, **changes):
    found = release()
    return keep_receipt(desk, found, found.encode(), changes.pop("active", round_so_far()), NOW)


@pytest.fixture
def receipt(desk):
    proposed(desk)
    charged(desk)
    desk.load_reports[PLAN.digest] = REPORT
    return answered(desk)


def test_a_receipt_says_what_was_asked_by_whom_and_why(receipt):
    assert receipt.asked_by == "Ann Analyst, The department"
    assert receipt.purpose.digest == sha256((EXAMPLES / "manifest.yaml").read_bytes()).hex()
    assert receipt.purpose.decision == policy_cases.MANIFEST.decision
    assert receipt.purpose.recipients[0] == "homelessness analysts, The department"
    assert len(receipt.purpose.never_used_for) == 6


def test_a_receipt_says_what_was_read(receipt):
    assert receipt.columns == ("assessment_date", "household_type", "reason_loss_group")
    assert (receipt.dataset, receipt.period) == ("case", "2025-01-01 to 2025-12-31")
    assert receipt.extract_date == "2026-02-20"
    assert {item.what: item.count for item in receipt.local_counts}["rows left out because somebody objected"] == 17


def test_a_receipt_lists_every_message_that_left(receipt):
    assert [(item.what, item.size) for item in receipt.sent] == [("advert", 300), ("masked input", 9000)]
    assert receipt.sent[1].digest == sha256(b"m" * 9000).hex()
    text = receipt_text(receipt)
    assert "2 message(s), 9,300 bytes in all, and nothing else" in text
    assert sha256(b"m" * 9000).hex()[:16] in text


def test_the_arithmetic_can_be_done_again_by_hand(desk, receipt):
    cost = receipt.cost
    assert cost.charged
    assert Fraction(cost.epsilon) == PLAN.charge.epsilon
    assert Fraction(cost.rho) == PLAN.charge.rho
    assert Fraction(cost.budget_epsilon) == 4
    spent = Fraction(cost.spent_epsilon)
    assert PLAN.charge.epsilon <= spent < PLAN.charge.epsilon + Fraction(1, 10**6)
    left = Charge(epsilon=Fraction(cost.left_epsilon), rho=Fraction(cost.left_epsilon) ** 2 / 2, draws=1)
    budget = Budget(epsilon=Fraction(4), delta=Fraction(1, 10**6))
    desk.ledger.check(charge=left, agreement=ASKED_UNDER, budget=budget, cap=None, now=NOW)
    # At even odds and epsilon 1/2 a guess is right 62.2 times in 100.
    assert "at most 63 times in 100" in " ".join(receipt_text(receipt).split())


def test_the_ledgers_entries_are_named(desk, receipt):
    assert [(item.counter, item.kind) for item in receipt.entries] == [(2, "reserved"), (3, "spent")]
    assert [item.hash for item in receipt.entries] == [entry.hash.hex() for entry in desk.ledger.entries()[1:]]


def test_the_answer_is_kept_as_it_came(desk, receipt):
    assert desk.store.latest(DocumentKind.RELEASE, SID.hex()).body == release().encode()
    assert receipt.release_digest == sha256(release().encode()).hex()


def test_a_receipt_is_one_page_of_plain_words(receipt):
    text = receipt_text(receipt)
    lines = text.splitlines()
    assert len(lines) <= 66
    assert max(map(len, lines)) <= 98
    assert "RECEIPT: what was done with the data of Hartlepool" in lines[0]
    assert [line[0] for line in lines if line[:1].isdigit() and line[1] == "."] == list("123456")
    for contact in ("dpo@council.example", policy_cases.MANIFEST.contacts.withdrawal):
        assert contact in text
    assert "stays here" in text
    assert "None" not in text


def test_a_long_list_of_councils_still_fits_the_page(receipt):
    many = tuple(f"Council number {number}" for number in range(310))
    text = receipt_text(receipt.model_copy(update={"contributors": many, "councils_asked": 310}))
    assert "and 270 more" in text
    assert len(text.splitlines()) <= 75


def test_a_gaussian_charge_has_no_pure_epsilon(desk):
    proposed(desk)
    charged(desk, charge=Charge(epsilon=None, rho=Fraction(1, 200), draws=5))
    found = answered(desk)
    assert found.cost.epsilon is None
    assert "For each household: rho 0.005." in receipt_text(found)


def test_an_answer_about_other_councils_than_were_signed_for_is_flagged(desk):
    proposed(desk)
    charged(desk)
    assert "WARNING" not in receipt_text(answered(desk))
    found = answered(desk, active=round_so_far(survivors=GROUP.councils[:-1]))
    assert found.same_councils is False
    assert "WARNING: the answer names other councils" in receipt_text(found)


def test_a_round_without_an_answer_has_a_receipt_too(desk):
    proposed(desk)
    charged(desk)
    desk.load_reports[PLAN.digest] = REPORT
    found = keep_receipt_without_answer(desk, SID, round_so_far(survivors=()), "too few councils were left", NOW)
    text = " ".join(receipt_text(found).split())
    assert "There was no answer: too few councils were left." in text
    assert "It stands, whatever became of the answer." in text
    assert "5 councils were asked. There is no answer of this round." in text
    assert found.sent == SENT


def test_a_round_that_ended_before_the_charge_cost_nothing_and_read_nothing(desk):
    proposed(desk)
    charged(desk, spent=False)
    found = keep_receipt_without_answer(desk, SID, round_so_far(sent=SENT[:1], survivors=()), "x", NOW)
    text = " ".join(receipt_text(found).split())
    assert not found.cost.charged
    assert "Nothing. It would have been 'case'" in text
    assert "its reservation was given back" in text
    assert found.entries[-1].kind == "released"


def test_a_round_the_ledger_does_not_know_has_no_receipt(desk):
    assert keep_receipt_without_answer(desk, SID, None, "x", NOW) is None
    with pytest.raises(PolicyRefusal, check=lambda error: error.rule == "release"):
        answered(desk)
    assert receipts(desk.store) == ()


def test_what_a_restarted_node_forgot_is_taken_from_the_earlier_receipt(desk):
    proposed(desk)
    charged(desk)
    desk.load_reports[PLAN.digest] = REPORT
    keep_receipt_without_answer(desk, SID, round_so_far(), "the node was stopped", NOW)
    desk.load_reports.clear()
    found = answered(desk, active=None)
    assert found.sent == SENT
    assert found.local_counts[1].count == 17
    assert found.answered
    assert found.same_councils is None
    assert len(receipts(desk.store)) == 1


def test_a_receipt_is_written_when_the_papers_are_gone(desk):
    charged(desk)
    desk.gone = True
    found = answered(desk, active=None)
    assert found.purpose is None
    assert found.columns == ("assessment_date", "household_type", "reason_loss_group")
    text = " ".join(receipt_text(found).split())
    assert "no longer kept here" in text
    assert "Nothing is recorded" in text


def test_a_plan_that_is_not_the_charged_one_is_not_believed(desk):
    charged(desk)
    other = release()
    other.plan["question"]["title"] = "Something else"
    assert sha256(canonical_json(other.plan)) != PLAN.digest
    found = keep_receipt(desk, other, other.encode(), None, NOW)
    assert found.columns == ()


def test_receipts_read_back_and_others_are_refused(desk, receipt):
    assert open_receipt(receipt.encode()) == receipt
    assert receipts(desk.store) == (receipt,)
    good = json.loads(receipt.encode())
    for bad in (b"", b"{}", json.dumps(good | {"version": 2}).encode(), json.dumps(good | {"more": 1}).encode()):
        with pytest.raises(FileProblem, match="not a receipt of version 1"):
            open_receipt(bad)


def test_a_receipt_is_found_by_the_first_digits_of_its_round(desk, receipt):
    assert find_receipt(desk.store, SID.hex()[:6].upper()) == receipt
    assert find_receipt(desk.store, None) == receipt
    with pytest.raises(FileProblem, match="0 receipts"):
        find_receipt(desk.store, "zz")


def test_noise_is_told_per_table(receipt):
    assert [(item.table, item.sd) for item in receipt.noise] == [("by_reason", 2.345)]
    assert "by_reason: 2.35" in receipt_text(receipt)


def test_a_receipt_never_holds_a_figure_of_the_statistic():
    # Local counts are about the extract; there is no field a statistic's own figures could go into.
    assert not {"vector", "statistic", "cells", "totals"} & set(Receipt.model_fields)


def test_the_nodes_own_time_is_kept_also_when_the_round_is_forgotten(desk, receipt):
    assert receipt.node_milliseconds == 1234
    assert "This node worked on it for 1.3 seconds" in receipt_text(receipt)
    assert answered(desk, active=None).node_milliseconds == 1234


def test_a_receipt_from_before_times_were_kept_is_read(receipt):
    body = receipt.model_dump_json(exclude={"node_milliseconds"})
    older = open_receipt(body.encode())
    assert older.node_milliseconds is None
    assert "worked on it" not in receipt_text(older)
