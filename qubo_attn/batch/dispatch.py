"""Work in flight: handed to an executor, handed out again where it is lost, taken back in order."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeGuard

from qubo_attn.backend.wiring import Wiring
from qubo_attn.batch.inputs import Entry, Source
from qubo_attn.batch.worker import (
    Component,
    Job,
    PackingWanted,
    unpack,
    work,
)
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.embedding.cache import Kept
from qubo_attn.embedding.placement import Placement
from qubo_attn.errors import WorkerError

# How often the same work may be lost in a row.
LOSSES = 3
# Placements that results share; a stream has a few structures.
_PLACEMENTS = 32


@dataclass(eq=False)
class Shared:
    """What results have in common: placements, and the wirings of those that came up twice."""

    placements: dict[str, Placement] = field(default_factory=dict)
    wirings: dict[str, Wiring | None] = field(default_factory=dict)

    def adopt(self, compiled: Compilation) -> Compilation:
        """Return a result that shares its wiring with others of its placement."""
        placement = compiled.placement
        if placement is None:
            return compiled
        digest = placement.digest
        if digest in self.wirings:
            # An answer on its way before the first one was known brings a placement of its own.
            compiled = _placed(compiled, self.placements[digest])
            wiring = self.wirings[digest]
            if wiring is None:
                wiring = self.wirings[digest] = compiled.wiring
            return dataclasses.replace(compiled, earlier_wiring=wiring)
        if len(self.placements) < _PLACEMENTS:
            self.placements[digest], self.wirings[digest] = placement, None
        return compiled


def _placed(compiled: Compilation, placement: Placement) -> Compilation:
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

    entries: list[Entry]
    future: Future[Any] | None = None
    losses: int = 0


class Stream:
    """Hands out work and yields results in order; `close` takes back what is on its way."""

    def __init__(
        self,
        source: Source,
        executor: Executor | Callable[[], Executor],
        shared: Shared,
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

    def __iter__(self) -> Iterator[Compilation]:
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
