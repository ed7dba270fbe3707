from __future__ import annotations

from functools import cache

import networkx as nx
import numpy as np
import pytest
from dwave.embedding import verify_embedding
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.embedding.cliques import ROUNDS, pack_cliques
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.mending import Repair, longest_allowed, mend_packing
from qubo_attn.embedding.packing import Packing

TARGETS = {
    "zephyr": qa.Target.zephyr(3, missing_qubits=0.02, missing_couplers=0.005, seed=1),
    "pegasus": qa.Target.pegasus(4, missing_qubits=0.02, missing_couplers=0.005, seed=1),
    "complete": qa.Target.from_graph(nx.complete_graph(24)),
}
# Tiles ship for the first two sizes; the last comes from busclique or minorminer.
SIZES = {"zephyr": (4, 12, 34), "pegasus": (4, 12, 34), "complete": (4, 12)}
CASES = [(name, size) for name, sizes in SIZES.items() for size in sizes]


@cache
def kept(case: tuple[str, int]) -> Packing:
    return pack_cliques(case[1], TARGETS[case[0]], rounds=50)


def moved(packing: Packing, old: qa.Target, new: qa.Target) -> Packing:
    """The packing by positions on another state of the machine, written with dictionaries."""
    place = {int(q): p for p, q in enumerate(new.qubits)}
    return Packing(
        packing.component, packing.ptr, [place.get(int(old.qubits[q]), -1) for q in packing.qubit]
    )


def mended(
    case: tuple[str, int], qubits: list[int], couplers: list[int], seed: int = 0
) -> tuple[Packing | None, Repair, qa.Target]:
    old, packing = TARGETS[case[0]], kept(case)
    ends = old.qubits[old.couplers[couplers]]
    new = old.without(old.qubits[qubits], ends)
    found, repair = mend_packing(
        moved(packing, old, new),
        new,
        longest=packing.longest_chain,
        rounds=ROUNDS,
        seed=seed,
    )
    return found, repair, new


def chains(packing: Packing, target: qa.Target) -> set[frozenset[frozenset[int]]]:
    """The copies as sets of chains of qubit numbers."""
    return {
        frozenset(frozenset(target.qubits[chain].tolist()) for chain in copy)
        for copy in packing.copies()
    }


@settings(max_examples=25)
@given(
    case=st.sampled_from(CASES),
    qubits=st.lists(st.integers(0, 23), max_size=6, unique=True),
    spread=st.integers(1, 11),
    couplers=st.lists(st.integers(0, 275), max_size=8, unique=True),
)
def test_mended_packings_always_fit(
    case: tuple[str, int], qubits: list[int], spread: int, couplers: list[int]
) -> None:
    found, repair, new = mended(
        case, [spread * q % len(TARGETS[case[0]].qubits) for q in qubits], couplers
    )
    assert repair.before == len(kept(case))
    if found is None:
        assert repair.after == 0
        return
    assert found.size == case[1]
    assert found.fits(new)
    assert len(found) == repair.after
    assert found.longest_chain <= longest_allowed(kept(case).longest_chain, 4)
    graph, used = new.graph(), set()
    for copy in found.copies():
        embedding = {c: new.qubits[chain].tolist() for c, chain in enumerate(copy)}
        verify_embedding(embedding, nx.complete_graph(case[1]), graph)
        qubits_of = {q for chain in embedding.values() for q in chain}
        assert not used & qubits_of
        used |= qubits_of
    before, after = chains(kept(case), TARGETS[case[0]]), chains(found, new)
    assert repair.reused == len(before & after)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_the_change_does_not_touch_stays(case: tuple[str, int]) -> None:
    old, packing = TARGETS[case[0]], kept(case)
    idle = np.setdiff1d(np.arange(len(old.qubits)), packing.qubit)[:2].tolist()
    if not idle:
        pytest.skip("every qubit is in use")
    found, repair, new = mended(case, idle, [])
    assert repair == Repair(before=len(packing), reused=len(packing), mended=0, placed=0)
    assert chains(found, new) == chains(packing, old)


@pytest.mark.parametrize("case", [("zephyr", 12), ("zephyr", 34), ("pegasus", 12)], ids=str)
def test_one_lost_qubit_costs_at_most_one_copy(case: tuple[str, int]) -> None:
    packing = kept(case)
    for qubit in packing.qubit[:: len(packing.qubit) // 8].tolist():
        found, repair, _ = mended(case, [qubit], [])
        assert repair.after >= len(packing) - 1
        assert repair.after - repair.reused <= 12
        if found is None:
            assert len(packing) == 1


def test_a_broken_chain_is_rerouted_in_place() -> None:
    """A ring of four qubits holds a triangle; the ladder beside it is the way around."""
    ring = [(0, 1), (1, 2), (2, 3), (3, 0), (2, 4), (4, 5), (5, 0)]
    old = qa.Target.from_graph(nx.Graph(ring))
    packing = Packing(Component(3), [0, 1, 2, 4], [0, 1, 2, 3])
    assert packing.fits(old)
    new = old.without([3], [])
    found, repair = mend_packing(moved(packing, old, new), new, longest=2, rounds=0, seed=0)
    assert repair == Repair(before=1, reused=0, mended=1, placed=0)
    assert sorted(new.qubits[found.qubit].tolist()) == [0, 1, 2, 4, 5]
    cut = old.without([3, 4], [])
    none, repair = mend_packing(moved(packing, old, cut), cut, longest=2, rounds=0, seed=0)
    assert none is None
    assert repair.after == 0


def test_same_seed_same_repair() -> None:
    lost = kept(("zephyr", 34)).qubit[::40].tolist()
    for case in (("zephyr", 12), ("zephyr", 34)):
        a, b = (mended(case, lost, [], seed=3)[0] for _ in range(2))
        assert np.array_equal(a.qubit, b.qubit)
        assert np.array_equal(a.ptr, b.ptr)


def test_given_up_once_too_few_copies_can_be_left() -> None:
    case = ("zephyr", 34)
    packing, target = kept(case), TARGETS[case[0]]
    machine = target.without(target.qubits[packing.qubit[::3]], [])
    found, repair = mend_packing(
        moved(packing, target, machine), machine, longest=2, rounds=0, seed=0, least=len(packing)
    )
    assert found is None
    assert repair.before == len(packing)
