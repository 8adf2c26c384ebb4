"""The method note: everything needed to quote a figure, nothing invented, nothing fetched."""

import re
from html import unescape

import pytest

from federated.outputs import method_note as module
from federated.outputs.facts import breakdowns, facts_of
from federated.outputs.method_note import method_note
from federated.outputs.quotes import quote, quoted_interval
from federated.pages import assets
from federated.plain_english import acronyms, longest_sentence
from federated.presentation import NOT_AVAILABLE
from federated.release import CellRecord
from federated.schema import load_schema
from tests.docs.test_plain_texts import faults
from tests.unit.federated.outputs.answers import LABEL, manifest, release

ONE_DAY = release().plan["question"]["period"] | {"from": "2026-05-05", "to": "2026-05-05"}


def text_of(page):
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.decode(), flags=re.DOTALL)).split())


@pytest.fixture(scope="module")
def page():
    return method_note(release(), manifest())


def test_it_says_all_that_is_needed_to_quote_and_to_trust(page):
    text = text_of(page)
    contacts = manifest().contacts
    for said in (
        release().title,
        "Differentially private estimate – not official statistics.",
        manifest().question,
        manifest().decision,
        "26 of 27 councils contributed; missing: City of London (refused).",
        "1 January 2025 to 31 March 2025",
        "Data cut-off: 2 April 2025",
        "discrete Laplace",
        "ε = 1 (pure), which counts as ρ = 0.5",
        "by at most a factor of 2.7183",
        "at most 73.2 in 100, and at least 26.8 in 100",
        "One household counts in at most 1 of them.",
        "Table 'children' reads dependent_children_n, held between 0 and 6.",
        "[c]",
        "[u]",
        "[x]",
        "Software: version 0.",
        release().digest.hex(),
        release().plan_digest,
        release().query_digest,
        release().manifest_digest,
        release().agreement_digest,
        contacts.questions,
        contacts.complaints,
        "ranking councils against each other",
        "Call a comparison an association",
        release().table("crossing").caveat,
    ):
        assert " ".join(said.split()) in text, said


def test_tables_are_headed_by_the_words_of_the_data_dictionary_and_by_no_code(page):
    heads = [unescape(head) for head in re.findall(r'scope="col"[^>]*>([^<]*)<', page.decode())]
    columns = load_schema().dataset("case").columns
    for table in release().tables:
        for axis in table.axes:
            assert axis.name not in heads
            if axis.name in columns:
                assert columns[axis.name].label in heads
    assert "Region" in heads
    # Above the table and in the list of the spreadsheet too.
    assert "Number of households, by sex of the main applicant, age of the main applicant" in text_of(page)
    unknown = release().model_copy(update={"plan": release().plan | {"question": {"dataset": "another"}}})
    assert breakdowns(unknown, release().table("crossing")) == ("main_sex", "main_age_band")


def test_every_table_has_its_figures_and_a_sentence_to_quote(page):
    text = text_of(page)
    assert "an estimated 1,234,570 (95% interval 1,234,563 to 1,234,572)" in text
    for table in release().tables:
        quotes = [quote(release(), table, cell) for cell in table.cells]
        assert any(sentence in text for sentence in quotes if sentence)
        assert page.count(f'id="figures-{table.name}"'.encode()) == (1 if len(table.cells) <= 80 else 0)


def test_no_interval_stands_beside_a_figure_that_is_not_shown(page):
    text = text_of(page)
    label = release().table("reasons").axes[0].labels
    assert f"{label[1]} 50 [u] 95% interval 30 to 70" in text
    assert f"{label[2]} [c] [c]" in text
    assert f"{label[4]} [x] [x]" in text


def test_a_period_of_one_day_is_told_as_that_day():
    plan = release().plan | {"question": release().plan["question"] | {"period": ONE_DAY}}
    found = release().model_copy(update={"plan": plan, "period": "2026-05-05/2026-05-05"})
    text = text_of(method_note(found))
    assert f"with '{ONE_DAY['column']}' on 5 May 2026." in text
    assert ", 5 May 2026, from 26 of 27 councils." in text
    assert "5 May 2026 to" not in text


