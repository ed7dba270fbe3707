from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from dwave.embedding import verify_embedding

import qubo_attn as qa
from qubo_attn.embedding.cliques import largest_clique, pack_cliques
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.packing import Packing, chains_of
from qubo_attn.embedding.templates import clique_sizes, clique_tiles, round_up
from qubo_attn.embedding.tiling import Copy, Tiling
from qubo_attn.machine.lattice import Lattice

TARGETS = {
    "zephyr": qa.Target.zephyr(4),
    "pegasus": qa.Target.pegasus(4),
    "zephyr-losses": qa.Target.zephyr(4, missing_qubits=0.05, missing_couplers=0.03, seed=2),
    "pegasus-losses": qa.Target.pegasus(4, missing_qubits=0.05, missing_couplers=0.03, seed=2),
    "complete": qa.Target.from_graph(nx.complete_graph(20)),
    "grid": qa.Target.from_graph(nx.grid_2d_graph(6, 6)),
}


def chains(packing: Packing, copy: int, target: qa.Target) -> dict[int, list[object]]:
    start = copy * packing.size
    return {
        c: [
            target.qubit_name(int(q))
            for q in packing.qubit[packing.ptr[start + c] : packing.ptr[start + c + 1]]
        ]
        for c in range(packing.size)
    }


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("size", [1, 2, 4, 7, 12])
def test_copies_are_disjoint_embeddings(name: str, size: int) -> None:
    target = TARGETS[name]
    if name == "grid" and size > 4:
        pytest.skip("a 6 x 6 grid holds no larger clique")
    packing = pack_cliques(size, target, rounds=20)
    graph, source, used = target.graph(), nx.complete_graph(size), set()
    assert len(packing) >= 1
    for copy in range(len(packing)):
        embedding = chains(packing, copy, target)
        verify_embedding(embedding, source, graph)
        qubits = {q for chain in embedding.values() for q in chain}
        assert not used & qubits
        used |= qubits
    lengths = np.diff(packing.ptr).reshape(-1, size)
    assert (np.diff(lengths, axis=1) >= 0).all()


@pytest.mark.parametrize("topology", ["pegasus", "zephyr"])
def test_every_shipped_tile_is_an_embedding(topology: str) -> None:
    target = qa.Target.pegasus(5) if topology == "pegasus" else qa.Target.zephyr(5)
    for size in clique_sizes(topology):
        for tile in clique_tiles(topology, size):
            assert sorted(set(tile[:, 4])) == list(range(size))
        if size > 1:
            assert len(pack_cliques(size, target, rounds=0)) >= 1


