"""The style sheet is made without what is not ours to use, and the templates hold no script and lead nowhere else."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import coordinator.console
import coordinator.sign_in
import council_node.page
import federated.outputs
import federated.pages
from federated.errors import FileProblem
from federated.pages import assets, renderer, stylesheet
from tests.architecture.source_tree import ROOT

PACKAGES = (federated.pages, council_node.page, coordinator.console, coordinator.sign_in)
FOLDERS = [Path(package.__file__).parent / "templates" for package in PACKAGES]
TEMPLATES = sorted(path for folder in FOLDERS for path in folder.glob("*.html"))
ELSEWHERE = {Path(federated.outputs.__file__).parent / "templates" / "method-note.html"}
"""The method note is a file that people take away, with its styles in it."""
SOURCE = (
    '@font-face{font-family:GDS Transport;src:url(/a.woff2) format("woff2")}'
    ".a{font-family:GDS Transport,arial,sans-serif;color:red}"
    '.b:before{content:"";background-image:url(/crest.svg);width:1px}'
    ".c:before{-webkit-mask-image:url(/crest.svg);mask-image:url(/crest.svg)}"
    "/*# sourceMappingURL=x.css.map */\n"
)


def test_fonts_images_and_maps_are_taken_out_and_the_rest_stays():
    made = assets.derive(SOURCE)
    assert ".a{font-family:system-ui" in made
    assert '.b:before{content:"";width:1px}' in made
    assert made.startswith("/* From GOV.UK Frontend, Copyright")
    assert not any(text in made.lower() for text in assets.FORBIDDEN)


@pytest.mark.parametrize(
    "left", ["@import 'x.css';", ".d{background:url(//evil.example/x)}", ".e{font:1em 'GDS Transport'}"]
)
def test_what_cannot_be_taken_out_stops_the_build(left):
    with pytest.raises(FileProblem, match="still holds"):
        assets.derive(SOURCE + left)


def test_the_sheet_in_use_is_what_the_package_gives():
    source = (ROOT / "node_modules" / "govuk-frontend" / assets.SOURCE).read_text(encoding="utf-8")
    assert assets.STYLESHEET.read_text(encoding="utf-8") == assets.derive(source)
    served = stylesheet().decode()
    assert ".govuk-button{" in served
    assert ".page-scroll" in served
    assert not any(text in served.lower() for text in assets.FORBIDDEN)


def test_without_the_sheet_one_sentence_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "STYLESHEET", tmp_path / "static" / "none.css")
    with pytest.raises(FileProblem) as missing:
        stylesheet()
    assert missing.value.diagnostics() == (
        "The styles of the pages are not there. Run `make setup-web` once, which needs npm."
    )


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["nowhere"], 3)])
def test_a_build_that_cannot_run_says_so(arguments, status, capsys):
    assert assets.main(arguments) == status
    assert "Traceback" not in capsys.readouterr().err


def faults(text: str) -> list[str]:
    """What no template of ours may hold."""
    patterns = {
        "script": r"<script|javascript:|\son[a-z]+=",
        "inline style": r"<style|\sstyle=",
        "another site": r"https?://|//[a-z]",
        "unescaped": r"\|\s*safe|autoescape",
        "the GOV.UK header": r"govuk-header|govukHeader|govukFooter|govukLogo|crown",
    }
    bare = re.sub(r"{#.*?#}", "", text, flags=re.DOTALL)
    return [name for name, pattern in patterns.items() if re.search(pattern, bare, re.IGNORECASE)]


def test_every_template_of_ours_is_looked_at():
    found = {path for top in ("federated", "council_node", "coordinator") for path in (ROOT / top).rglob("*.html")}
    assert found == {*TEMPLATES, *ELSEWHERE}
    assert all(list(folder.glob("*.html")) for folder in FOLDERS)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
def test_a_template_has_no_script_and_leads_nowhere_else(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("<script>1</script>", "script"),
        ('<a onclick="x">', "script"),
        ('<p style="x">', "inline style"),
        ('<a href="https://evil.example">', "another site"),
        ("{{ x | safe }}", "unescaped"),
        ("{{ govukHeader() }}", "the GOV.UK header"),
        ('<svg class="crown"></svg>', "the GOV.UK header"),
    ],
)
def test_a_planted_fault_is_found(planted, fault):
    assert faults(planted) == [fault]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_a_crown_in_a_page_of_any_kind_is_found(folder):
    page = min(folder.glob("*.html")).read_text(encoding="utf-8")
    assert faults(page + '{{ govukLogo({"crown": true}) }}') == ["the GOV.UK header"]


def test_values_are_escaped_and_a_missing_name_is_an_error():
    environment = renderer({"node": "council_node.page"})
    template = environment.get_template("node/closed.html")
    assert "&lt;script&gt;" in template.render(reason="<script>")
    with pytest.raises(UndefinedError):
        template.render()


def test_components_escape_what_they_are_given():
    made = renderer({}).from_string(
        '{% from "govuk_frontend_jinja/components/input/macro.html" import govukInput %}'
        '{{ govukInput({"name": "n", "id": "n", "label": {"text": text}, "value": text}) }}'
    )
    assert "<b>" not in made.render(text='"><b>')
