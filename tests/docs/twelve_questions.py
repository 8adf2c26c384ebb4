"""The YAML and SQL files beside docs/twelve-questions/questions.py."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from federated.query import Query, write_query
from federated.query.sql_text import write_sql

FOLDER = Path(__file__).resolve().parents[2] / "docs/twelve-questions"


def questions() -> dict[str, Query]:
    """As the page's own Python file builds them."""
    spec = spec_from_file_location("twelve_questions", FOLDER / "questions.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.questions()


def pages() -> dict[str, str]:
    """Every file by its path from the top of the project."""
    made = {}
    for name, question in questions().items():
        made[f"docs/twelve-questions/{name}.yaml"] = write_query(question)
        made[f"docs/twelve-questions/{name}.sql"] = write_sql(question)
    return made