def test_same_seed_same_packing() -> None:
    a, b, c = (pack_cliques(8, TARGETS["zephyr"], rounds=30, seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.qubit, b.qubit)
    assert not np.array_equal(a.qubit, c.qubit)


def test_more_rounds_pack_at_least_as_many() -> None:
    few, many = (len(pack_cliques(8, TARGETS["zephyr"], rounds=r)) for r in (0, 200))
    assert many >= few


@pytest.mark.parametrize("name", ["zephyr", "pegasus"])
def test_mirror_images_of_tiles_are_embeddings(name: str) -> None:
    """Every image of every tile, shifted to the middle, verifies on the ideal lattice."""
    target = TARGETS[name]
    lattice = Lattice.of(target.topology, target.shape)
    table = lattice.table(target.qubits)
    for tile in clique_tiles(target.topology, 8):
        images = lattice.images(tile)
        assert len(images) == (8 if name == "zephyr" else 2)
        for image in images:
            middle = lattice.shifted(image, lattice.shifts(2)[0] + lattice.steps[-1])
            qubits = table[tuple(middle[:, :4].T)]
            chains = [np.sort(qubits[middle[:, 4] == c]) for c in range(8)]
            assert Packing.of(Component(8), [chains]).fits(target)


@pytest.mark.parametrize("topology", ["pegasus", "zephyr"])
def test_cells_fill_the_lattice(topology: str) -> None:
    target = qa.Target.of(f"{topology}:6")
    crystal = Tiling(8, target).crystal()
    packing = packed(crystal)
    assert packing.fits(target)
    assert len(packing) > len(target.qubits) // 12 * 0.7
    lossy = Tiling(8, target.with_losses(0.02, 0.01, seed=1))
    clipped = lossy.crystal()
    assert 0 < len(clipped) < len(crystal)
    assert packed(clipped).fits(lossy.target)


def packed(copies: list[Copy]) -> Packing:
    return Packing.ordered(Component(8), [chains_of(*copy, 8) for copy in copies])


def test_gaps_are_filled_and_shapes_learned() -> None:
    tiling = Tiling(8, TARGETS["zephyr"])
    shipped = len(tiling.tiles)
    copies = tiling.fill_gaps([], 1, seed=0)
    assert len(copies) >= 1
    assert packed(copies).fits(tiling.target)
    assert len(tiling.tiles) >= shipped
    more = tiling.search(copies, 20_000, seed=0)
    assert len(more) >= len(copies)
    assert packed(more).fits(tiling.target)


@pytest.mark.parametrize("size", [8, 16, 32])
@pytest.mark.parametrize("topology", ["pegasus", "zephyr"])
def test_tiles_are_mended_where_much_is_missing(topology: str, size: int) -> None:
    ideal = qa.Target.of("zephyr:5" if topology == "zephyr" else "pegasus:6")
    target = ideal.with_losses(0.05, 0.02, seed=1)
    packing = pack_cliques(size, target, rounds=200)
    assert packing.fits(target)
    assert len(packing) >= 1


def test_large_cliques_come_from_busclique() -> None:
    packing = pack_cliques(40, TARGETS["zephyr"])
    assert packing.fits(TARGETS["zephyr"])
    assert len(packing) == 2


@pytest.mark.parametrize(
    ("target", "fits"), [(qa.Target.zephyr(1), 8), (qa.Target.from_graph(nx.path_graph(9)), 2)]
)
def test_too_small_a_target_says_how_many_keys_fit(target: qa.Target, fits: int) -> None:
    with pytest.raises(qa.EmbeddingError, match="would fit") as caught:
        pack_cliques(48, target)
    assert caught.value.requested == 48
    assert caught.value.fits >= fits
    assert len(pack_cliques(int(caught.value.fits), target)) >= 1


def test_compile_for_too_small_a_target() -> None:
    with pytest.raises(qa.EmbeddingError, match=r"row of 16 keys .* would fit"):
        qa.compile(
            np.random.default_rng(0).normal(size=(1, 1, 30)),
            1,
            target=qa.Target.from_graph(nx.cycle_graph(40)),
        )


def broken(packing: Packing, what: str) -> Packing:
    ptr, qubit = packing.ptr.copy(), packing.qubit.copy()
    if what == "overlap":
        qubit[0] = qubit[-1]
    elif what == "outside":
        qubit[0] = 10**6
    elif what == "uncoupled":
        qubit[0] = (set(range(len(TARGETS["zephyr"].qubits))) - set(qubit)).pop()
    elif what == "empty chain":
        ptr[1] = 0
    elif what == "short":
        ptr = ptr[:-1]
    elif what == "negative":
        qubit[0] = -1
    return Packing(packing.component, ptr, qubit)


@pytest.mark.parametrize(
    "what", ["overlap", "outside", "uncoupled", "empty chain", "short", "negative"]
)
def test_broken_packings_do_not_fit(what: str) -> None:
    packing = pack_cliques(6, TARGETS["zephyr"], rounds=0)
    assert packing.fits(TARGETS["zephyr"])
    assert not broken(packing, what).fits(TARGETS["zephyr"])


def test_fit_agrees_with_the_library_under_losses() -> None:
    """A packing of the ideal lattice, checked copy by copy on one with losses."""
    ideal = TARGETS["zephyr"]
    packing = pack_cliques(5, ideal, rounds=10)
    for seed in range(5):
        target = ideal.with_losses(0.0, 0.02, seed)
        graph = target.graph()
        for copy in range(len(packing)):
            embedding = chains(packing, copy, ideal)
            start, end = copy * 5, copy * 5 + 5
            alone = Packing(
                Component(5),
                packing.ptr[start : end + 1] - packing.ptr[start],
                packing.qubit[packing.ptr[start] : packing.ptr[end]],
            )
            good = all(
                nx.is_connected(graph.subgraph(chain)) for chain in embedding.values()
            ) and all(
                any(graph.has_edge(u, v) for u in embedding[a] for v in embedding[b])
                for a, b in combinations(range(5), 2)
            )
            assert alone.fits(target) == good


def test_rounding_up() -> None:
    assert round_up("zephyr", 16) == 16
    assert round_up("zephyr", 25) == 26
    assert round_up("zephyr", 50) == 50
    assert largest_clique(qa.Target.zephyr(2), 17) >= 16
