"""Structures: what later batches take over, whatever their numbers of queries and keys."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.compilation.structures import Structures
from qubo_attn.passes.embed import TAKEN_OVER

Batch = dict[str, Any]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    cache = qa.EmbeddingCache(tmp_path_factory.mktemp("kept"))
    return {"select": qa.ExactlyK(2), "slots": 5, "target": qa.Target.zephyr(2), "cache": cache}


@st.composite
def batches(draw: st.DrawFn, heads: int) -> Batch:
    """Draw scores of few queries and keys, masked in one of many ways, with values."""
    queries, keys = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    scores = random.normal(size=(heads, queries, keys))
    kind = draw(st.sampled_from(("open", "causal", "mask", "scores")))
    batch = {"scores": scores, "values": random.normal(size=(heads, keys, 3))}
    seen = random.random((queries, keys)) < 0.7
    if kind == "causal":
        seen = np.tri(queries, keys, keys - queries, dtype=bool)
    if kind == "scores":
        batch["scores"] = np.where(seen, scores, -np.inf)
    return batch | {"mask": np.ones_like(seen) if kind in ("open", "scores") else seen}


def assert_same(one: qa.CompiledAttention, other: qa.CompiledAttention) -> None:
    """Both are the same to the last bit, but for notes on how the placement was come by."""
    for a, b in zip(one.stages, other.stages, strict=True):
        assert a.program.same(b.program)
        assert a.text == b.text
        for name, column in a.lift.arrays().items():
            assert np.array_equal(column, b.lift.arrays()[name])
    assert one.wires() == other.wires()
    x, y = one.solve("anneal", seed=1, num_reads=2), other.solve("anneal", seed=1, num_reads=2)
    for name in ("selected", "weights", "feasible", "capped", "empty", "energies", "context"):
        assert np.array_equal(getattr(x, name), getattr(y, name))


@settings(max_examples=15, deadline=None)
@given(data=st.data(), objective=st.sampled_from(("selection", "output")))
def test_a_batch_of_any_shape_equals_a_fresh_compile(
    options: Batch, data: st.DataObject, objective: str
) -> None:
    heads = data.draw(st.integers(1, 3))
    options = options | {"objective": objective}
    first, *others = data.draw(st.lists(batches(heads), min_size=2, max_size=4))
    compiled = qa.compile(heads=heads, **first, **options)
    for batch in others:
        compiled = compiled.rebind(**batch)
        assert_same(compiled, qa.compile(heads=heads, **batch, **options))


def test_tokens_take_no_new_plan(options: Batch) -> None:
    random = np.random.default_rng(0)
    step = qa.compile(random.normal(size=(4, 1, 9)), 4, **options)
    plan = step.plan
    for shape in [(4, 1, keys) for keys in range(10, 18)]:
        step = step.rebind(random.normal(size=shape))
        assert step.stages[-1].rewrite.notes == TAKEN_OVER
        assert step.plan is plan
    # A mask that hides keys of rows with more than enough changes nothing either.
    mask = np.arange(17) % 3 > 0
    assert step.rebind(random.normal(size=(4, 1, 17)), mask=mask).plan is plan


def test_structures_that_come_again_are_not_embedded_again(options: Batch) -> None:
    """Rows with fewer keys than slots are another structure; both are remembered."""
    random = np.random.default_rng(1)
    long, short = random.normal(size=(2, 3, 8)), random.normal(size=(2, 3, 4))
    first = qa.compile(long, 2, **options)
    second = first.rebind(short)
    assert second.stages[-1].rewrite.notes != TAKEN_OVER
    assert second.plan is not first.plan
    for again, plan in ((second.rebind(long), first.plan), (first.rebind(short), second.plan)):
        assert again.stages[-1].rewrite.notes == TAKEN_OVER
        assert again.plan is plan
    assert len(first.structures) == 2
    travelled = pickle.loads(pickle.dumps(first))
    assert not len(travelled.structures)
    assert travelled.rebind(long).stages[-1].rewrite.notes == TAKEN_OVER


def test_they_take_no_more_than_their_capacity(options: Batch) -> None:
    random = np.random.default_rng(2)
    compiled = qa.compile(random.normal(size=(1, 1, 8)), 1, **options)
    alone = compiled.structures
    alone.wiring(compiled.placement, compiled.program.total())
    few = Structures(3 * alone.size)
    names = []
    for rows in range(1, 6):
        batch = qa.compile(random.normal(size=(1, rows, 8)), 1, **options)
        few.keep(batch.placement, ("new",))
        wiring = few.wiring(batch.placement, batch.program.total())
        assert few.wiring(batch.placement, batch.program.total()) is wiring
        assert few.notes(batch.placement) == ("new",)
        names.append(batch.placement.structure)
        assert few.size <= few.capacity or len(few) == 1
    assert list(few.placements) == names[-len(few) :]
    assert 1 <= len(few) < 5


def test_what_the_next_batch_must_have_is_its_own(options: Batch) -> None:
    random = np.random.default_rng(3)
    scores, longer = random.normal(size=(2, 1, 6)), random.normal(size=(2, 1, 7))
    first = qa.compile(scores, 2, required=[1, 0, 0, 0, 0, 0], **options)
    message = r"required has shape .*; these are of the batch before: give required= of this one"
    with pytest.raises(qa.InputError, match=message):
        first.rebind(longer)
    flags = {"required": [0, 0, 0, 0, 0, 0, 1], "forbidden": [0, 1, 0, 0, 0, 0, 0]}
    again = first.rebind(longer, **flags)
    assert_same(again, qa.compile(longer, 2, **flags, **options))
    selected = again.solve("anneal", seed=1).selected
    assert selected[..., 6].all()
    assert not selected[..., 1].any()
    values = random.normal(size=(2, 6, 3))
    output = qa.compile(scores, 2, objective="output", values=values, **options)
    with pytest.raises(qa.InputError, match="give values= of this one"):
        output.rebind(longer)
    masked = qa.compile(scores, 2, mask=np.ones((1, 6), bool), **options)
    with pytest.raises(qa.InputError, match="give mask= of this one"):
        masked.rebind(longer)
    with pytest.raises(qa.InputError, match=r"mask has shape \(5,\); expected \(1, 7\)[^;]*$"):
        masked.rebind(longer, mask=[1, 1, 1, 1, 1])
