"""What `compile_batch` sends to another process, what runs there, and what comes back.

A *job* is a recipe without its hooks, pickled and compressed once; a process unpacks it once. A
task is a job and some checked items. What comes back of an item is its stages alone: the machine
and the item are here already, and so is a placement that came back before. The program before any
pass, by far the largest, is built anew here if somebody asks for it.

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
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from qubo_attn.common.threads import limited
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compiled import CompiledAttention
from qubo_attn.embedding.cache import EmbeddingCache, Kept
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.shapes import Shape
from qubo_attn.errors import InputError, QuboAttnError
from qubo_attn.frontend.attention import Attention
from qubo_attn.ir.lift import Lift
from qubo_attn.machine.target import Target
from qubo_attn.pipeline.pipeline import Pass, Stage
from qubo_attn.pipeline.rewrite import Rewrite

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

    def lower(self, attention: Attention) -> CompiledAttention:
        """Compile one checked item."""
        placement, notes = self._seen.get(attention.shape, (None, ()))
        compiled = self.recipe.lower(attention, placement)
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


def pack(compiled: CompiledAttention, known: frozenset[str] = frozenset()) -> bytes:
    """Return a compilation as bytes, without what the receiver has.

    Args:
        compiled: by a recipe and of an item that the receiver has.
        known: digests of the placements that it has.
    """
    first, *later = compiled.stages
    lean: tuple[str, str, float, float | None, tuple[str, ...]] | Stage = first
    if later and all(stage.program is not first.program for stage in later):
        lean = first.name, first.spec, first.seconds, first.peak, first.rewrite.notes
    # A bound that nobody has asked for would take longer than all else; it is not worked out here.
    waiting = [place for place, stage in enumerate(later) if stage.rewrite.waiting]
    for place in waiting:
        later[place] = _bounded(later[place], 0.0)
    buffer = io.BytesIO()
    packer = _Packer(buffer, pickle.HIGHEST_PROTOCOL)
    packer.target, packer.known = compiled.recipe.target, known
    packer.dump((lean, later, waiting))
    return buffer.getvalue()


def unpack(
    data: bytes, recipe: Recipe, attention: Attention, known: dict[str, Placement]
) -> CompiledAttention:
    """Return the compilation behind `pack`.

    Args:
        data: what `pack` returned.
        recipe: how the item was compiled.
        attention: the item.
        known: placements by their digests.
    """
    unpacker = _Unpacker(io.BytesIO(data))
    unpacker.target, unpacker.known = recipe.target, known
    first, later, waiting = unpacker.load()
    if not isinstance(first, Stage):
        name, spec, seconds, peak, notes = first
        rewrite = Rebuilt.of(recipe, attention, later[0].lift.n_before, notes)
        first = Stage(name, spec, rewrite, seconds, peak)
    stages = [first, *later]
    for place in waiting:
        pass_, before = recipe.passes[place], stages[place].rewrite
        stages[place + 1] = _bounded(stages[place + 1], partial(_bound_again, pass_, before))
    return CompiledAttention(attention, recipe, tuple(stages))


def _bounded(stage: Stage, bound: float | Callable[[], float]) -> Stage:
    return replace(stage, rewrite=replace(stage.rewrite, bound=bound))


def _bound_again(pass_: Pass, before: Rewrite) -> float:
    """Return the bound of a pass, which runs again for it."""
    return pass_.apply(before.program).bound


class Rebuilt(Rewrite):
    """The rewrite of a first stage, whose program is built when it is first asked for."""

    @classmethod
    def of(cls, recipe: Recipe, attention: Attention, n: int, notes: tuple[str, ...]) -> Rebuilt:
        """Return the rewrite of the first stage of compiling ``attention``, of n variables."""
        rewrite = object.__new__(cls)
        fields = {field.name: field.default for field in dataclasses.fields(Rewrite)[2:]}
        made = {"lift": Lift.identity(n), "notes": notes, "_source": (recipe, attention)}
        for name, value in (fields | made).items():
            object.__setattr__(rewrite, name, value)
        return rewrite

    def __getattr__(self, name: str) -> Any:
        # Called only for what is not there: the program, the first time.
        source = self.__dict__.pop("_source", None) if name == "program" else None
        if source is None:
            raise AttributeError(name)
        recipe, attention = source
        program, _ = recipe.objective_program(attention)
        object.__setattr__(self, "program", program)
        return program


class _Packer(pickle.Pickler):
    target: Target | None
    known: frozenset[str]

    def persistent_id(self, obj: object) -> object:
        if obj is self.target and obj is not None:
            return ("target", "")
        if isinstance(obj, Placement) and obj.digest in self.known:
            return ("placement", obj.digest)
        return None


class _Unpacker(pickle.Unpickler):
    target: Target | None
    known: dict[str, Placement]

    def persistent_load(self, pid: tuple[str, str]) -> object:
        kind, digest = pid
        return self.target if kind == "target" else self.known[digest]
