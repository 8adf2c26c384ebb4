"""The style sheet of the pages: made from GOV.UK Frontend by `make setup-web`, never kept in the repository.

Run as `python -m federated.pages node_modules/govuk-frontend`. What councils may not use outside GOV.UK is left
out: the GDS Transport font, for which the system's own fonts stand in, and every image, the crest among them.
"""

import re
from pathlib import Path
from typing import Final

from federated.errors import FileProblem
from federated.shell import errors

__all__ = ["STYLESHEET", "derive", "main", "stylesheet"]

HERE: Final = Path(__file__).parent
STYLESHEET: Final = HERE / "static" / "govuk-frontend.css"
OWN_STYLES: Final = HERE / "styles" / "pages.css"
SOURCE: Final = Path("dist", "govuk", "govuk-frontend.min.css")
SYSTEM_FONTS: Final = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",arial,sans-serif'
NOTICE: Final = "/* From GOV.UK Frontend, Copyright (C) Crown Copyright (Government Digital Service), MIT License. */\n"
"""The licence asks that the notice goes with every copy."""
_FONT_FACE: Final = re.compile(r"@font-face\{[^}]*\}")
_FONT: Final = re.compile(r"GDS Transport,arial,sans-serif")
_IMAGE: Final = re.compile(r"(?<=[;{])(?:-webkit-)?(?:background|mask)-image:url\([^)]*\);?")
_MAP: Final = re.compile(r"/\*# sourceMappingURL=[^*]*\*/\s*")
FORBIDDEN: Final = ("gds transport", "@font-face", "@import", "url(")
"""What would show a font or logo that is not ours to use, or ask another computer for something."""


def derive(source: str) -> str:
    """The style sheet without fonts, images and references to other files.

    Raises:
        FileProblem: Something forbidden is still in it: this version of GOV.UK Frontend is written another way.
    """
    found = source
    for pattern, instead in {_FONT_FACE: "", _FONT: SYSTEM_FONTS, _IMAGE: "", _MAP: ""}.items():
        found = pattern.sub(instead, found)
    left = [text for text in FORBIDDEN if text in found.lower()]
    if left:
        raise FileProblem(
            f"The style sheet of GOV.UK Frontend still holds '{left[0]}' after its fonts and images were taken out.",
            remedy="Use the version that package-lock.json names, or mend federated/pages/assets.py.",
        )
    return NOTICE + found


def stylesheet() -> bytes:
    """The style sheet that a page is served with: the components', then our own few rules.

    Raises:
        FileProblem: It was not made yet; says what to run.
    """
    try:
        components = STYLESHEET.read_bytes()
    except OSError as error:
        raise FileProblem(
            "The styles of the pages are not there.", remedy="Run `make setup-web` once, which needs npm."
        ) from error
    return components + b"\n" + OWN_STYLES.read_bytes()


def main(arguments: list[str]) -> int:
    """Make the style sheet from the folder of the npm package. Run by `make setup-web`.

    Returns:
        Exit status.
    """
    try:
        (package,) = arguments
        source = (Path(package) / SOURCE).read_text(encoding="utf-8")
        made = derive(source)
    except ValueError:
        errors.print("Usage: python -m federated.pages node_modules/govuk-frontend", markup=False)
        return 2
    except OSError as error:
        errors.print(f"{error.filename} cannot be read ({error.strerror}). Run `npm ci` first.", markup=False)
        return 3
    except FileProblem as problem:
        errors.print(problem.diagnostics(), markup=False)
        return int(problem.exit_status)
    STYLESHEET.parent.mkdir(exist_ok=True)
    STYLESHEET.write_text(made, encoding="utf-8")
    return 0
