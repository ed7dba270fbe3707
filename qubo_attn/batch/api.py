"""``compile_batch``: a stream of attention in, a stream of compiled artifacts out, in order.

Tasks go to an executor, at most a window of them at a time: items are read when there is room for
them, and a result waits until all earlier ones are out. Items in flight stay in this process, so a
worker that is lost takes nothing with it.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from itertools import chain
from pkgutil import iter_modules
from typing import Unpack

from qubo_attn import kernels
from qubo_attn.batch.dispatch import Stream
from qubo_attn.batch.inputs import Item, RawItem, naming, read_items
from qubo_attn.batch.worker import Repeater
from qubo_attn.common.checks import flag, several, shown, whole
from qubo_attn.common.keywords import check_names, names_of
from qubo_attn.compilation.lower import lower
from qubo_attn.compilation.options import Options
from qubo_attn.compiled import CompiledAttention
from qubo_attn.compiler import compile
from qubo_attn.errors import InputError
from qubo_attn.frontend.heads import Head

# Tasks in flight where the number of workers is not known.
WINDOW = 16
# Beyond it, a process costs more than it does.
MOST_PROCESSES = 1024


def compile_batch(
    items: Iterable[RawItem],
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

    With an executor, this process compiles the first item, which fills the embedding cache, while
    the executor begins with the next ones. Its processes read packings from the cache. A packing
    that the cache lacks is found in this process, once, and sent to those that asked for it.

    Args:
        items: arrays of scores, graphs (`AttentionGraph`), or mappings with ``scores`` and, where
            they differ from item to item, ``values``, ``keys`` and ``mask``. Any iterable: it is
            read as there is room, and what it yields is copied, so a generator may use its arrays
            again.
        heads: see `qubo_attn.compile`.
        executor: where items are compiled. None means this process, one after another; a number
            means that many new processes (a script needs ``if __name__ == "__main__":``, as they
            import it); else any `concurrent.futures.Executor`, such as
            ``dask.distributed.Client.get_executor()``, or a function that makes one. An executor
            handed in stays open; one that was made here is made anew when it breaks.
        window: most tasks in flight, finished ones whose results still wait included; None means
            twice the number of processes, or 16 where that is not known.
        chunk: items in a task; more than one pays where an item takes less than about 10 ms.
        progress: show a progress bar on standard error.
        **options: of `qubo_attn.compile`; hooks are called without an executor only. Without an
            objective, the first item says which: ``"output"`` where it has values.

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
    check_names("compile_batch", options, [*names_of(compile_batch), *names_of(compile)[2:]])
    _check(executor)
    flag("progress", progress)
    chunk = whole("chunk", chunk, least=1)
    window = None if window is None else whole("window", window, least=1)
    hooks = [hook for name in ("before", "after") for hook in several(name, options.get(name, ()))]
    if executor is not None and hooks:
        raise InputError(
            "hooks cannot follow items to other processes; leave out before= and after=, or "
            "executor=",
            argument="executor",
        )
    total = _count(items)
    results = _results(read_items(items, heads, options), executor, window, chunk)
    return _shown(results, total) if progress else results


def _count(items: object) -> int | None:
    """Return how many items there are; None where only reading them tells.

    Raises:
        InputError: they are no iterable.
    """
    try:
        if isinstance(items, (str, bytes, Mapping)):
            raise TypeError("no items")
        iter(items)  # type: ignore[call-overload]
    except TypeError:
        raise InputError(
            f"items must be arrays of scores, or mappings with scores, not {shown(items)}",
            argument="items",
        ) from None
    return len(items) if isinstance(items, Sized) else None


def _check(executor: object) -> None:
    if executor is None or isinstance(executor, Executor) or callable(executor):
        return
    try:
        whole("executor", executor, 1, MOST_PROCESSES)
    except InputError:
        raise InputError(
            "executor must be a concurrent.futures.Executor, a function that makes one, a number "
            f"of processes from 1 to {MOST_PROCESSES} or None, not {shown(executor)}",
            argument="executor",
        ) from None


def _results(
    items: Iterator[Item],
    executor: Executor | Callable[[], Executor] | int | None,
    window: int | None,
    chunk: int,
) -> Iterator[CompiledAttention]:
    first = next(items, None)
    if first is None:
        return
    if executor is None:
        repeater = Repeater(first.recipe)
        for item in chain([first], items):
            with naming(item.number):
                compilation = repeater.lower(item.attention)
            compilation = dataclasses.replace(compilation, recipe=item.recipe)
            yield CompiledAttention.of(compilation)
        return
    if not isinstance(executor, Executor) and not callable(executor):
        window = window or 2 * int(executor)
        executor = partial(processes_of_our_own, int(executor))
    stream = Stream(items, first.recipe, executor, window or WINDOW, chunk)
    try:
        # Other processes begin meanwhile.
        stream.fill()
        with naming(first.number):
            compilation = lower(first.recipe, first.attention)
        yield CompiledAttention.of(stream.adopt(compilation))
        yield from map(CompiledAttention.of, stream)
    finally:
        stream.close()


def processes_of_our_own(count: int) -> ProcessPoolExecutor:
    """Return an executor of some processes that have the package loaded."""
    # Not forks of this process, whose threads may hold locks, but of one that loads the package
    # once and runs no threads of ours.
    server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if server else "spawn")
    if server:
        names = (module.name for module in iter_modules(kernels.__path__, "qubo_attn.kernels."))
        context.set_forkserver_preload(["qubo_attn.batch.worker", *names])
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
