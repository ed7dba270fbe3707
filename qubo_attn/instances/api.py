"""``write_instances``: files of real attention in, a folder of instances out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qubo_attn.common.checks import flag, several, whole
from qubo_attn.common.files import path_of, writing
from qubo_attn.common.keywords import named
from qubo_attn.compiled import CompiledAttention
from qubo_attn.errors import InputError
from qubo_attn.instances.draw import Drawn, draw, fitting, instance_of
from qubo_attn.instances.folder import index, model_files, replaced_folder
from qubo_attn.instances.instance import Instance
from qubo_attn.instances.sources import Source, read_sources
from qubo_attn.solving.parted import MOST_BITS

# Draws of a kind before it is the turn of the next; rounds of turns without any instance after
# which there seem to be no more.
_TRIES, _MISSES = 8, 40
_MOST = 100_000


@named
def write_instances(
    folder: str | os.PathLike[str],
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    count: int = 100,
    *,
    sizes: Sequence[int] = (8, 64),
    seed: int = 0,
    licence: str | None = None,
    force: bool = False,
    step: Callable[[str], None] | None = None,
) -> tuple[Instance, ...]:
    """Write rows of real attention as instances for methods that minimise, with proven optima.

    Each instance is a Matrix Market, a QPLIB and a dimod file of one model of bits, and a QPLIB
    file of the same rows whose constraints are kept in place of penalties. The index,
    ``index.csv`` and ``index.json``, says what is proven and where it comes from
    (docs/instances.md). Kinds take turns: rows, soft weights, tied rows and coupled heads, of all
    objectives whose arrays the files hold. Rows are drawn at random, no two of them equal. The same
    files, arguments and version give the same bytes.

    Args:
        folder: made where it is not there.
        files: of attention, as `read_attention` reads them. A folder stands for its ``.npz`` and
            ``.safetensors`` files.
        count: number of instances, 1 to 100,000.
        sizes: least and most variables, from 2 to 64.
        seed: of all draws.
        licence: of the data; what each file states in an array ``licence`` when None.
        force: replace the instances that the folder holds.
        step: called with the name of each instance, to show progress.

    Returns:
        The instances, in the order of the index.

    Raises:
        InputError: an argument does not fit, a file does not read or holds no scores, the folder
            holds something and ``force`` is not set, or the files hold fewer instances.

    Example:
        >>> import tempfile, qubo_attn as qa
        >>> file = "fixtures/attention/minilm_d02_L1_n10.npz"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = qa.write_instances(folder, file, count=4, sizes=(8, 12))
        >>> [(one.kind, one.proof) for one in made]
        [('row', 'enumeration'), ('soft', 'enumeration'), ('tied', 'enumeration'), \
('coupled', 'enumeration')]
    """
    place, number = path_of("folder", folder), whole("count", count, 1, _MOST)
    bits, chosen = _sizes(sizes), whole("seed", seed)
    if licence is not None and not isinstance(licence, str):
        raise InputError("licence must be a text", argument="licence")
    if not flag("force", force) and place.is_dir() and any(place.iterdir()):
        raise InputError(
            f"{place} is there already; force=True replaces the instances in it", folder=str(place)
        )
    sources = read_sources(files, licence)
    with writing(place), replaced_folder(place) as part:
        made, passed_over = _drawn(sources, number, bits, chosen, part, step or (lambda _: None))
        facts = {"seed": chosen, "sizes": list(bits), "passed_over": dict(passed_over)}
        index(part, made, sources, facts)
    return made


def _sizes(sizes: object) -> tuple[int, int]:
    """Return the least and most variables."""
    given = several("sizes", sizes)
    if len(given) != 2:
        raise InputError("sizes must be two numbers, the least and the most", argument="sizes")
    most = whole("sizes", given[1], 2, MOST_BITS)
    return whole("sizes", given[0], 2, most), most


def _drawn(
    sources: list[Source],
    count: int,
    sizes: tuple[int, int],
    seed: int,
    folder: Path,
    step: Callable[[str], None],
) -> tuple[tuple[Instance, ...], Counter[str]]:
    """Draw instances and write their models; count what was passed over, by the reason."""
    generator, recipes = np.random.default_rng(seed), fitting(sources)
    made: list[Instance] = []
    seen: set[object] = set()
    passed_over: Counter[str] = Counter()
    width, missed = max(4, len(str(count))), 0
    while missed < _MISSES * len(recipes):
        for recipe in recipes:
            for _ in range(_TRIES):
                name = f"{len(made) + 1:0{width}d}"
                one = _one(draw(generator, sources, recipe, sizes), seen, name, sizes)
                missed += 1
                if isinstance(one, str):
                    passed_over[one] += 1
                    continue
                instance, *compiled = one
                files = model_files(folder, instance.name, *compiled)
                made.append(replace(instance, files=files))
                step(instance.name)
                missed = 0
                if len(made) == count:
                    return tuple(made), passed_over
                break
    raise InputError(
        f"the files hold only about {len(made)} such instances, not {count}: give more files, "
        "other sizes, or a smaller count",
        argument="count",
        instances=len(made),
    )


def _one(
    rows: Drawn | None, seen: set[object], name: str, sizes: tuple[int, int]
) -> tuple[Instance, CompiledAttention, CompiledAttention] | str:
    """Return an instance of rows that were drawn, or why there is none."""
    if rows is None:
        return "no row of so many keys"
    if rows.what in seen:
        return "drawn before"
    seen.add(rows.what)
    return instance_of(rows, name, sizes)
