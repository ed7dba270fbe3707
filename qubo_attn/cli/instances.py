"""``qubo-attn instances``: rows of real attention as instances with proven optima."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qubo_attn.cli.console import AsJson, Force, may_write, tell
from qubo_attn.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qubo_attn.instances.instance import Instance


def make_instances(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILES]", help="More of --data, as a shell puts them for *."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="File of attention as `compile` takes it, or a folder of such files."),
    ] = None,
    count: Annotated[int, typer.Option(help="Number of instances.")] = 100,
    sizes: Annotated[
        str, typer.Option(help="Least and most variables, at most 64, parted by a comma.")
    ] = "8,64",
    seed: Annotated[int, typer.Option(help="Seed of what is drawn at random.")] = 0,
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of the data, for the index. [default: what files state]"),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write rows of real attention as instances with proven optima, for methods that minimise.

    Each is a Matrix Market, a QPLIB and a dimod file of one model of bits, and a QPLIB file with
    constraints in place of penalties. The index (index.csv, index.json) holds optima, gaps,
    certificates of penalties, and where each row comes from.
    """
    import qubo_attn as qa
    from qubo_attn.common.files import path_of

    files = [*(data or ()), *(more or ())]
    if not files:
        raise typer.BadParameter("name files of attention with --data")
    place = path_of("DIR", folder)
    may_write(place, force)
    with progress("writing instances", count) as step:
        made = qa.write_instances(
            place,
            files,
            count,
            sizes=_sizes(sizes),
            seed=seed,
            licence=licence,
            force=True,
            step=step,
        )
    facts = {"folder": str(place), "instances": [one.to_dict() for one in made]}
    tell(as_json, facts, _text(place, made))


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"--sizes takes two numbers parted by a comma, not {text!r}"
        ) from None


def _text(folder: Path, made: Sequence[Instance]) -> str:
    """Return what was written, in a few lines."""
    kinds = Counter(one.kind for one in made)
    proofs = Counter(one.proof for one in made)
    bits = [one.variables for one in made]
    gaps = sum(one.gap is not None for one in made)
    lines = [
        f"{len(made)} instances of {min(bits)} to {max(bits)} variables in {folder}",
        "kinds: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items()),
        "optima, all proven: " + ", ".join(f"{n} by {proof}" for proof, n in proofs.items()),
        f"second lowest energy proven: {gaps} of {len(made)}",
    ]
    if any(one.licence is None for one in made):
        lines.append("no licence: some files state none; --licence names one for the index")
    return "\n".join([*lines, f"index: {folder / 'index.csv'} and {folder / 'index.json'}"])
