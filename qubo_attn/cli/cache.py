"""``qubo-attn cache``: look after the kept embeddings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qubo_attn.cli.console import FOUND_BAD, AsJson, ending, tell
from qubo_attn.common.words import plural

if TYPE_CHECKING:
    from qubo_attn.embedding.cache import EmbeddingCache
    from qubo_attn.machine.target import Target

cache_app = typer.Typer(help="Look after the kept embeddings.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option(help="The cache's folder. [default: QUBO_ATTN_CACHE, or the user's cache folder]"),
]
Machine = "zephyr:M, pegasus:M, or a working graph's JSON."


@cache_app.command("ls")
def ls(folder: Folder = None, as_json: AsJson = False) -> None:
    """List the kept embeddings."""
    cache = _cache(folder)
    entries = list(cache.entries())
    facts = [
        {"file": str(e.path), "bytes": e.bytes, "readable": e.readable, **e.facts} for e in entries
    ]
    size = sum(entry.bytes for entry in entries)
    lines = [f"{cache.folder}: {plural(len(entries), 'embedding')}, {size:,} bytes"]
    lines += [f"{e.path.stem[:12]}  {e.bytes:>8}  {_state(e.facts)}" for e in entries]
    tell(as_json, facts, "\n".join(lines))


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
    checked = list(cache.verify(None if target is None else _machine(target)))
    bad = {str(path): problem for path, problem in checked if problem}
    facts = {"folder": str(cache.folder), "checked": len(checked), "bad": bad}
    tell(
        as_json, facts, _after(bad, f"{plural(len(checked), 'embedding')} checked, {len(bad)} bad")
    )
    if bad:
        raise typer.Exit(FOUND_BAD)


@cache_app.command("clear")
def clear(folder: Folder = None, as_json: AsJson = False) -> None:
    """Delete the kept embeddings."""
    cache = _cache(folder)
    deleted = cache.clear()
    facts = {"folder": str(cache.folder), "deleted": deleted}
    tell(as_json, facts, f"{plural(deleted, 'embedding')} deleted from {cache.folder}")


@cache_app.command("export")
def export_archive(
    file: Annotated[Path, typer.Argument(help="The .zip file to write.")],
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Write all good embeddings to one archive."""
    from qubo_attn.embedding.archive import export_cache

    written, bad = export_cache(_cache(folder), ending("FILE", file, ".zip"))
    last = f"{plural(written, 'embedding')} written to {file}, {len(bad)} bad ones left out"
    tell(as_json, {"file": str(file), "written": written, "bad": bad}, _after(bad, last))


@cache_app.command("import")
def import_archive(
    file: Annotated[Path, typer.Argument(help="A .zip file that `cache export` wrote.")],
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Add the embeddings of an archive, each checked; exit code 11 where one is bad."""
    from qubo_attn.embedding.archive import import_cache

    cache = _cache(folder)
    added, known, bad = import_cache(cache, file)
    facts = {"folder": str(cache.folder), "imported": added, "known": known, "bad": bad}
    last = f"{added} imported, {known} known before, {len(bad)} refused"
    tell(as_json, facts, _after(bad, last))
    if bad:
        raise typer.Exit(FOUND_BAD)


@cache_app.command("warm")
def warm(
    target: Annotated[str, typer.Option(help=Machine)],
    shapes: Annotated[str, typer.Option(help="Cliques, as in K16,K32: slots of a row.")],
    seed: Annotated[int, typer.Option(help="Seed of the search, as in `compile`.")] = 0,
    anew: Annotated[
        bool,
        typer.Option(
            "--anew", help="Search from scratch for embeddings that exist only as repairs."
        ),
    ] = False,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Find the embeddings of some shapes ahead of time."""
    from qubo_attn.passes import Embed

    embed = Embed(_machine(target), _cache(folder, repair=not anew), seed=seed)
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
    if as_json:
        tell(as_json, facts, "")


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
    from qubo_attn.common.checks import shown
    from qubo_attn.errors import InputError

    sizes = []
    for shape in shapes.split(","):
        digits = shape.strip().upper().removeprefix("K").lstrip("_")
        if not digits.isdecimal() or not 1 <= len(digits) <= 9 or int(digits) < 1:
            raise InputError(
                f"--shapes takes cliques such as K16,K32, not {shown(shape.strip())}", shape=shape
            )
        sizes.append(int(digits))
    return sizes


def _state(facts: dict[str, Any]) -> str:
    if not facts:
        return "damaged, or of another version"
    repair = facts["origin"]["repair"]
    copies = plural(facts["copies"], "copy")
    text = f"{facts['shape']} on {facts['label'] or facts['topology']}, {copies}"
    return text if repair is None else f"{text}, repaired"


def _after(bad: dict[str, str], last: str) -> str:
    """Return a line for each bad embedding, and a last one."""
    return "\n".join([*(f"{name}: {problem}" for name, problem in bad.items()), last])
