from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from dwave.embedding import verify_embedding

import qubo_attn as qa
from qubo_attn import kernels
from qubo_attn.common.arrays import Longs
from qubo_attn.embedding.cliques import find_clique, largest_clique, pack_cliques
from qubo_attn.embedding.large import ideal_largest, large_clique
from qubo_attn.embedding.minors import embed_clique

LOSSY = {
    "zephyr": qa.Target.zephyr(5, missing_qubits=0.05, missing_couplers=0.01, seed=4),
    "pegasus": qa.Target.pegasus(6, missing_qubits=0.05, missing_couplers=0.01, seed=4),
}


def verify(chains: list[Longs], target: qa.Target) -> None:
    embedding = {c: target.qubits[chain].tolist() for c, chain in enumerate(chains)}
    verify_embedding(embedding, nx.complete_graph(len(chains)), target.graph())


def test_larger_than_busclique_reaches() -> None:
    target = LOSSY["zephyr"]
    alone = max(n for n in range(20, 80, 2) if embed_clique(n, target, target.couplers, 0))
    chains = find_clique(alone + 4, target)
    verify(chains, target)
    assert len(chains) == alone + 4
    assert largest_clique(target, 100) >= alone + 4


@pytest.mark.parametrize("name", LOSSY)
def test_chains_keep_to_the_length_asked_for(name: str) -> None:
    target = LOSSY[name]
    chains = large_clique(20, target)
    while chains:
        verify(chains, target)
        longest = max(map(len, chains))
        chains = large_clique(20, target, longest=longest - 1)
        assert not chains or max(map(len, chains)) < longest
    assert longest < 20


def test_same_seed_same_chains() -> None:
    a, b = (large_clique(26, LOSSY["zephyr"], seed=3) for _ in range(2))
    assert all(np.array_equal(c, d) for c, d in zip(a, b, strict=True))


@pytest.mark.parametrize("topology", ["zephyr", "pegasus"])
@pytest.mark.parametrize("m", [2, 3, 4])
def test_busclique_reaches_so_far_in_ideal_lattices(topology: str, m: int) -> None:
    target = qa.Target.of(f"{topology}:{m}")
    most = ideal_largest(target.topology, target.shape)
    verify(embed_clique(most, target, target.couplers, 0), target)
    assert embed_clique(most + 1, target, target.couplers, 0) == []


def test_beyond_the_ideal_lattice_there_is_nothing() -> None:
    assert large_clique(90, LOSSY["zephyr"]) == []


def test_a_clique_beyond_busclique_is_packed_once() -> None:
    target = LOSSY["zephyr"]
    size = largest_clique(target, 100)
    made = pack_cliques(size, target)
    assert len(made) == 1
    assert made.fits(target)


def mended(
    edges: list[tuple[int, int]], owner: list[int], chains: int, longest: int = 9
) -> tuple[int, list[int]]:
    target = qa.Target.from_graph(nx.Graph(edges))
    changed = np.array(owner, np.int64)
    free, most = np.ones(len(owner), bool), len(owner)
    unmet, _ = kernels.mend_clique(changed, chains, free, target.adjacency, longest, most)
    return unmet, changed.tolist()


def test_mending_grows_along_free_qubits() -> None:
    path = [(0, 1), (1, 2), (2, 3), (3, 4)]
    unmet, owner = mended(path, [0, -1, -1, -1, 1], 2)
    assert unmet == 0
    assert owner[3:] == [0, 1]  # the end that is not needed any more came off
    unmet, _ = mended(path, [0, -1, -1, -1, 1], 2, longest=2)
    assert unmet == 1


def test_mending_keeps_the_larger_piece_and_what_is_needed() -> None:
    # Chain 0 lies on both sides of chain 1; the lone end is let go.
    path = [(0, 1), (1, 2), (2, 3)]
    unmet, owner = mended(path, [0, 1, 0, 0], 2)
    assert unmet == 0
    assert owner in ([-1, 1, 0, -1], [0, 1, -1, -1])
    # A chain without a qubit meets nobody.
    assert mended(path, [0, 0, 0, 0], 2)[0] == 1
