"""Wirings: handed on where the structure is the same, and kept by nothing else."""

from __future__ import annotations

import gc
import pickle
import weakref

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.backend.wiring import Wiring


@pytest.fixture
def compiled(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> qa.CompiledAttention:
    return qa.compile(
        minilm["scores"], 12, select=qa.ExactlyK(3), target=qa.Target.zephyr(3), cache=cache
    )


def test_a_wiring_serves_the_same_structure_only(compiled: qa.CompiledAttention) -> None:
    form, placement, wiring = compiled.program.total(), compiled.placement, compiled.wiring
    assert Wiring.of(placement, form, wiring) is wiring
    fewer = type(form)(form.offset, form.linear, form.i[1:], form.j[1:], form.bias[1:])
    assert Wiring.of(placement, fewer, wiring) is not wiring
    other = pickle.loads(pickle.dumps(placement))
    assert Wiring.of(other, form, wiring).placement is other


def test_it_is_handed_on(compiled: qa.CompiledAttention) -> None:
    compiled.wires()
    again = compiled.rebind(compiled.attention.logits[::-1])
    assert again.wiring is compiled.wiring
    assert again.structures is compiled.structures
    assert not len(pickle.loads(pickle.dumps(again)).structures)
    kept = again.wiring.layouts[True]
    assert again.wiring.layout(None, wire=True) is kept
    other = qa.SolverOrder.of(compiled.recipe.target)
    assert again.wiring.layout(other, wire=True) is not kept
    assert set(again.wiring.layouts) == {True}


def test_bounds_of_all_chains_are_those_of_each_submission(
    compiled: qa.CompiledAttention,
) -> None:
    bounds = compiled.wiring.chain_bounds(*compiled.coefficients.physical)
    for part in compiled.submissions:
        assert bounds[part.variables].tolist() == list(part.chain_bound.values())


def use(compiled: qa.CompiledAttention, order: qa.SolverOrder) -> list[weakref.ref[object]]:
    """Fill everything that could be kept, and return references that keep nothing."""
    compiled.wires(order)
    compiled.hardware_arrays(order)
    compiled.wires()
    compiled.precision()
    part = compiled.submissions[0]
    part.wire(order)
    part.validate(reads=10)
    compiled.solve("anneal", seed=1, num_reads=2)
    return [weakref.ref(thing) for thing in (compiled, compiled.program, compiled.coefficients)]


def test_nothing_keeps_a_deleted_compilation(compiled: qa.CompiledAttention) -> None:
    target, cache, logits = (
        compiled.recipe.target,
        compiled.recipe.embed.cache,
        compiled.attention.logits,
    )
    order = qa.SolverOrder.of(target)
    first = qa.compile(logits, 12, select=qa.ExactlyK(3), target=target, cache=cache)
    gone = use(first, order)
    again = first.rebind(logits[::-1])
    del first
    gc.collect()
    assert [ref() for ref in gone] == [None] * len(gone)
    wiring = again.wiring
    gone = [*use(again, order), weakref.ref(wiring), weakref.ref(wiring.plan)]
    gone += map(weakref.ref, wiring.layouts.values())
    del again, wiring
    gc.collect()
    assert [ref() for ref in gone] == [None] * len(gone)
