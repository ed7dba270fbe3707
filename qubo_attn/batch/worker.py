"""Work of a process that compiles: what `compile_batch` sends to it and what comes back.

A *job* is a recipe without its hooks, pickled and compressed once; a process unpacks it once. A
task is a job and some checked items. Of each item, its stages alone come back: the machine and the
item are with the caller already, and so is a placement that came back before.

No process searches for embeddings. Packings are read from the shared cache. Where it lacks one, the
process asks for it; the caller finds it and sends it along.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
import traceback
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from qubo_attn.common.threads import limited
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.lower import lower
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compilation.structures import Structures
from qubo_attn.embedding.cache import CachedPacking, EmbeddingCache
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.parts import Mixture
from qubo_attn.embedding.placement import Placement
from qubo_attn.errors import InputError, QuboAttnError
from qubo_attn.frontend.attention import Attention
from qubo_attn.machine.target import Target
from qubo_attn.passes.embed import TAKEN_OVER

# Jobs that a process remembers.
_JOBS = 8


class MissingPacking(Exception):
    """A packing that the shared cache lacks; what comes back of an item that needs it.

    Attributes:
        wanted: what is to be packed.
    """

    def __init__(self, wanted: Component | Mixture) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class AskingCache(EmbeddingCache):
    """A cache that asks for what it does not hold, instead of finding it.

    Attributes:
        packings: those that were sent, and those read so far.
    """

    def __init__(self, cache: EmbeddingCache) -> None:
        super().__init__(cache.folder.absolute(), limit=cache.limit, repair=cache.repair)
        self.packings: dict[Component | Mixture, CachedPacking] = {}

    def packing(
        self,
        wanted: Component | Mixture,
        target: Target,
        options: dict[str, int],
        find: Callable[[], Packing],
    ) -> CachedPacking:
        """Return a packing that was sent or is on disk; see `EmbeddingCache.packing`.

        Raises:
            MissingPacking: there is none.
        """
        packing = self.packings.get(wanted)
        if packing is None:
            packing = self._read(self._name(wanted.name, target, options), target)
        if packing is None:
            raise MissingPacking(wanted)
        self.packings[wanted] = packing
        return packing


class Repeater:
    """Compiles item after item; placements are taken over from earlier ones.

    Every result equals that of `qubo_attn.compile`, whatever came before it.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._structures = Structures()

    def lower(self, attention: Attention) -> Compilation:
        """Compile one checked item."""
        compilation = lower(self.recipe, attention, self._structures)
        *stages, last = compilation.stages
        if compilation.placement is None or last.rewrite.notes != TAKEN_OVER:
            return compilation
        # The notes of `compile` say how it was placed, not that it was taken over.
        notes = self._structures.notes(compilation.placement)
        last = dataclasses.replace(last, rewrite=dataclasses.replace(last.rewrite, notes=notes))
        return dataclasses.replace(compilation, stages=(*stages, last))


def job_of(recipe: Recipe) -> bytes:
    """Return the job of compiling by a recipe.

    Raises:
        InputError: an option cannot be sent to another process.
    """
    recipe, embed = recipe.without_hooks(), recipe.embed
    if embed is not None:
        embed = dataclasses.replace(embed, cache=AskingCache(embed.cache))
        recipe = dataclasses.replace(recipe, embed=embed)
    try:
        return zlib.compress(pickle.dumps(recipe, pickle.HIGHEST_PROTOCOL), 1)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"an option cannot be sent to another process ({error}); define its class at the "
            "top of a module, or leave out executor=",
            argument="executor",
        ) from error


@lru_cache(_JOBS)
def _repeater(job: bytes) -> Repeater:
    """Return what compiles by a job; tasks of one job share it in their process."""
    return Repeater(pickle.loads(zlib.decompress(job)))


def work(
    job: bytes,
    items: Sequence[Attention],
    packings: Mapping[Component | Mixture, CachedPacking],
    digests: frozenset[str],
) -> list[bytes | Exception]:
    """Compile some items; this is what an executor runs.

    Args:
        job: how to compile, see `job_of`.
        items: what to compile, checked.
        packings: those that were asked for.
        digests: of the placements that need not be sent back, see `Placement.digest`.

    Returns:
        What `pack` returns of each item, up to the first that failed, and then its error.
    """
    repeater = _repeater(job)
    embed = repeater.recipe.embed
    if embed is not None and isinstance(embed.cache, AskingCache):
        embed.cache.packings.update(packings)
    answers: list[bytes | Exception] = []
    for attention in items:
        try:
            with limited(1):  # the other cores have their own work
                answers.append(pack(repeater.lower(attention), digests))
        except Exception as error:
            answers.append(_portable(error))
            break
    return answers


def _portable(error: Exception) -> Exception:
    """Return an error that survives the way back; where it came from is noted, if it is a bug."""
    if not isinstance(error, (QuboAttnError, MissingPacking)):
        error.add_note(f"in another process:\n{traceback.format_exc()}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an exception's own pickling may raise
        return QuboAttnError(f"{type(error).__name__}: {error}")
    return error


# -- what comes back ------------------------------------------------------------------------------


def pack(compilation: Compilation, digests: frozenset[str] = frozenset()) -> bytes:
    """Return stages and copies of a compilation as bytes, without what the receiver has.

    Args:
        compilation: by a recipe and of an item that the receiver has.
        digests: of the placements that the receiver has.
    """
    placement = compilation.placement
    digest = None if placement is None else placement.digest
    buffer = io.BytesIO()
    packer = _Packer(buffer, pickle.HIGHEST_PROTOCOL)
    packer.names = {id(compilation.attention.rows): "rows"}
    for name, part in (
        ("values", compilation.attention.values),
        ("target", compilation.recipe.target),
    ):
        if part is not None:
            packer.names[id(part)] = name
    # First the placement, so that the receiver may put another in its place in the stages.
    packer.dump((digest, None if digest in digests else placement))
    if placement is not None:
        packer.names[id(placement)] = "placement"
    packer.dump((compilation.stages, compilation.copies))
    return buffer.getvalue()


def unpack(
    data: bytes, recipe: Recipe, attention: Attention, placements: Mapping[str, Placement]
) -> Compilation:
    """Return the compilation behind `pack`.

    Args:
        data: what `pack` returned.
        recipe: how the item was compiled.
        attention: the item.
        placements: placements by their digests; one of these takes the place of one sent.
    """
    unpacker = _Unpacker(io.BytesIO(data))
    unpacker.objects = {
        "rows": attention.rows,
        "values": attention.values,
        "target": recipe.target,
    }
    digest, placement = unpacker.load()
    unpacker.objects["placement"] = placements.get(digest, placement)
    stages, copies = unpacker.load()
    return Compilation(attention, recipe, stages, copies=copies)


class _Packer(pickle.Pickler):
    """Writes names in place of objects that the receiver has."""

    names: dict[int, str]

    def persistent_id(self, obj: object) -> str | None:
        """Return the name of an object, if it has one."""
        return self.names.get(id(obj))


class _Unpacker(pickle.Unpickler):
    """Reads what a `_Packer` wrote."""

    objects: dict[str, object]

    def persistent_load(self, pid: str) -> object:
        """Return the object of a name."""
        return self.objects[pid]
