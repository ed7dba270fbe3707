"""``compile_batch``: a stream of attention in, a stream of compiled artifacts out, in order.

Work is handed to an executor a window at a time: items are read when there is room for them, and
results wait only as long as an earlier one is not finished. The items in flight are kept here, so a
worker that is lost takes nothing with it.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from itertools import chain, islice
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeGuard, Unpack

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn import kernels
from qubo_attn.artifact import CompiledAttention
from qubo_attn.attention import Attention, Head
from qubo_attn.chains import ChainStrength
from qubo_attn.compiler import compile, prepare
from qubo_attn.coupling import Coupling
from qubo_attn.embedding.cache import EmbeddingCache, Kept
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.errors import InputError, QuboAttnError, WorkerError
from qubo_attn.objectives import Objective
from qubo_attn.passes import TieVariables
from qubo_attn.pipeline import AfterHook, BeforeHook, Pass
from qubo_attn.recipe import Recipe
from qubo_attn.select import Select
from qubo_attn.target import Target
from qubo_attn.workers import (
    Component,
    Job,
    PackingWanted,
    Repeater,
    unpack,
    work,
)

if TYPE_CHECKING:
    import networkx as nx

Item: TypeAlias = ArrayLike | Mapping[str, ArrayLike]
# How often the same work may be lost in a row.
LOSSES = 3
# Tasks in flight where the number of workers is not known.
WINDOW = 16
# Placements that results share; a stream has a few structures.
_PLACEMENTS = 32
_ITEM = ("scores", "values", "keys", "mask")


class Options(TypedDict, total=False):
    """The options of `qubo_attn.compile`, the same for all items."""

    select: Select
    objective: str | Objective
    values: ArrayLike | None
    keys: ArrayLike | None
    mask: ArrayLike | None
    kv_head: ArrayLike | None
    required: ArrayLike | None
    forbidden: ArrayLike | None
    tie: TieVariables | None
    coupling: Coupling | Sequence[Coupling] | None
    slots: int | Literal["auto"] | None
    passes: Sequence[Pass | str] | str | None
    target: Target | str | nx.Graph | object | None
    cache: EmbeddingCache | str | os.PathLike[str] | None
    seed: int
    chain_strength: ChainStrength
    longest_chain: int | None
    before: Sequence[BeforeHook]
    after: Sequence[AfterHook]
    verify_each: bool


def compile_batch(
    items: Iterable[Item],
    heads: int | Sequence[Head],
    *,
    executor: Executor | Callable[[], Executor] | int | None = None,
    window: int | None = None,
    chunk: int = 1,
    progress: bool = False,
    **options: Unpack[Options],
) -> Iterator[CompiledAttention]:
    """Compile a stream of attention, in order, within bounded memory.

    Every result equals ``qubo_attn.compile(scores, heads, **options)`` of its item, wherever it was
    compiled; only the seconds and peaks of its stages differ. Items of one structure share one
    placement.

    With an executor the first item is compiled here, which fills the embedding cache, while others
    begin; other processes read from it. A packing that it lacks is found here, once, and sent to
    who asked for it.

    Args:
        items: arrays of scores, or mappings with ``scores`` and, where they differ from item to
            item, ``values``, ``keys`` and ``mask``. Any iterable: it is read as there is room, and
            what it yields is copied, so a generator may use its arrays again.
        heads: see `qubo_attn.compile`.
        executor: where items are compiled. None means here, one after another; a number that many
            processes of one's own (a script needs ``if __name__ == "__main__":``, as they
            import it); else any `concurrent.futures.Executor`, such as
            ``dask.distributed.Client.get_executor()``, or a function that makes one. An executor
            handed in stays open; one that was made here is made anew when it breaks.
        window: most tasks in flight, those finished but not yet taken included; None means twice
            the number of processes, or 16 where that is not known.
        chunk: items in a task; more than one pays where an item takes less than about 10 ms.
        progress: show a progress bar on standard error.
        **options: of `qubo_attn.compile`; hooks are called without an executor only.

    Yields:
        One compiled artifact for each item.

    Raises:
        InputError: an argument does not fit, or an item; an item's number is ``item`` of the error.
        QuboAttnError: an item does not compile, as `qubo_attn.compile` says it; names the item.
            Results of earlier items have been yielded then.
        WorkerError: workers were lost again and again, or an executor handed in broke; names the
            first item that is missing.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> scores = np.random.default_rng(0).normal(size=(3, 2, 4, 8))
        >>> batch = qa.compile_batch(scores, 2, select=qa.ExactlyK(2), target=None)
        >>> [len(compiled.program) for compiled in batch]
        [64, 64, 64]
    """
    _check(executor, window, chunk)
    if executor is not None and (options.get("before") or options.get("after")):
        raise InputError(
            "hooks cannot follow items to other processes; leave out before= and after=, or "
            "executor=",
            argument="executor",
        )
    total = len(items) if isinstance(items, Sized) else None
    results = _results(_Source(iter(items), heads, options), executor, window, chunk)
    return _shown(results, total) if progress else results


def _check(executor: object, window: object, chunk: object) -> None:
    counted = isinstance(executor, int) and not isinstance(executor, bool)
    known = executor is None or isinstance(executor, Executor) or callable(executor)
    if (counted and int(executor) < 1) or not (counted or known):  # type: ignore[call-overload]
        raise InputError(
            f"executor must be a concurrent.futures.Executor, a function that makes one, a number "
            f"of processes >= 1 or None, not {executor!r}",
            argument="executor",
        )
    for name, value in (("window", 1 if window is None else window), ("chunk", chunk)):
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
            raise InputError(f"{name} must be a whole number >= 1, not {value!r}", argument=name)


def _results(
    source: _Source,
    executor: Executor | Callable[[], Executor] | int | None,
    window: int | None,
    chunk: int,
) -> Iterator[CompiledAttention]:
    first = source.first()
    if first is None:
        return
    shared = _Shared()
    if executor is None:
        repeater = Repeater(source.recipe)
        for entry in chain([first], source):
            with entry.named():
                compiled = repeater.lower(entry.checked())
            yield shared.adopt(dataclasses.replace(compiled, recipe=entry.recipe))
        return
    if isinstance(executor, int):
        window = window or 2 * executor
        executor = partial(processes_of_our_own, executor)
    stream = _Stream(source, executor, shared, window or WINDOW, chunk)
    try:
        # The others begin meanwhile.
        stream.fill()
        with first.named():
            compiled = first.recipe.lower(first.checked())
        yield shared.adopt(compiled)
        yield from stream
    finally:
        stream.close()


def processes_of_our_own(count: int) -> ProcessPoolExecutor:
    """Return an executor of some processes that have the package loaded."""
    # Not forks of this process, whose threads may hold locks, but of one that loads the package
    # once and runs no threads of ours.
    server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if server else "spawn")
    if server:
        context.set_forkserver_preload(["qubo_attn.workers", *kernels.MODULES])
    return ProcessPoolExecutor(count, mp_context=context)


def _shown(results: Iterator[CompiledAttention], total: int | None) -> Iterator[CompiledAttention]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("compiling"), BarColumn(), MofNCompleteColumn(), Elapsed(), Remaining())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("compiling", total=total)
        for compiled in results:
            bar.advance(task)
            yield compiled


# -- items ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Entry:
    """An item that was read: checked attention, or why there is none.

    Attributes:
        number: from 0.
        recipe: how it is compiled.
        attention: checked; None where reading or checking failed.
        error: that failure.
    """

    number: int
    recipe: Recipe
    attention: Attention | None = None
    error: Exception | None = None

    def checked(self) -> Attention:
        """Return the attention, or raise what was wrong with it."""
        if self.attention is None:
            assert self.error is not None
            raise self.error
        return self.attention

    def named(self) -> _Naming:
        """Return a context that adds the item's number to errors."""
        return _Naming(self.number)


