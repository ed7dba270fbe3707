"""``qubo-attn cache``: look after the kept embeddings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qubo_attn.cli.console import FOUND_BAD, AsJson, echo_json, guarded

if TYPE_CHECKING:
    from qubo_attn.embedding.cache import EmbeddingCache
    from qubo_attn.machine.target import Target

cache_app = typer.Typer(help="Look after the kept embeddings.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option(help="The cache's folder; QUBO_ATTN_CACHE or the user's cache folder if unset."),
]
Machine = "zephyr:M, pegasus:M, or a working graph's JSON."


@cache_app.command("ls")
def ls(folder: Folder = None, as_json: AsJson = False) -> None:
    """List the kept embeddings."""
    cache = _cache(folder)
    entries = list(cache.entries())
    if as_json:
        facts = [
            {"file": str(e.path), "bytes": e.bytes, "readable": e.readable, **e.facts}
            for e in entries
        ]
        echo_json(facts)
        return
    typer.echo(f"{cache.folder}: {len(entries)} embeddings, {sum(e.bytes for e in entries)} bytes")
    for entry in entries:
        typer.echo(f"{entry.path.stem[:12]}  {entry.bytes:>8}  {_state(entry.facts)}")


@cache_app.command("verify")
def verify(
    folder: Folder = None,
    target: Annotated[
        str | None, typer.Option(help=f"Only what is kept for this machine: {Machine}")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every kept embedding, chain by chain; exit code 11 where one is bad."""
    cache = _cache(folder)
    machine = None if target is None else guarded(lambda: _machine(target))
    found = list(cache.verify(machine))
    bad = {str(path): problem for path, problem in found if problem}
    if as_json:
        echo_json({"folder": str(cache.folder), "checked": len(found), "bad": bad})
    else:
        for path, problem in bad.items():
            typer.echo(f"{path}: {problem}")
        typer.echo(f"{len(found)} embeddings checked, {len(bad)} bad")
    if bad:
        raise typer.Exit(FOUND_BAD)


@cache_app.command("clear")
def clear(folder: Folder = None, as_json: AsJson = False) -> None:
    """Delete the kept embeddings."""
    cache = _cache(folder)
    count = cache.clear()
    if as_json:
        echo_json({"folder": str(cache.folder), "deleted": count})
    else:
        typer.echo(f"{count} embeddings deleted from {cache.folder}")


@cache_app.command("export")
def export_archive(
    file: Annotated[Path, typer.Argument(help="The .zip file to write.")],
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Write all good embeddings to one archive."""
    from qubo_attn.embedding.archive import export_cache

    cache = _cache(folder)
    written, bad = guarded(lambda: export_cache(cache, file))
    if as_json:
        echo_json({"file": str(file), "written": written, "bad": bad})
        return
    _list_bad(bad)
    typer.echo(f"{written} embeddings written to {file}, {len(bad)} bad ones left out")


@cache_app.command("import")
def import_archive(
    file: Annotated[Path, typer.Argument(help="A .zip file that `cache export` wrote.")],
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Add the embeddings of an archive, each checked; exit code 11 where one is bad."""
    from qubo_attn.embedding.archive import import_cache

    cache = _cache(folder)
    taken, known, bad = guarded(lambda: import_cache(cache, file))
    if as_json:
        facts = {"folder": str(cache.folder), "imported": taken, "known": known, "bad": bad}
        echo_json(facts)
    else:
        _list_bad(bad)
        typer.echo(f"{taken} imported, {known} known before, {len(bad)} refused")
    if bad:
        raise typer.Exit(FOUND_BAD)


@cache_app.command("warm")
def warm(
    target: Annotated[str, typer.Option(help=Machine)],
    shapes: Annotated[str, typer.Option(help="Cliques, as in K16,K32: slots of a row.")],
    seed: Annotated[int, typer.Option(help="Seed of the search, as in `compile`.")] = 0,
    anew: Annotated[
        bool, typer.Option("--anew", help="Embed anew what is only at hand repaired.")
    ] = False,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Find the embeddings of some shapes ahead of time."""
    from qubo_attn.passes import Embed

    cache = _cache(folder, repair=not anew)

    def run() -> list[dict[str, Any]]:
        embed = Embed(_machine(target), cache, seed=seed)
        facts = []
        for size in _sizes(shapes):
            start = time.perf_counter()
            kept = embed.packing(size)
            facts.append(
                {
                    "shape": f"K{kept.packing.size}",
                    "copies": len(kept.packing),
                    "longest_chain": kept.packing.longest_chain,
                    "how": kept.how,
                    "seconds": round(time.perf_counter() - start, 3),
                }
            )
            if not as_json:
                typer.echo(str(kept))
        return facts

    facts = guarded(run)
    if as_json:
        echo_json(facts)


def _cache(folder: Path | None, *, repair: bool = True) -> EmbeddingCache:
    from qubo_attn.embedding.cache import EmbeddingCache

    return EmbeddingCache(folder, repair=repair)


def _machine(name: str) -> Target:
    from qubo_attn.errors import TargetError
    from qubo_attn.machine.target import Target

    machine = Target.of(name)
    if machine is None or not machine.is_structured:
        raise TargetError(f"{name} has no working graph, so nothing is embedded", target=name)
    return machine


def _sizes(shapes: str) -> list[int]:
    from qubo_attn.errors import InputError

    sizes = []
    for shape in shapes.split(","):
        digits = shape.strip().upper().removeprefix("K").lstrip("_")
        if not digits.isdecimal() or int(digits) < 1:
            raise InputError(
                f"--shapes takes cliques such as K16,K32, not {shape.strip()!r}", shape=shape
            )
        sizes.append(int(digits))
    return sizes


def _state(facts: dict[str, Any]) -> str:
    if not facts:
        return "damaged, or of another version"
    repair = facts["origin"]["repair"]
    text = f"{facts['shape']} on {facts['label'] or facts['topology']}, {facts['copies']} copies"
    return text if repair is None else f"{text}, repaired"


def _list_bad(bad: dict[str, str]) -> None:
    for name, problem in bad.items():
        typer.echo(f"{name}: {problem}")
