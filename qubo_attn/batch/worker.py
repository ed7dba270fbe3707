"""What `compile_batch` sends to another process, what runs there, and what comes back.

A *job* is a recipe without its hooks, pickled and compressed once; a process unpacks it once. A
task is a job and some checked items. What comes back of an item is its stages alone: the machine
and the item are here already, and so is a placement that came back before.

No process searches for embeddings. Packings are read from the shared cache; what it lacks is asked
for, found by the process that hands out the work, and sent along.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import traceback
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from qubo_attn.common.threads import limited
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.lower import lower
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.embedding.cache import EmbeddingCache, Kept
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.shapes import Shape
from qubo_attn.errors import InputError, QuboAttnError
from qubo_attn.frontend.attention import Attention, Rows
from qubo_attn.machine.target import Target

Component: TypeAlias = int | Shape
# Shapes of items, or jobs, that a process remembers.
_REMEMBERED = 32


@dataclass(frozen=True)
class Job:
    """A recipe as it travels, and the name by which a process knows that it has it."""

    token: str
    data: bytes

    @classmethod
    def of(cls, recipe: Recipe) -> Job:
        """Return the job of compiling by ``recipe``.

        Raises:
            InputError: an option cannot be sent to another process.
        """
        recipe = recipe.without_hooks()
        if recipe.embed is not None:
            cache = AskingCache.like(recipe.embed.cache)
            recipe = dataclasses.replace(
                recipe, embed=dataclasses.replace(recipe.embed, cache=cache)
            )
        try:
            data = zlib.compress(pickle.dumps(recipe, pickle.HIGHEST_PROTOCOL), 1)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InputError(
                f"an option cannot be sent to another process ({error}); define its class at the "
                "top of a module, or leave out executor=",
                argument="executor",
            ) from error
        return cls(hashlib.sha256(data).hexdigest(), data)


@dataclass(frozen=True)
class PackingWanted:
    """An answer: the shared cache lacks a packing.

    Attributes:
        component: what is to be packed.
        place: the item of the task that needs it.
    """

    component: Component
    place: int


class _MissingPacking(Exception):
    """Raised through a compilation where the cache lacks a packing."""

    def __init__(self, component: Component) -> None:
        super().__init__("the shared cache lacks a packing")
        self.component = component


class AskingCache(EmbeddingCache):
    """A cache that asks for what it does not hold, instead of finding it.

    Attributes:
        given: packings that were asked for and sent.
    """

    given: dict[Component, Kept]

    @classmethod
    def like(cls, cache: EmbeddingCache) -> AskingCache:
        """Return one of the same folder."""
        asking = cls(cache.folder.absolute(), limit=cache.limit, repair=cache.repair)
        asking.given = {}
        return asking

    def packing(
        self,
        size: int,
        target: Target,
        options: dict[str, int],
        find: Callable[[], Packing],
        shape: Shape | None = None,
    ) -> Kept:
        """Return a packing given, remembered or on disk; see `EmbeddingCache.packing`."""
        component = size if shape is None else shape
        kept = self.given.get(component)
        if kept is None:
            kept = self._read(self._name(size, target, options, shape), target)
        if kept is None:
            raise _MissingPacking(component)
        self.given[component] = kept
        return kept


class Repeater:
    """Compiles item after item; a placement is taken over from an earlier item of the same shape.

    Every result equals that of `qubo_attn.compile`, whatever came before it.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._seen: dict[tuple[int, ...], tuple[Placement, tuple[str, ...]]] = {}

    def lower(self, attention: Attention) -> Compilation:
        """Compile one checked item."""
        placement, notes = self._seen.get(attention.shape, (None, ()))
        compiled = lower(self.recipe, attention, placement)
        if compiled.placement is None:
            return compiled
        *stages, last = compiled.stages
        if compiled.placement is placement:
            rewrite = dataclasses.replace(last.rewrite, notes=notes)
            stages.append(dataclasses.replace(last, rewrite=rewrite))
            return dataclasses.replace(compiled, stages=tuple(stages))
        if len(self._seen) < _REMEMBERED:
            self._seen[attention.shape] = compiled.placement, last.rewrite.notes
        return compiled


_REPEATERS: dict[str, Repeater] = {}


def work(
    job: Job, packings: Mapping[Component, Kept], known: frozenset[str], items: Sequence[Attention]
) -> list[bytes | Exception] | PackingWanted:
    """Compile some items; this is what an executor runs.

    Args:
        job: how.
        packings: those that were asked for.
        known: placements that need not be sent back, see `Placement.digest`.
        items: checked.

    Returns:
        What came of each item, up to the first that failed; or what is wanting.
    """
    repeater = _REPEATERS.get(job.token)
    if repeater is None:
        repeater = Repeater(pickle.loads(zlib.decompress(job.data)))
        if len(_REPEATERS) >= _REMEMBERED:
            _REPEATERS.clear()
        _REPEATERS[job.token] = repeater
    embed = repeater.recipe.embed
    if embed is not None and isinstance(embed.cache, AskingCache):
        embed.cache.given.update(packings)
    answer: list[bytes | Exception] = []
    for place, attention in enumerate(items):
        try:
            with limited(1):  # the other cores have their own work
                answer.append(pack(repeater.lower(attention), known))
        except _MissingPacking as missing:
            return PackingWanted(missing.component, place)
        except Exception as error:
            answer.append(_portable(error))
            break
    return answer


def _portable(error: Exception) -> Exception:
    """Return an error that survives the way back; where it came from is noted, if it is a bug."""
    if not isinstance(error, QuboAttnError):
        error.add_note(f"in another process:\n{traceback.format_exc()}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an exception's own pickling may raise
        return QuboAttnError(f"{type(error).__name__}: {error}")
    return error


# -- what comes back ------------------------------------------------------------------------------


def pack(compilation: Compilation, placements: frozenset[str] = frozenset()) -> bytes:
    """Return the stages of a compilation as bytes, without what the receiver has.

    Args:
        compilation: by a recipe and of an item that the receiver has.
        placements: digests of the placements that it has.
    """
    buffer = io.BytesIO()
    packer = _Packer(buffer, pickle.HIGHEST_PROTOCOL)
    packer.compilation, packer.placements = compilation, placements
    packer.dump(compilation.stages)
    return buffer.getvalue()


def unpack(
    data: bytes, recipe: Recipe, attention: Attention, placements: dict[str, Placement]
) -> Compilation:
    """Return the compilation behind `pack`.

    Args:
        data: what `pack` returned.
        recipe: how the item was compiled.
        attention: the item.
        placements: placements by their digests.
    """
    unpacker = _Unpacker(io.BytesIO(data))
    unpacker.recipe, unpacker.attention, unpacker.placements = recipe, attention, placements
    return Compilation(attention, recipe, unpacker.load())


class _Packer(pickle.Pickler):
    compilation: Compilation
    placements: frozenset[str]

    def persistent_id(self, obj: object) -> tuple[str, str] | None:
        """Return the name of what the receiver has."""
        if isinstance(obj, Rows) and obj is self.compilation.attention.rows:
            return "rows", ""
        if isinstance(obj, Target) and obj is self.compilation.recipe.target:
            return "target", ""
        if isinstance(obj, Placement) and obj.digest in self.placements:
            return "placement", obj.digest
        return None


class _Unpacker(pickle.Unpickler):
    recipe: Recipe
    attention: Attention
    placements: dict[str, Placement]

    def persistent_load(self, pid: tuple[str, str]) -> object:
        """Return what was left out."""
        kind, digest = pid
        if kind == "rows":
            return self.attention.rows
        return self.recipe.target if kind == "target" else self.placements[digest]