@dataclass(frozen=True)
class _Naming:
    """Adds an item's number to the errors raised within."""

    number: int

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, QuboAttnError):
            if "item" not in error.facts:
                error.facts["item"] = self.number
                error.args = (f"item {self.number}: {error}",)
        elif isinstance(error, Exception):
            error.add_note(f"in item {self.number}")


class _Source:
    """Reads and checks items, one at a time, up to the first that fails."""

    recipe: Recipe

    def __init__(
        self, items: Iterator[Item], heads: int | Sequence[Head], options: Options
    ) -> None:
        self.items, self.heads, self.options = items, heads, options
        self.number = 0

    def first(self) -> _Entry | None:
        """Return the first item, if there is one; its recipe is that of all."""
        for item in self.items:
            self.number = 1
            with _Naming(0):
                given = signature(compile).bind(
                    heads=self.heads, **{**self.options, **_columns(item)}
                )
                given.apply_defaults()
                attention, recipe = prepare(**given.arguments)
            self.recipe = _masked(recipe, self.options.get("mask"))
            return _Entry(0, recipe, attention)
        return None

    def __iter__(self) -> Iterator[_Entry]:
        while True:
            number = self.number
            try:
                item = next(self.items)
            except StopIteration:
                return
            except Exception as error:
                # Results of the items before it come first.
                yield _Entry(number, self.recipe, error=error)
                return
            self.number += 1
            try:
                entry = self._entry(number, item)
            except QuboAttnError as error:
                yield _Entry(number, self.recipe, error=error)
                return
            yield entry

    def _entry(self, number: int, item: Item) -> _Entry:
        columns = _columns(item)
        mask, options = columns.get("mask", self.options.get("mask")), self.options
        attention = Attention.check(
            columns["scores"],
            self.heads,
            values=columns.get("values", options.get("values")),
            keys=columns.get("keys", options.get("keys")),
            mask=mask,
            kv_head=options.get("kv_head"),
            required=options.get("required"),
            forbidden=options.get("forbidden"),
        )
        recipe = _masked(self.recipe, mask) if "mask" in columns else self.recipe
        return _Entry(number, recipe, attention)


