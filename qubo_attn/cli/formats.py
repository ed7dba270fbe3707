"""``qubo-attn formats``: what is read and written, and models from one format to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qubo_attn.cli.console import AsJson, echo_json, guarded, words

if TYPE_CHECKING:
    from collections.abc import Iterator

formats_app = typer.Typer(
    help="List the formats that are read and written; convert models.", invoke_without_command=True
)
NAMES = ("bqm", "json", "coo", "bqpjson", "qp")
# Besides models: what goes in, and what commands leave behind.
OTHERS = (
    ("attention", "npy", "scores alone", True, False),
    ("attention", "npz", "scores, value, key, mask, kv_head, required, forbidden", True, False),
    ("attention", "safetensors", "the same arrays", True, False),
    ("machine", "json", "working graph, see docs/submit.md", True, False),
    ("compilation", "folder", "artifact.json and arrays.npz, by `compile`", True, True),
    ("result", "npz", "selected, weights, context, by `solve -o`", False, True),
)


@formats_app.callback(invoke_without_command=True)
def formats(context: typer.Context, as_json: AsJson = False) -> None:
    """List the formats that are read and written; `formats convert` converts models."""
    if context.invoked_subcommand is not None:
        return
    from qubo_attn.interchange import FORMATS

    rows = [
        *OTHERS,
        *(
            ("model", found.name, found.summary, found.read is not None, True)
            for found in FORMATS.values()
        ),
    ]
    if as_json:
        names = ("of", "name", "what", "read", "written")
        echo_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    for of, name, what, read, written in rows:
        how = " and ".join(word for word, on in (("read", read), ("written", written)) if on)
        typer.echo(f"{of:<12} {name:<12} {how:<17} {what}")


@formats_app.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(help="A folder that `compile` wrote, or a model.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the models; or the model, from a model.")
    ],
    to: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(NAMES)}; bqm, or what --out ends in, if unset.",
            autocompletion=words(NAMES),
        ),
    ] = None,
    submission: Annotated[
        int | None, typer.Option(help="Number of one submission; all if unset.")
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="The models over qubits, not over variables.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the submissions of a compiled folder, or a model, in another format."""

    def run() -> list[str]:
        if source.is_dir():
            return [str(file) for file in _export(source, out, to or "bqm", submission, embedded)]
        import qubo_attn as qa

        qa.write_bqm(qa.read_bqm(source), out, to)
        return [str(out)]

    files = guarded(run)
    if as_json:
        echo_json({"files": files})
    else:
        typer.echo("\n".join(f"wrote {file}" for file in files))


def _export(
    source: Path, out: Path, to: str, submission: int | None, embedded: bool
) -> Iterator[Path]:
    """Write submissions, one file each; yield the files."""
    import qubo_attn as qa
    from qubo_attn.interchange.formats import format_named

    format_named(to)
    parts = qa.load(source).submissions
    if submission is not None and not 0 <= submission < len(parts):
        raise qa.InputError(
            f"there is no submission {submission}; it has {len(parts)}", submission=submission
        )
    out.mkdir(parents=True, exist_ok=True)
    for part in parts if submission is None else parts[submission : submission + 1]:
        file = out / f"submission-{part.index}.{to}"
        part.export(file, to, embedded=embedded)
        yield file
