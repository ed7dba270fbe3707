"""Batches over executors: same bytes, in order, nothing lost, nothing embedded twice."""

from __future__ import annotations

import gc
import inspect
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor as Threads
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import compiler
from qubo_attn.batch.api import processes_of_our_own
from qubo_attn.batch.dispatch import LOSSES
from qubo_attn.batch.worker import job_of, pack, unpack
from qubo_attn.compilation.options import Options
from qubo_attn.embedding import shipped
from tests.conftest import read

OUTPUT: dict[str, Any] = {
    "select": qa.ExactlyK(3),
    "objective": "output",
    "slots": 6,
    "target": "zephyr:4",
}


def assert_same(found: qa.CompiledAttention, expected: qa.CompiledAttention) -> None:
    """All but the seconds, down to the bytes sent to a machine."""
    assert [stage.spec for stage in found.stages] == [stage.spec for stage in expected.stages]
    for mine, theirs in zip(found.stages, expected.stages, strict=True):
        assert mine.program.same(theirs.program)
        assert mine.lift.same(theirs.lift)
        assert mine.rewrite.notes == theirs.rewrite.notes
        assert (mine.rewrite.prove(), mine.rewrite.margin) == (
            theirs.rewrite.prove(),
            theirs.rewrite.margin,
        )
    for name in ("logits", "values", "keys"):
        mine, theirs = getattr(found.attention, name), getattr(expected.attention, name)
        assert (mine is None) == (theirs is None)
        assert mine is None or mine.tobytes() == theirs.tobytes()
    assert found.wires() == expected.wires()
    assert (found.recipe.mask is None) == (expected.recipe.mask is None)