def _masked(recipe: Recipe, mask: ArrayLike | None) -> Recipe:
    return dataclasses.replace(recipe, mask=None if mask is None else np.array(mask))


def _columns(item: Item) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"scores": item}
    odd = [name for name in item if name not in _ITEM]
    if odd or "scores" not in item:
        found = f"it holds {odd[0]!r}" if odd else "it holds no 'scores'"
        raise InputError(
            f"an item is an array of scores or a mapping with scores and, as needed, values, keys "
            f"and mask; {found}",
            argument="items",
        )
    return {str(name): value for name, value in item.items()}


# -- results --------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Shared:
    """What results have in common: placements, and the plans of those that came up twice."""

    placements: dict[str, Placement] = field(default_factory=dict)
    plans: dict[str, Plan | None] = field(default_factory=dict)

    def adopt(self, compiled: CompiledAttention) -> CompiledAttention:
        """Return a result that shares its plan with others of its placement."""
        placement = compiled.placement
        if placement is None:
            return compiled
        digest = placement.digest
        if digest in self.plans:
            # An answer on its way before the first one was known brings a placement of its own.
            compiled = _placed(compiled, self.placements[digest])
            plan = self.plans[digest]
            if plan is None:
                plan = self.plans[digest] = compiled.plan
            return dataclasses.replace(compiled, known_plan=plan)
        if len(self.placements) < _PLACEMENTS:
            self.placements[digest], self.plans[digest] = placement, None
        return compiled


def _placed(compiled: CompiledAttention, placement: Placement) -> CompiledAttention:
    """Return a result with an equal placement in place of its own."""
    if compiled.placement is placement:
        return compiled
    *stages, last = compiled.stages
    last = dataclasses.replace(last, rewrite=dataclasses.replace(last.rewrite, placement=placement))
    return dataclasses.replace(compiled, stages=(*stages, last))


@dataclass(eq=False)
class _Task:
    """Items on their way.

    Attributes:
        entries: the items; only the last may be one that could not be read.
        future: of the answer; None where it is not handed out.
        losses: how often it was lost.
    """

    entries: list[_Entry]
    future: Future[Any] | None = None
    losses: int = 0


