"""Tasks in flight: handed to an executor, again where they are lost, and taken back in order."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field

from qubo_attn.batch.inputs import Item, naming
from qubo_attn.batch.worker import MissingPacking, job_of, unpack, work
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compilation.structures import Structures
from qubo_attn.embedding.cache import CachedPacking
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.parts import Mixture
from qubo_attn.embedding.placement import Placement
from qubo_attn.errors import WorkerError

# How often the same task may be lost in a row.
LOSSES = 3
_BROKEN = (
    "the executor is broken: hand in a number of processes or a function that makes an executor, "
    "to have another made"
)


@dataclass(eq=False)
class Task:
    """Items on their way.

    Attributes:
        items: those without a result yet.
        future: of their answers; None where the task is to be handed out.
        placements: those that need not be sent back, by their digests.
        losses: how often it was lost.
    """

    items: deque[Item]
    future: Future[list[bytes | Exception]] | None = None
    placements: dict[str, Placement] = field(default_factory=dict)
    losses: int = 0

    @property
    def answers(self) -> list[bytes | Exception] | None:
        """What came back; None where nothing did so far, or the task was lost."""
        future = self.future
        if future is None or not future.done() or future.cancelled() or future.exception():
            return None
        return future.result()


class Stream:
    """Compilations of items by an executor, in order.

    Args:
        items: read as there is room.
        recipe: how they are compiled.
        executor: an executor, or what makes one; one that was made here is made anew when it breaks
            and shut down by `close`.
        window: most tasks in flight.
        chunk: items in a task.

    Raises:
        InputError: an option cannot be sent to another process.
    """

    def __init__(
        self,
        items: Iterator[Item],
        recipe: Recipe,
        executor: Executor | Callable[[], Executor],
        window: int,
        chunk: int,
    ) -> None:
        self.items, self.embed, self.job = items, recipe.embed, job_of(recipe)
        self.window, self.chunk = window, chunk
        self.structures = Structures()  # results share them
        self.packings: dict[Component | Mixture, CachedPacking] = {}
        self.tasks: deque[Task] = deque()
        self.failure: Exception | None = None
        self.make = None if isinstance(executor, Executor) else executor
        self.executor = executor if isinstance(executor, Executor) else executor()

    def __iter__(self) -> Iterator[Compilation]:
        """Yield compilations.

        Raises:
            Exception: of an item or its reading, after the results before it.
            WorkerError: a task was lost too often, or there is nowhere left to hand it to.
        """
        while self.fill():
            task = self.tasks[0]
            assert task.future is not None
            try:
                answers = task.future.result()
            except Exception as error:  # an item's own errors are among the answers
                self._recover(task, error)
                continue
            for answer in answers:
                item = task.items[0]
                if isinstance(answer, MissingPacking):
                    self._find_packing(item, answer.wanted)
                    break
                with naming(item.number):
                    if isinstance(answer, Exception):
                        raise answer
                    placements = task.placements | self._placements()
                    compilation = unpack(answer, item.recipe, item.attention, placements)
                task.items.popleft()
                yield self.adopt(compilation)
            if not task.items:
                self.tasks.popleft()
        if self.failure is not None:
            raise self.failure

    def adopt(self, compilation: Compilation) -> Compilation:
        """Return a compilation that shares placements and wirings with the others."""
        last = compilation.stages[-1].rewrite
        self.structures.keep(last.placement, last.notes)
        return dataclasses.replace(compilation, structures=self.structures)

    def _placements(self) -> dict[str, Placement]:
        """Return the placements at hand by their digests."""
        return {each.digest: each for each in self.structures.placements.values()}

    def close(self) -> None:
        """Cancel what is on its way; shut down an executor that was made here."""
        for task in self.tasks:
            if task.future is not None:
                task.future.cancel()
        if self.make is not None:
            self.executor.shutdown(wait=True, cancel_futures=True)

    def fill(self) -> bool:
        """Hand out tasks while there is room; return whether any is on its way."""
        while len(self.tasks) < self.window and (items := self._read()):
            self.tasks.append(Task(items))
        for task in self.tasks:
            if task.future is None:
                self._submit(task)
            if task.losses > 1:
                break  # It goes alone: what ends the process may be another task.
        return bool(self.tasks)

    def _read(self) -> deque[Item]:
        """Return the items of one more task; a failure to read waits for the results before it."""
        items: deque[Item] = deque()
        try:
            while len(items) < self.chunk and (item := next(self.items, None)):
                items.append(item)
        except Exception as error:
            self.failure = error
        return items

    def _submit(self, task: Task) -> None:
        attentions = [item.attention for item in task.items]
        task.placements = self._placements()
        digests = frozenset(task.placements)
        try:
            task.future = self.executor.submit(
                work, self.job, attentions, dict(self.packings), digests
            )
        except BrokenExecutor as error:
            task.future = Future()
            task.future.set_exception(error)

    def _find_packing(self, item: Item, wanted: Component | Mixture) -> None:
        """Find a packing once, for all tasks that asked for it or will."""
        assert self.embed is not None
        with naming(item.number):
            self.packings[wanted] = self.embed.packing(wanted)
        for task in self.tasks:
            answers = task.answers
            if answers and isinstance(answers[-1], MissingPacking):
                task.future = None

    def _recover(self, task: Task, error: Exception) -> None:
        """Take back a task that was lost, and all unfinished ones where the executor is broken."""
        task.future = None
        task.losses += 1
        broken = isinstance(error, BrokenExecutor)
        if broken and self.make is None:
            raise _worker_error(task, error, _BROKEN) from error
        if task.losses > LOSSES:
            advice = f"it was lost {task.losses} times: look for what ends the processes (memory?)"
            raise _worker_error(task, error, advice) from error
        if broken and self.make is not None:
            self.executor.shutdown(wait=False, cancel_futures=True)
            self.executor = self.make()
            for other in self.tasks:
                if other.answers is None:
                    other.future = None


def _worker_error(task: Task, error: Exception, advice: str) -> WorkerError:
    number = task.items[0].number
    return WorkerError(
        f"item {number}: its work was lost ({type(error).__name__}: {error}); {advice}",
        item=number,
        losses=task.losses,
    )
