from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from dwave.embedding import verify_embedding

import qubo_attn as qa
from qubo_attn.embedding.component import Shape
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.shapes import pack_shape
from qubo_attn.embedding.sparse import sparse_shapes
from qubo_attn.formulations.walls import grid_of

TARGETS = [
    qa.Target.zephyr(3),
    qa.Target.pegasus(4),
    qa.Target.zephyr(3, missing_qubits=0.05, missing_couplers=0.02, seed=1),
    qa.Target.from_graph(nx.convert_node_labels_to_integers(nx.grid_2d_graph(12, 12))),
]


def grid(n: int, k: int) -> Shape:
    walls = grid_of(n, k)
    ends = np.sort(np.stack([walls.lower, walls.upper], axis=1), axis=1)
    i, j = np.unique(ends, axis=0).T
    return Shape(walls.size, i, j)


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("shape", [grid(9, 1), grid(8, 2)], ids=["path", "grid"])
def test_copies_are_disjoint_embeddings(target: qa.Target, shape: Shape) -> None:
    packing = pack_shape(shape, target)
    source, graph = nx.Graph(shape.edges), target.graph()
    used: list[int] = []
    for copy in range(len(packing)):
        chains = range(copy * shape.size, (copy + 1) * shape.size)
        embedding = {
            node: target.qubits[packing.qubit[packing.ptr[c] : packing.ptr[c + 1]]].tolist()
            for node, c in enumerate(chains)
        }
        verify_embedding(embedding, source, graph)
        used += [q for chain in embedding.values() for q in chain]
    assert len(used) == len(set(used))
    if shape.is_path:
        assert packing.longest_chain == 1
        assert len(used) > 0.85 * len(target.qubits)
    else:
        assert len(packing) > 1
    again = pack_shape(shape, target)
    assert np.array_equal(again.qubit, packing.qubit)


def test_a_wrong_packing_does_not_fit() -> None:
    target, shape = TARGETS[0], grid(9, 1)
    packing = pack_shape(shape, target)
    assert packing.fits(target)
    swapped = packing.qubit.copy()
    swapped[[0, 5]] = swapped[[5, 0]]
    assert not Packing(packing.component, packing.ptr, swapped).fits(target)
    twice = packing.qubit.copy()
    twice[0] = twice[1]
    assert not Packing(packing.component, packing.ptr, twice).fits(target)
    assert not packing.fits(target.without([int(target.qubits[0])], []))


def test_shapes_are_kept_and_checked(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(size=(1, 4, 8))

    def run() -> tuple[qa.EmbeddingCache, bytes]:
        cache = qa.EmbeddingCache(tmp_path)
        compiled = qa.compile(
            scores, 1, select=qa.OneHot(), objective="hard", target="zephyr:2", cache=cache
        )
        return cache, compiled.placement.chain_qubit.tobytes()

    first, chains = run()
    second, again = run()
    assert chains == again
    assert (first.counts.misses, second.counts.hits, second.counts.misses) == (1, 1, 0)
    (entry,) = second.entries()
    assert str(entry.facts["shape"]).startswith("S7-")


def test_cliques_have_no_shape(minilm: dict[str, np.ndarray]) -> None:
    program = qa.compile(minilm["scores"], 12, select=qa.ExactlyK(3), target=None).program
    assert sparse_shapes(program, program.components) == {}


def test_a_shape_that_does_not_fit_says_so() -> None:
    with pytest.raises(qa.EmbeddingError, match="199 variables and 198 couplers does not fit"):
        pack_shape(grid(200, 1), qa.Target.zephyr(1))


def test_smaller_grids_start_larger_ones() -> None:
    assert grid(12, 3).holds(grid(9, 3))
    assert not grid(9, 3).holds(grid(12, 3))
    assert not grid(12, 3).holds(grid(9, 4))


def product(keys: int, heads: int) -> Shape:
    """Rows that are cliques, each coupled to the next key by key."""
    pairs = [
        (h * keys + a, h * keys + b) for h in range(heads) for a in range(keys) for b in range(a)
    ]
    pairs += [(h * keys + a, (h + 1) * keys + a) for h in range(heads - 1) for a in range(keys)]
    i, j = np.unique(np.sort(pairs, axis=1), axis=0).T
    return Shape(keys * heads, i, j)


def test_rows_joined_along_a_path_are_sparse() -> None:
    shape = product(8, 4)
    assert shape.is_sparse
    # The last key of a row lies just after the whole row, so it counts with the row.
    assert shape.between == 3 * 7
    assert not product(8, 2).is_sparse
    target = qa.Target.zephyr(4)
    found = pack_shape(shape, target)
    assert found.fits(target)
    assert len(found.qubit) / len(found) < 80  # the 32-clique takes 128 qubits
    assert len(found) > 1  # images of the first


def test_a_shape_that_minorminer_cannot_place_takes_a_clique(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qubo_attn.embedding.shapes.embed_copies", lambda *_: [])
    shape, target = product(8, 3), qa.Target.zephyr(3)
    found = pack_shape(shape, target)
    assert found.fits(target)
    assert found.component.shape is shape
    with pytest.raises(qa.EmbeddingError, match="does not fit"):
        pack_shape(product(8, 12), target)
