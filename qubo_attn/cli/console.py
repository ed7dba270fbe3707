"""Parts that all commands share: JSON, exit codes, errors as one line.

Exit codes, the same for every command (docs/commands.md):

| code | meaning |
|---|---|
| 0 | done |
| 1 | the program failed, or was interrupted |
| 2 | invalid command line |
| 3 | a file, an array or a value does not fit |
| 4 | constraints contradict each other |
| 5 | there is no embedding: the problem does not fit the machine |
| 6 | the machine is unknown, or would turn a submission down |
| 7 | a pass is unknown or cannot run, or the order of passes cannot work |
| 8 | a pass broke its promise, or a program is malformed |
| 9 | samples do not belong to the submissions |
| 10 | an optional package is missing |
| 11 | a check failed (``cache verify``, ``cache import``) |
| 12 | a job stopped; ``qubo-attn job resume`` goes on with it |
"""

from __future__ import annotations

import inspect
import json
import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar

import typer
import typer.core

from qubo_attn import errors
from qubo_attn.cli.progress import clear, shown

if TYPE_CHECKING:
    from qubo_attn.report.facts import Report

AsJson = Annotated[bool, typer.Option("--json", help="Print facts as one JSON document.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print all details as well.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what the folder holds.")]
T = TypeVar("T")

FOUND_BAD = 11
# The first that fits: subclasses stand before their bases.
EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.InfeasibleError, 4),
    (errors.EmbeddingError, 5),
    (errors.TargetError, 6),
    (errors.PassError, 7),
    (errors.PromiseError, 8),
    (errors.VerifyError, 8),
    (errors.DecodeError, 9),
    (errors.JobError, 12),
    (errors.MissingExtraError, 10),
    (errors.InputError, 3),
    (errors.ParseError, 3),
    (OSError, 3),
    (errors.QuboAttnError, 1),
)


def exit_code(error: BaseException) -> int:
    """Return what a command exits with after an error.

    Example:
        >>> from qubo_attn import EmbeddingError
        >>> from qubo_attn.cli.console import exit_code
        >>> exit_code(EmbeddingError("no room"))
        5
    """
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


class Commands(typer.core.TyperGroup):
    """Commands whose errors become a message on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            # The command is told from its arguments within.
            with shown(lambda: ctx.invoked_subcommand or ""):
                return super().invoke(ctx)
        except BrokenPipeError:  # a reader that has seen enough, as `head` does
            raise
        except (errors.QuboAttnError, OSError) as error:
            columns, text = width(sys.stderr), " ".join(str(error).split())
            typer.secho(folded(f"error: {text}", columns), err=True, fg=typer.colors.RED)
            for note in getattr(error, "__notes__", ()):
                typer.secho(folded(f"  {note}", columns), err=True)
            raise typer.Exit(exit_code(error)) from None


def tell(as_json: bool, facts: object, text: str) -> None:
    """Print facts as one JSON document, or a text in their place.

    Args:
        as_json: whether the document was asked for.
        facts: plain data; numbers that JSON lacks become null.
        text: the same for a reader.
    """
    clear()
    typer.echo(json.dumps(_plain(facts), allow_nan=False) if as_json else folded(text, width()))


def width(stream: TextIO | None = None) -> int | None:
    """Return how many characters fit on a line of a stream; None where no terminal shows it.

    Args:
        stream: standard output when None.
    """
    shown = sys.stdout if stream is None else stream
    return shutil.get_terminal_size().columns if shown.isatty() else None


def details(report: Report) -> str:
    """Return all facts of a compilation, as wide as the terminal."""
    return report.text(width())


def folded(text: str, columns: int | None) -> str:
    """Return a text whose lines are broken between words where they are too long.

    Args:
        text: the text.
        columns: characters of a line; None for lines as long as they come.

    Example:
        >>> print(folded("  one two three", 11))
          one two
            three
    """
    lines = []
    for line in text.splitlines():
        if columns is None or len(line) <= columns:
            lines.append(line)
            continue
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        lines += textwrap.wrap(
            line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines)


def may_write(folder: Path, force: bool) -> None:
    """Ask before a folder that holds something is written to.

    Raises:
        InputError: nobody can be asked, as no terminal is there.
        typer.Abort: the answer is no.
    """
    if force or not folder.is_dir() or not any(folder.iterdir()):
        return
    if sys.stdin.isatty() and sys.stdout.isatty():
        typer.confirm(f"{folder} is there already. Replace what it holds?", abort=True)
        return
    raise errors.InputError(
        f"{folder} is there already: --force replaces what it holds", folder=str(folder)
    )


def ending(option: str, path: Path, *suffixes: str) -> Path:
    """Return a path whose name ends as files of its kind do, or has no ending.

    Raises:
        InputError: it ends in another way; says how it should.
    """
    if path.suffix and path.suffix.lower() not in suffixes:
        raise errors.InputError(
            f"{option} {path.name}: this writes {suffixes[0]} files, not {path.suffix} ones; name "
            f"it {path.with_suffix(suffixes[0]).name}",
            file=str(path),
        )
    return path


def examples(lines: Sequence[str]) -> str:
    """Return the end of a help text: commands to start from, each on its line."""
    # The first character keeps the paragraph as it is.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def choice(names: Sequence[str], text: str) -> Any:
    """Return an option that is one of a few names, which shells complete.

    Args:
        names: the names.
        text: help on the option; ``{}`` stands for the names.
    """
    return typer.Option(
        help=text.format(", ".join(names)),
        autocompletion=lambda incomplete: [name for name in names if name.startswith(incomplete)],
    )


def number_or_name(text: str) -> Any:
    """Return a number where a text is one; a name is checked with the other options."""
    try:
        return float(text)
    except ValueError:
        return text


def takes(fields: type[T]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator of commands: each field of a dataclass becomes an option.

    Args:
        fields: a dataclass whose fields are annotated as options are. The command gets an instance
            as its first argument; its own options follow.
    """
    shared = inspect.signature(fields, eval_str=True).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()

        def run(**options: Any) -> None:
            command(fields(**{name: options.pop(name) for name in shared}), **options)

        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*shared.values(), *own)]
        run.__doc__ = command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