def plain(items: Iterable[Any], heads: int, **options: Any) -> list[qa.CompiledAttention]:
    named = [item if isinstance(item, dict) else {"scores": item} for item in items]
    return [qa.compile(heads=heads, **(options | item)) for item in named]


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with processes_of_our_own(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def real() -> list[dict[str, np.ndarray]]:
    """Two shapes, the second in two lengths."""
    short, long = read("minilm_d02_L1_n10"), read("minilm_d08_L1_n30")
    return [
        {"scores": f["scores"][:, :n, :n] * scale, "values": f["value"][:, :n]}
        for scale in (1.0, 0.5)
        for f, n in ((short, 10), (long, 12), (short, 9), (long, 12))
    ]


@pytest.fixture(scope="module")
def expected(real: list[dict[str, np.ndarray]]) -> list[qa.CompiledAttention]:
    return plain(real, 12, **OUTPUT)


def test_options_are_those_of_compile() -> None:
    names = list(inspect.signature(compiler.compile).parameters)
    assert list(Options.__annotations__) == names[2:]


def test_one_after_another(
    real: list[dict[str, np.ndarray]], expected: list[qa.CompiledAttention]
) -> None:
    found = list(qa.compile_batch(real, 12, **OUTPUT))
    for mine, theirs in zip(found, expected, strict=True):
        assert_same(mine, theirs)
    assert found[1].placement is found[3].placement
    assert found[5].plan is found[7].plan


@pytest.mark.parametrize("executor", [False, True])
def test_tokens_that_are_added_are_no_new_structure(
    processes: ProcessPoolExecutor, executor: bool
) -> None:
    random = np.random.default_rng(0)
    items = [random.normal(size=(2, 1, keys)) for keys in range(6, 12)]
    options: dict[str, Any] = {"select": qa.ExactlyK(2), "slots": 5, "target": "zephyr:2"}
    pool = processes if executor else None
    found = list(qa.compile_batch(items, 2, executor=pool, **options))
    for mine, item in zip(found, items, strict=True):
        assert_same(mine, qa.compile(item, 2, **options))
    assert all(mine.plan is found[0].plan for mine in found)
    # What workers compiled before they knew of the first placement shares it all the same.
    assert all(mine.placement is found[0].placement for mine in found)


@pytest.mark.parametrize("chunk", [1, 3])
def test_two_processes_give_the_same_bytes(
    processes: ProcessPoolExecutor,
    real: list[dict[str, np.ndarray]],
    expected: list[qa.CompiledAttention],
    chunk: int,
) -> None:
    batch = qa.compile_batch(iter(real), 12, executor=processes, chunk=chunk, **OUTPUT)
    found = list(batch)
    for mine, theirs in zip(found, expected, strict=True):
        assert_same(mine, theirs)
    # Both were on their way before the placement of either was known.
    assert found[1].placement is found[3].placement
    one, other = found[-1].solve("anneal", seed=1), expected[-1].solve("anneal", seed=1)
    np.testing.assert_array_equal(one.selected, other.selected)
    np.testing.assert_array_equal(one.energies, other.energies)


def test_masks_of_items_and_hard_ties(processes: ProcessPoolExecutor) -> None:
    scores = read("smollm2-causal_d06_L14_n19")["scores"][:, :8, :8]
    mask = np.tril(np.ones((8, 8), bool))
    items = [scores, {"scores": scores, "mask": mask & (np.arange(8) > 0)}, scores * 2]
    options: dict[str, Any] = {
        "select": qa.ExactlyK(2),
        "tie": qa.TieVariables.from_kv_head(np.arange(9) // 3),
        "mask": mask,
        "target": None,
    }
    batch = qa.compile_batch(items, 9, executor=processes, **options)
    for mine, theirs in zip(batch, plain(items, 9, **options), strict=True):
        assert_same(mine, theirs)
        np.testing.assert_array_equal(mine.recipe.mask, theirs.recipe.mask)


@pytest.mark.parametrize("chunk", [1, 3])
def test_each_packing_is_found_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chunk: int
) -> None:
    """Later items need packings that the cache lacks: found here, sent to those who ask."""
    found: list[int] = []
    search = shipped.pack_cliques

    def counted(size: int, *rest: Any, **options: Any) -> Any:
        found.append(size)
        return search(size, *rest, **options)

    monkeypatch.setattr(shipped, "pack_cliques", counted)
    generator = np.random.default_rng(0)
    items = [generator.normal(size=(2, 3, n)) for n in (4, 6, 8, 6, 4, 8, 6)]
    cache = qa.EmbeddingCache(tmp_path)
    options: dict[str, Any] = {"select": qa.ExactlyK(2), "target": "zephyr:2", "slots": None}
    with Threads(2) as pool:
        stream = qa.compile_batch(items, 2, executor=pool, cache=cache, chunk=chunk, **options)
        batch = list(stream)
    assert sorted(found) == [4, 6, 8]
    assert cache.counts.written == 3
    for mine, theirs in zip(batch, plain(items, 2, cache=cache, **options), strict=True):
        assert_same(mine, theirs)


class Losing(Executor):
    """Threads that lose some of their work, as machines do."""

    def __init__(self, lost: set[int], error: Exception) -> None:
        self.pool, self.lost, self.error, self.calls = Threads(2), lost, error, 0

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        self.calls += 1
        if self.calls in self.lost:
            future: Future[Any] = Future()
            future.set_exception(self.error)
            return future
        return self.pool.submit(function, *args, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait=wait, cancel_futures=cancel_futures)


@given(
    lost=st.sets(st.integers(1, 9), max_size=3), window=st.integers(1, 4), chunk=st.integers(1, 3)
)
@settings(max_examples=15)
def test_lost_work_is_done_again(lost: set[int], window: int, chunk: int) -> None:
    items = [np.random.default_rng(n).normal(size=(1, 2, 4)) for n in range(7)]
    pool = Losing(lost, ConnectionError("gone"))
    batch = qa.compile_batch(
        items, 1, executor=pool, window=window, chunk=chunk, select=qa.OneHot(), target=None
    )
    logits = [compiled.attention.logits for compiled in batch]
    np.testing.assert_array_equal(logits, items)
    pool.shutdown()


def test_a_broken_executor_is_made_anew_where_it_can_be() -> None:
    items = [np.random.default_rng(n).normal(size=(1, 2, 4)) for n in range(7)]
    options: dict[str, Any] = {"select": qa.OneHot(), "target": None}
    made: list[Losing] = []

    def make() -> Losing:
        made.append(Losing({3} if len(made) < 2 else set(), BrokenExecutor("dead")))
        return made[-1]

    batch = list(qa.compile_batch(items, 1, executor=make, window=2, **options))
    np.testing.assert_array_equal([c.attention.logits for c in batch], items)
    assert len(made) == 3
    with pytest.raises(qa.WorkerError, match=r"item 3: .* the executor is broken") as caught:
        list(qa.compile_batch(items, 1, executor=Losing({3}, BrokenExecutor("dead")), **options))
    assert caught.value.item == 3
    assert isinstance(caught.value.__cause__, BrokenExecutor)
    always = Losing(set(range(100)), ConnectionError("gone"))
    with pytest.raises(qa.WorkerError, match=f"item 1: .* lost {LOSSES + 1} times"):
        list(qa.compile_batch(items, 1, executor=always, **options))


def test_a_killed_process_loses_nothing() -> None:
    items = [np.random.default_rng(n).normal(size=(2, 4, 6)) for n in range(24)]
    others = set(multiprocessing.active_children())
    batch = qa.compile_batch(items, 2, executor=2, select=qa.ExactlyK(2), target=None)
    found = [next(batch), next(batch)]
    ours = set(multiprocessing.active_children()) - others
    assert ours
    for process in ours:
        os.kill(process.pid, signal.SIGKILL)
    found += batch
    np.testing.assert_array_equal([c.attention.logits for c in found], items)
    assert set(multiprocessing.active_children()) <= others


def test_dask_workers_and_one_that_is_killed(
    real: list[dict[str, np.ndarray]], expected: list[qa.CompiledAttention]
) -> None:
    distributed = pytest.importorskip("distributed", reason="pip install 'qubo-attn[distributed]'")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers = client.run(os.getpid)
        assert len(workers) == 2
        batch = qa.compile_batch(real * 3, 12, executor=client.get_executor(), window=4, **OUTPUT)
        found = [next(batch) for _ in range(3)]
        os.kill(sorted(workers.values())[0], signal.SIGKILL)
        found += batch
    for mine, theirs in zip(found, expected * 3, strict=True):
        assert_same(mine, theirs)
    gc.collect()


def test_memory_is_bounded_and_arrays_may_be_used_again() -> None:
    read_so_far = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal read_so_far
        scores = np.empty((1, 2, 4))
        for n in range(40):
            scores[:] = np.random.default_rng(n).normal(size=(1, 2, 4))
            read_so_far += 1
            yield scores

    with Threads(2) as pool:
        batch = qa.compile_batch(
            stream(), 1, executor=pool, window=3, chunk=2, select=qa.OneHot(), target=None
        )
        for n, compiled in enumerate(batch):
            wanted = np.random.default_rng(n).normal(size=(1, 2, 4))
            np.testing.assert_array_equal(compiled.attention.logits, wanted)
            assert read_so_far <= n + 1 + 3 * 2
    assert read_so_far == 40


def test_abandoning_a_batch_cancels_what_waits() -> None:
    with Threads(1) as pool:
        items = (np.ones((1, 2, 4)) for _ in range(10**9))
        batch = qa.compile_batch(items, 1, executor=pool, select=qa.OneHot(), target=None)
        next(batch), next(batch)
        batch.close()  # type: ignore[attr-defined]
        assert pool.submit(int).result() == 0


@pytest.mark.parametrize("executor", [None, "threads"])
@pytest.mark.parametrize("chunk", [1, 4])
def test_errors_name_the_item_after_earlier_results(executor: str | None, chunk: int) -> None:
    good, bad = np.ones((1, 2, 4)), np.array([[[1.0, np.nan, 0.0, 0.0]]])
    wide = np.ones((1, 1, 40))
    options: dict[str, Any] = {"select": qa.OneHot(), "target": "zephyr:1", "slots": None}

    def broken() -> Iterator[np.ndarray]:
        yield good
        yield good
        raise RuntimeError("the file ended")

    class Unreadable:
        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise RuntimeError("no such tensor")

    cases: list[tuple[Iterable[Any], type[Exception], str, int]] = [
        ([good, Unreadable()], qa.InputError, "item 1: .*no such tensor", 1),
        ([good, {"scores": good, "mask": [[True], []]}], qa.InputError, "item 1: mask is not", 1),
        ([good, good, bad, good], qa.InputError, r"item 2: scores\[0,0,1\] is nan", 2),
        ([bad], qa.InputError, r"item 0: scores\[0,0,1\] is nan", 0),
        ([good, {"score": good}], qa.InputError, "item 1: .* it holds 'score'", 1),
        ([good, {"values": good}], qa.InputError, "item 1: .* it holds no 'scores'", 1),
        ([good, wide], qa.EmbeddingError, "item 1: ", 1),
        (broken(), RuntimeError, "the file ended", 2),
    ]
    with Threads(2) as pool:
        for items, kind, text, number in cases:
            found = []
            batch = qa.compile_batch(
                items, 1, executor=pool if executor else None, chunk=chunk, **options
            )
            with pytest.raises(kind, match=text) as caught:
                found.extend(batch)
            assert len(found) == number
            if issubclass(kind, qa.QuboAttnError):
                assert caught.value.item == number
            else:
                assert caught.value.__notes__ == [f"in item {number}"]


def test_errors_travel_with_their_facts(processes: ProcessPoolExecutor) -> None:
    items = [np.ones((1, 1, 4)), np.ones((1, 1, 40))]
    options: dict[str, Any] = {"select": qa.ExactlyK(2), "target": "zephyr:1", "slots": None}
    with pytest.raises(qa.EmbeddingError) as here:
        qa.compile(items[1], 1, **options)
    with pytest.raises(qa.EmbeddingError) as there:
        list(qa.compile_batch(items, 1, executor=processes, **options))
    assert str(there.value) == f"item 1: {here.value}"
    assert there.value.facts == here.value.facts | {"item": 1}


def test_bad_arguments_are_named_at_once() -> None:
    items = [np.ones((1, 1, 4))]
    for options, text in (
        ({"executor": 0}, "executor must be a concurrent.futures.Executor"),
        ({"executor": True}, "executor must be a concurrent.futures.Executor"),
        ({"executor": "dask"}, "executor must be a concurrent.futures.Executor"),
        ({"window": 0}, "window must be a whole number of at least 1, not 0"),
        ({"chunk": 1.5}, "chunk must be a whole number of at least 1, not 1.5"),
        ({"executor": 2, "after": [print]}, "hooks cannot follow items to other processes"),
    ):
        with pytest.raises(qa.InputError, match=text):
            qa.compile_batch(items, 1, **options)


def test_options_that_cannot_travel_are_named() -> None:
    class Local(qa.Selection):
        pass

    with Threads(1) as pool:
        items = [np.ones((1, 1, 4))] * 2
        batch = qa.compile_batch(items, 1, executor=pool, objective=Local(), target=None)
        with pytest.raises(qa.InputError, match="cannot be sent to another process"):
            list(batch)


def test_no_items_no_results() -> None:
    with Threads(1) as pool:
        assert not list(qa.compile_batch([], 1, executor=pool))


def test_a_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    items = [np.ones((1, 1, 4))] * 3
    list(qa.compile_batch(items, 1, select=qa.OneHot(), target=None, progress=True))
    shown = capsys.readouterr()
    assert "3/3" in shown.err
    assert not shown.out


def test_artifacts_pickle_by_their_fields(expected: list[qa.CompiledAttention]) -> None:
    compiled = expected[1]
    calls: list[str] = []
    hooked = qa.compile(
        compiled.attention.logits,
        12,
        values=compiled.attention.values,
        after=[lambda stage: calls.append(stage.name)],
        **OUTPUT,
    )
    bare = len(pickle.dumps(hooked))
    hooked.wires(), hooked.attention.softmax, hooked.capped, str(hooked)
    data = pickle.dumps(hooked)
    assert len(data) == bare
    back = pickle.loads(data)
    assert_same(back, compiled)
    assert not back.program.objective.bias.flags.writeable
    assert back.recipe.after == ()
    assert back.rebind(compiled.attention.logits).wires() == compiled.wires()
    assert calls == [stage.name for stage in hooked.stages[1:]]


def test_what_travels_is_small(expected: list[qa.CompiledAttention]) -> None:
    """The first program, the machine and the item stay behind."""
    compiled = expected[1]
    whole = len(pickle.dumps(compiled))
    assert len(pack(compiled)) < 0.7 * whole
    assert len(job_of(compiled.recipe)) < compiled.recipe.target.couplers.nbytes / 2


def test_a_bound_that_nobody_asked_for_is_not_worked_out(real: list[dict[str, np.ndarray]]) -> None:
    """It looks at every coupler, and would take longer than the compilation."""
    item = real[1]
    compiled = qa.compile(item["scores"], 12, values=item["values"], **OUTPUT)
    found = unpack(pack(compiled), compiled.recipe, compiled.attention, {})
    place = [stage.name for stage in compiled.stages].index("sparsify")
    mine, theirs = found.stages[place].rewrite, compiled.stages[place].rewrite
    assert mine.bound is None
    assert theirs.bound is None
    assert mine.prove() == theirs.prove() > 0
