"""Reads of qubits to reads of variables: kernels against loops, and all of it against Ocean's."""

from __future__ import annotations

import dimod
import numpy as np
import pytest
from dwave.embedding import MinimizeEnergy, chain_breaks, unembed_sampleset
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn import kernels

SEEDS = st.integers(0, 10_000)
# Around the widths at which reads are turned side by side.
COUNTS = st.sampled_from([0, 1, 31, 32, 33, 128, 131, 160])


@given(SEEDS, COUNTS)
def test_votes_and_energies(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    samples = generator.choice(np.array([-1, 1], np.int8), (count, 12))
    ptr, column = np.array([0, 1, 3, 6, 10]), generator.permutation(12)[:10]
    h, pairs = generator.normal(size=4), np.array([(0, 1), (0, 3), (1, 2), (2, 3)])
    coupling, first = generator.normal(size=4), np.array([0, 2, 3, 4, 4])
    model = kernels.SpinModel(0.25, h, first, pairs[:, 1].copy(), coupling)
    chains = kernels.Chains(column, ptr)
    spins, energies, broken = kernels.unembed_majority(samples, chains, model)
    bits, again = kernels.chain_votes(samples, chains, 0)
    for m in range(count):
        parts = [samples[m, column[ptr[c] : ptr[c + 1]]] for c in range(4)]
        votes = [1 if sum(map(int, part)) >= 0 else -1 for part in parts]
        assert spins[m].tolist() == votes
        assert bits[m].tolist() == [int(vote > 0) for vote in votes]
        assert broken[m] == again[m] == sum(len(set(part.tolist())) > 1 for part in parts)
        energy = 0.25 + sum(h * votes)
        energy += sum(c * votes[u] * votes[v] for (u, v), c in zip(pairs, coupling, strict=True))
        assert energies[m] == pytest.approx(energy, abs=1e-12)
    alone = kernels.spin_energies(spins, model)
    np.testing.assert_array_equal(alone, energies)


def test_long_chains_do_not_run_over() -> None:
    """A chain of 300 qubits, and more chains than one sum of breaks holds in sixteen bits."""
    samples = np.ones((2, 300), np.int8)
    samples[1, :140] = -1
    chain = kernels.Chains(np.arange(300), np.array([0, 300]))
    votes, broken = kernels.chain_votes(samples, chain, -1)
    assert votes.ravel().tolist() == [1, 1]
    assert broken.tolist() == [0, 1]
    count = 40_000
    pair = np.array([[1, -1]], np.int8)
    chains = kernels.Chains(np.tile([0, 1], count), 2 * np.arange(count + 1))
    assert kernels.chain_votes(pair, chains, -1)[1][0] == count


def broken_reads(
    compiled: qa.CompiledAttention, s: int, *, seed: int, reads: int = 40, share: float = 0.1
) -> dimod.SampleSet:
    """Random chains of one submission, a share of their qubits flipped, with occurrences."""
    part, generator = compiled.submissions[s], np.random.default_rng(seed)
    physical = part.physical
    assert physical is not None
    lengths = np.diff(physical.chain_ptr)
    spins = generator.choice(np.array([-1, 1], np.int8), (reads, len(lengths)))
    qubits = np.repeat(spins, lengths, axis=1)
    flips = generator.random(qubits.shape) < share
    flips[: reads // 4] = False  # some reads stay whole
    order = generator.permutation(qubits.shape[1])
    labels = compiled.recipe.target.qubits[physical.chain_qubit][order].tolist()
    return dimod.SampleSet.from_samples(
        (np.where(flips, -qubits, qubits)[:, order], labels),
        "SPIN",
        np.zeros(reads),
        num_occurrences=generator.integers(1, 5, reads),
        info={"timing": {"qpu_access_time": 1}},
    )


@pytest.fixture(scope="module", params=["zephyr:3", "pegasus:3"])
def compiled(request: pytest.FixtureRequest, minilm: dict[str, np.ndarray]) -> qa.CompiledAttention:
    return qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target=request.param,
    )


@pytest.mark.parametrize("method", ["majority", "discard", "minimise-energy"])
@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_unembedding_is_oceans(compiled: qa.CompiledAttention, method: str, vartype: str) -> None:
    part = compiled.submissions[0]
    sampleset = broken_reads(compiled, 0, seed=len(method))
    theirs = {
        "majority": chain_breaks.majority_vote,
        "discard": chain_breaks.discard,
        "minimise-energy": MinimizeEnergy(part.bqm, part.embedding),
    }[method]
    expected = unembed_sampleset(
        sampleset.copy(),
        part.embedding,
        part.bqm,
        chain_break_method=theirs,
        chain_break_fraction=True,
    )
    given_ = sampleset.change_vartype(vartype, inplace=False)
    before = given_.copy()
    found = part.unembed(given_, method)
    assert given_ == before
    assert list(found.variables) == list(expected.variables)
    np.testing.assert_array_equal(found.record.sample, expected.record.sample)
    np.testing.assert_allclose(found.record.energy, expected.record.energy, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.record.num_occurrences, expected.record.num_occurrences)
    np.testing.assert_array_equal(
        found.record.chain_break_fraction, expected.record.chain_break_fraction
    )
    assert found.info == sampleset.info
    # Ten reads stay whole; some of the others may by chance.
    assert 10 <= len(found) < 20 if method == "discard" else len(found) == 40
    bits = part.read(given_, method)
    np.testing.assert_array_equal(bits.samples, expected.record.sample > 0)
    np.testing.assert_array_equal(bits.broken, expected.record.chain_break_fraction)


@given(SEEDS)
def test_descent_of_one_large_component_is_oceans(seed: int) -> None:
    """Twelve coupled chains, equal fields among them; an independent order of couplers."""
    generator = np.random.default_rng(seed)
    n = 12
    i, j = np.triu_indices(n, 1)
    live = generator.random(len(i)) < 0.6
    i, j = i[live], j[live]
    coupling = generator.integers(-2, 3, len(i)).astype(float)
    bqm = dimod.BinaryQuadraticModel.from_numpy_vectors(
        generator.integers(-2, 3, n).astype(float), (i, j, coupling), 0.0, "SPIN"
    )
    embedding = {v: [3 * v, 3 * v + 1, 3 * v + 2] for v in range(n)}
    samples = generator.choice(np.array([-1, 1], np.int8), (20, 3 * n))
    expected, _ = MinimizeEnergy(bqm, embedding)(samples, list(embedding.values()))
    both = kernels.adjacency(n, i.astype(np.int32), j.astype(np.int32), coupling)
    model = kernels.SpinModel(0.0, bqm.to_numpy_vectors().linear_biases, *both)
    chains = kernels.Chains(np.arange(3 * n), 3 * np.arange(n + 1))
    spins, _ = kernels.descend_breaks(samples, chains, np.arange(n), np.array([0, n]), model)
    np.testing.assert_array_equal(spins, expected)


def test_nothing_left_after_discarding(compiled: qa.CompiledAttention) -> None:
    samplesets = [
        broken_reads(compiled, s, seed=1, reads=3, share=0.5)
        for s in range(len(compiled.submissions))
    ]
    assert len(compiled.submissions[0].unembed(samplesets[0], "discard")) == 0
    with pytest.raises(qa.DecodeError, match="submission 0 has no read without a broken chain"):
        compiled.decode(samplesets, chain_break_method="discard")


def test_unknown_methods_are_named(compiled: qa.CompiledAttention) -> None:
    sampleset = broken_reads(compiled, 0, seed=1)
    for call in (
        lambda: compiled.submissions[0].unembed(sampleset, "minimize_energy"),
        lambda: compiled.submissions[0].read(sampleset, "minimize_energy"),
        lambda: compiled.solve(chain_break_method="minimize_energy"),
    ):
        with pytest.raises(qa.InputError, match=r"'minimize_energy'; one of majority, discard"):
            call()