def test_what_the_release_does_not_hold_is_left_out():
    text = text_of(method_note(release()))
    for absent in (manifest().decision, manifest().contacts.questions, "Whom to ask", "Who gets the answer", "None"):
        assert absent not in text
    assert "deciding how much money any council gets" not in text
    undated = release().model_copy(update={"data_cut_off": None})
    assert "cut-off" not in text_of(method_note(undated)).lower()


def test_text_is_escaped_and_nothing_is_asked_of_another_computer(page):
    assert "<b>" in LABEL
    assert b"<b>" not in page
    assert LABEL in text_of(page)
    assert b"<script" not in page.lower()
    fetched = re.findall(rb"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", re.sub(rb"xlink:href", b"", page))
    assert [address for address in fetched if not address.startswith(b"#")] == []
    hostile = release().model_copy(update={"title": "</style><script>alert(1)</script>"})
    assert b"<script" not in method_note(hostile).lower()


def test_it_is_readable_without_the_shared_styles(monkeypatch, tmp_path):
    assert b".govuk-table" in method_note(release())
    monkeypatch.setattr(assets, "STYLESHEET", tmp_path / "none.css")
    plain = method_note(release())
    assert b".govuk-table" not in plain.replace(b'class="govuk-table', b"")
    assert b"size: A4" in plain
    assert text_of(plain) == text_of(method_note(release()))


def test_its_sentences_are_plain():
    said = [line for fact in facts_of(release(), None) for line in fact.lines]
    assert [(line, fault) for line in said for fault in faults(line)] == []
    assert longest_sentence("word " * 60) == 60
    assert acronyms("An XQZ.")


def test_a_question_with_gaussian_noise_gives_its_epsilon_at_delta():
    cost = release().cost.model_copy(update={"epsilon": None, "rho": "1/2"})
    found = release().model_copy(update={"cost": cost, "mechanism": "discrete_gaussian"})
    said = " ".join(line for fact in facts_of(found, None) for line in fact.lines)
    assert "discrete Gaussian" in said
    assert "ρ = 0.5, which amounts to ε = " in said
    assert "at δ = 1/1000000" in said


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("reasons", {"low": 97.2, "high": 103.1}, "95% interval 97 to 104"),
        ("reasons", {"low": -4.0, "high": 3.0}, "95% interval 0 to 3"),
        ("reasons", {"low": 97.0, "high": 103.0, "coverage": 0.9}, "90% interval 97 to 103"),
        ("reasons", {"low": 97.0, "high": 103.0, "coverage": 0.95}, "95% interval 97 to 103"),
        ("reasons", {"low": 97.0, "high": float("inf")}, "95% interval 97 to open"),
        ("children", {"estimate": 1.0, "low": 0.501, "high": 1.499}, "95% interval 0.50 to 1.50"),
        ("children", {"estimate": 0.0123, "low": 0.01, "high": 0.0199}, "95% interval 0.010 to 0.020"),
    ],
)
def test_ends_of_an_interval_are_rounded_outwards(name, changes, words):
    given = {"codes": ("x",), "estimate": 100.0, "standard_error": 1.0, "coverage": 0.96} | changes
    assert quoted_interval(release().table(name), CellRecord.model_construct(**given)) == words


def test_a_figure_that_is_not_shown_is_not_quoted():
    reasons = release().table("reasons")
    wide, small, _, none = reasons.cells[1:5]
    assert "above 20%: use with care" in quote(release(), reasons, wide)
    assert quote(release(), reasons, small) is None
    assert quote(release(), reasons, none) is None
    assert NOT_AVAILABLE not in (quote(release(), reasons, reasons.cells[0]) or "")
    assert module.STYLES.exists()
