"""What `pyproject.toml` cannot say: nothing is built for others without the styles of its pages."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.errors import FileError

STYLES = Path(__file__).parent / "federated/pages/static/govuk-frontend.css"


class BuildWithStyles(build_py):
    """Copies the packages, once the style sheet is there; an editable install copies nothing, and comes before it."""

    def run(self) -> None:
        """Copy, or say what to run first."""
        if not self.editable_mode and not STYLES.is_file():
            raise FileError(
                f"{STYLES} is not there, and every page would be without styles: run `make setup-web` first."
            )
        super().run()


setup(cmdclass={"build_py": BuildWithStyles})
