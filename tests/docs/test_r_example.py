"""The example in R asks only for calls and fields that the interface has: R itself gives nothing for a field there is not.

It is run in `tests/integration/test_r_example.py`.
"""

import re

import pytest

from coordinator.api import forms
from coordinator.api.problems import Problem
from coordinator.api.site import description
from federated.outputs import figures
from tests.docs.pages import ROOT

SCRIPT = (ROOT / "docs/examples/ask.R").read_text(encoding="utf-8")
FORMS = {
    "page": forms.Releases,
    "answer": forms.ReleaseLine,
    "open": forms.ReleaseLine,
    "made": forms.ReleaseShown,
    "cost": forms.Cost,
    "file": forms.FileShown,
    "table_file": forms.FileShown,
    "said": Problem,
}
"""What the script's variables hold."""
PATH = re.compile(r'"(/api/[^"]*)"')
COLUMNS = {column.name for column in figures.FIGURES}
FIELD = re.compile(r"([a-z_]+)(?:\[\[\d+\]\])?\$`?([a-z_]+)`?")


def mistakes(script):
    """Paths and fields of the script that there are not."""
    paths = list(description()["paths"])
    for path in PATH.findall(script):
        # One that ends with a stroke is put together with a digest.
        if not any(there == path or (path.endswith("/") and re.sub(r"\{\w+\}$", "", there) == path) for there in paths):
            yield path
    code = re.sub(r"(?m)^\s*#.*$", "", script)
    for variable, field in FIELD.findall(code):
        known = COLUMNS if variable == "table" else FORMS[variable].model_fields if variable in FORMS else ()
        if field not in known:
            yield f"{variable}${field}"


def test_the_example_names_only_what_there_is():
    assert list(mistakes(SCRIPT)) == []
    assert len(PATH.findall(SCRIPT)) >= 2
    assert len(FIELD.findall(SCRIPT)) >= 12


@pytest.mark.parametrize(
    ("there", "wrong", "found"),
    [
        ("/api/v1/releases/", "/api/v1/answers/", "/api/v1/answers/"),
        ("page$releases", "page$answers", "page$answers"),
        ("page$`next`", "page$`following`", "page$following"),
        ("made$cost$epsilon", "made$price$epsilon", "made$price"),
        ("table$low", "table$lower", "table$lower"),
        ("said$remedy", "said$solution", "said$solution"),
    ],
)
def test_a_mistake_in_it_is_found(there, wrong, found):
    assert there in SCRIPT
    assert found in set(mistakes(SCRIPT.replace(there, wrong)))
