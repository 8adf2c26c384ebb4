"""A question in a file: YAML, or SQL where the file's name ends in ``.sql``."""

from pathlib import Path

from federated.errors import FileProblem
from federated.query.model import Query
from federated.query.yaml_form import parse_query

__all__ = ["load_query"]


def load_query(path: Path) -> Query:
    """Read a question from a file.

    Raises:
        FileProblem: The file cannot be read, or is not a question; names the line and the field or word.
        QueryError: The question contradicts itself.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: the question cannot be read ({error.strerror}).") from error
    if path.suffix.lower() != ".sql":
        return parse_query(content, source=str(path))
    try:
        # Imported here: a council's node takes no SQL, and its image does not hold what reads it.
        from federated.query.sql_form import parse_sql  # noqa: PLC0415

        return parse_sql(content.decode("utf-8"), source=str(path))
    except ModuleNotFoundError as error:
        raise FileProblem(
            f"{path}: this installation reads questions in YAML only.",
            remedy="Write the question as YAML, or install the part for analysts (analyst).",
        ) from error
    except UnicodeDecodeError as error:
        raise FileProblem(f"{path}: the file is not text in UTF-8.", remedy="Save it again as UTF-8.") from error