class _Stream:
    """Hands out work and yields results in order; `close` takes back what is on its way."""

    def __init__(
        self,
        source: _Source,
        executor: Executor | Callable[[], Executor],
        shared: _Shared,
        window: int,
        chunk: int,
    ) -> None:
        self.entries, self.recipe = iter(source), source.recipe
        self.job, self.shared = Job.of(source.recipe), shared
        self.packings: dict[Component, Kept] = {}
        self.window, self.chunk = window, chunk
        self.make = None if isinstance(executor, Executor) else executor
        self.executor = executor if isinstance(executor, Executor) else executor()
        self.tasks: deque[_Task] = deque()

    def __iter__(self) -> Iterator[CompiledAttention]:
        while self.fill():
            task = self.tasks[0]
            answer = self._answer(task)
            self.tasks.popleft()
            for entry, outcome in zip(task.entries, answer, strict=False):
                with entry.named():
                    if isinstance(outcome, Exception):
                        raise outcome
                    compiled = unpack(
                        outcome, entry.recipe, entry.checked(), self.shared.placements
                    )
                yield self.shared.adopt(compiled)

    def close(self) -> None:
        """Cancel what is on its way; shut down an executor of one's own."""
        for task in self.tasks:
            if task.future is not None:
                task.future.cancel()
        if self.make is not None:
            self.executor.shutdown(wait=True, cancel_futures=True)

    def fill(self) -> bool:
        """Hand out work while there is room; return whether any is on its way."""
        for task in self.tasks:
            if task.future is None:
                self._submit(task)
        while len(self.tasks) < self.window:
            entries = list(islice(self.entries, self.chunk))
            if not entries:
                break
            task = _Task(entries)
            self.tasks.append(task)
            self._submit(task)
        return bool(self.tasks)

    def _submit(self, task: _Task) -> None:
        items = [entry.attention for entry in task.entries if entry.attention is not None]
        known = frozenset(self.shared.placements)
        if not items:
            return
        try:
            task.future = self.executor.submit(work, self.job, dict(self.packings), known, items)
        except BrokenExecutor as error:
            task.future = Future()
            task.future.set_exception(error)

    def _answer(self, task: _Task) -> list[bytes | Exception]:
        """Wait for a task; lost work is handed out again, packings asked for are sent."""
        unread = [entry.error for entry in task.entries if entry.error is not None]
        if len(unread) == len(task.entries):
            return list(unread)
        while True:
            if task.future is None:
                self._submit(task)
            assert task.future is not None
            try:
                answer = task.future.result()
            except Exception as error:  # an item's own errors are among the answers
                self._lost(task, error)
                continue
            if not isinstance(answer, PackingWanted):
                return [*answer, *unread]
            self._pack(task, answer)

    def _pack(self, task: _Task, wanted: PackingWanted) -> None:
        """Find a packing once, for all who asked for it or will."""
        embed = self.recipe.embed
        assert embed is not None
        with task.entries[wanted.place].named():
            self.packings[wanted.component] = embed.packing(wanted.component)
        for other in self.tasks:
            future = other.future
            if _is_answered(future) and isinstance(future.result(), PackingWanted):
                self._submit(other)

    def _lost(self, task: _Task, error: Exception) -> None:
        """Hand out lost work again.

        Raises:
            WorkerError: it was lost too often, or there is nowhere left to hand it to.
        """
        first = task.entries[0].number
        task.losses += 1
        broken = isinstance(error, BrokenExecutor)
        if task.losses > LOSSES or (broken and self.make is None):
            advice = (
                "the executor is broken: hand in a number of processes or a function that makes an "
                "executor, to have another made"
                if broken and self.make is None
                else f"it was lost {task.losses} times: look for what ends the processes (memory?)"
            )
            raise WorkerError(
                f"item {first}: its work was lost ({type(error).__name__}: {error}); {advice}",
                item=first,
                losses=task.losses,
            ) from error
        if not broken:
            self._submit(task)
            return
        assert self.make is not None
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self.make()
        for other in self.tasks:
            if not _is_answered(other.future):
                other.future = None
                # Lost twice, it goes alone: what ends the process may be another task.
                if task.losses < 2 or other is task:
                    self._submit(other)


def _is_answered(future: Future[Any] | None) -> TypeGuard[Future[Any]]:
    return (
        future is not None
        and future.done()
        and not future.cancelled()
        and future.exception() is None
    )
