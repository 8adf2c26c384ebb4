"""The outermost loop of the four commands: run, and turn any failure into one sentence and an exit status."""

import gc
import sys
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

import typer
from click.exceptions import ClickException, Exit
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from federated.dumps import forbid_dumps
from federated.errors import ExitStatus, FederatedError, InternalError
from protocols.errors import ProtocolError

__all__ = ["errors", "main_of", "new_app", "now_utc", "output", "place_of", "settle_in", "unexpected"]

INTERRUPTED = 130

WIDTH = 130
"""Columns of a table where there is no terminal to say."""

NEW_OBJECTS: Final = 50_000
"""So many more objects than before, and a process that stays looks for those that only hold each other."""

NOT_SHOWN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Kinds of characters that a terminal would obey, or that change how others are shown."""


class PlainConsole(Console):
    """A console for words that others wrote, such as titles and names: they are shown, and never obeyed.

    No markup in them is read, and no character of theirs controls the terminal. Styles are for the caller to name.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        """Write to standard output, or to standard error."""
        super().__init__(stderr=stderr, width=width, highlight=False, soft_wrap=True, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Every text on its way out passes here; what is left of rich's own codes comes after."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_shown(segment.text), segment.style)


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if mark not in "\n\t" and unicodedata.category(mark) in NOT_SHOWN else mark
        for mark in text
    )


output = PlainConsole(width=None if sys.stdout.isatty() else WIDTH)
"""Where results go: standard output, plain when it is not a terminal."""
errors = PlainConsole(stderr=True)
"""Where warnings and errors go."""


def new_app(help_text: str) -> typer.Typer:
    """A command with subcommands, the way all of ours look."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def now_utc() -> datetime:
    """The system's time."""
    return datetime.now(UTC)


def settle_in() -> None:
    """Have Python look for objects that only hold each other less often, and no more among those of the start.

    Run once, by a process that stays, when it has opened its files. A question makes thousands of objects that are let
    go in time by themselves: looking through them took a node one millisecond and more for each question.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


def main_of(app: typer.Typer) -> Callable[[], None]:
    """The entry point of a command: no memory on a disk, never a traceback, an exit status for each kind of failure."""

    def main() -> None:
        forbid_dumps()
        sys.exit(_run(app))

    return main


def _run(app: typer.Typer) -> int:  # noqa: PLR0911 - one line for each kind of failure
    try:
        returned = app(standalone_mode=False)
        return returned if isinstance(returned, int) else ExitStatus.OK
    except Exit as leaving:
        return leaving.exit_code
    except ClickException as error:
        error.show()
        return ExitStatus.USAGE
    except FederatedError as error:
        return _say(error)
    except ProtocolError as error:
        return _say(FederatedError(f"The protocol was not followed: {error}."))
    except (KeyboardInterrupt, EOFError, typer.Abort):
        errors.print("Stopped.", style="bold")
        return INTERRUPTED
    except BrokenPipeError:
        return ExitStatus.OK
    except Exception as error:  # noqa: BLE001 - the outermost loop: a traceback could show a value of a case
        return _say(unexpected(error))


def unexpected(error: Exception, *, reference: str = "") -> InternalError:
    """What a person is told of an error that nobody foresaw: its kind and place, never its message.

    Args:
        error: The error.
        reference: Under which it was written down, where it was.
    """
    found = f", reference {reference}" if reference else ""
    return InternalError(
        f"Something unexpected happened ({type(error).__name__} at {place_of(error)}{found}).",
        remedy="Please report it, with this line.",
    )


def place_of(error: BaseException) -> str:
    """Module and line where an unexpected error arose; never its message, which could quote a value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"


def _say(error: FederatedError) -> int:
    errors.print(error.diagnostics(), style="red", markup=False)
    return error.exit_status
