from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace

import dimod
import numpy as np
import pytest
from dwave.embedding import EmbeddedStructure, broken_chains, embed_bqm
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.backend import chain_strength as chains
from qubo_attn.backend.model import Physical


def naive_bound(field: list[float], outside: list[float], links: list[tuple[int, int]]) -> float:
    """The formula of `qubo_attn.backend.chain_strength`, cut by cut."""
    best = 0.0
    for up in product((False, True), repeat=len(field)):
        if len(set(up)) == 1:
            continue
        cut = sum(up[u] != up[v] for u, v in links)
        x_up = sum(x for x, side in zip(outside, up, strict=True) if side)
        x_down = sum(x for x, side in zip(outside, up, strict=True) if not side)
        h_up = sum(h for h, side in zip(field, up, strict=True) if side)
        h_down = sum(h for h, side in zip(field, up, strict=True) if not side)
        gain = min(x_up - h_up, x_down + h_down)
        best = max(best, gain / cut if cut else np.inf)
    return best


def bound_of(
    field: np.ndarray, between: np.ndarray, coupling: np.ndarray, links: np.ndarray, qubits: int
) -> float:
    """The bound of a chain over the first qubits; each other qubit is a chain alone."""
    n = len(field)
    u, v = np.concatenate([between, links]).T
    physical = Physical(
        target=SimpleNamespace(qubits=np.arange(qubits)),
        chain_ptr=np.array([0, n, *range(n + 1, qubits + 1)]),
        chain_qubit=np.arange(qubits),
        strength=np.zeros(qubits - n + 1),
        qubit=np.arange(n),
        h=field,
        u=u.copy(),
        v=v.copy(),
        j=np.concatenate([coupling, np.zeros(len(links))]),
    )
    return float(chains.bounds(physical)[0])


@st.composite
def chained(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Fields of a chain and its neighbours, couplings out of it, couplers in it, its length."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, others = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    h = generator.normal(size=n + others) * draw(st.sampled_from([0.1, 1.0, 5.0]))
    between = np.triu(generator.normal(size=(n + others, n + others)), 1)
    between[:n, :n] = 0
    links = np.array([(int(generator.integers(v)), v) for v in range(1, n)])
    extra = (0, n - 1)
    if n > 2 and draw(st.booleans()) and extra not in set(map(tuple, links.tolist())):
        links = np.vstack([links, extra])
    return h, between, links, n


@given(chained())
def test_above_the_bound_no_optimum_breaks_the_chain(
    case: tuple[np.ndarray, np.ndarray, np.ndarray, int],
) -> None:
    h, between, links, n = case
    u, v = np.nonzero(between)
    out = (u < n) != (v < n)
    bound = bound_of(h[:n], np.column_stack([u, v])[out], between[u, v][out], links, len(h))
    outside = np.abs(between[:n, n:]).sum(axis=1)
    assert bound == pytest.approx(naive_bound(h[:n].tolist(), outside.tolist(), links.tolist()))
    spins = np.array(list(product((-1, 1), repeat=len(h))))
    energy = spins @ h + np.einsum("mi,ij,mj->m", spins, between, spins)
    energy -= bound * (spins[:, links[:, 0]] * spins[:, links[:, 1]]).sum(axis=1)
    whole = np.abs(spins[:, :n].sum(axis=1)) == n
    # At the bound itself a broken state may tie with, never beat, the best whole one.
    assert energy[whole].min() <= energy[~whole].min() + 1e-9


def test_the_bound_is_reached() -> None:
    """Two qubits pulled apart by unit couplings to pinned neighbours break just below it."""
    h = np.array([0.0, 0.0, 9.0, -9.0])
    columns = np.array([[0, 2], [1, 3]]), np.ones(2)
    bound = bound_of(h[:2], *columns, np.array([[0, 1]]), 4)
    assert bound == 1
    for strength, kept in ((1.01, True), (0.99, False)):
        bqm = dimod.BinaryQuadraticModel(dict(enumerate(h)), {(0, 2): 1, (1, 3): 1}, 0, "SPIN")
        bqm.add_quadratic(0, 1, -strength)
        best = dimod.ExactSolver().sample(bqm).first.sample
        assert bool(best[0] == best[1]) is kept


def test_strong_fields_need_no_strength() -> None:
    alone = np.zeros((0, 2), np.int64), np.zeros(0)
    assert bound_of(np.array([3.0, 3.0]), *alone, np.array([[0, 1]]), 2) == 0


def test_long_and_loose_chains() -> None:
    n = chains.EXACT + 2
    line = np.column_stack([np.arange(n - 1), np.arange(1, n)])
    between = np.column_stack([np.arange(n), np.full(n, n)])
    arguments = np.full(n, 0.5), between, np.ones(n)
    whole = bound_of(*arguments, line, n + 1)
    assert whole == (n + 0.5 * n) / 2
    assert whole >= naive_line(n, 0.5)
    torn = bound_of(*arguments, line[1:], n + 1)
    assert torn == np.inf


def naive_line(n: int, field: float) -> float:
    """The best cut of a line of equal qubits with unit outside couplings is in one place."""
    cuts = [min(a - field * a, n - a + field * (n - a)) for a in range(1, n)]
    return max(*cuts, *(min(a + field * a, n - a - field * (n - a)) for a in range(1, n)))


@pytest.mark.parametrize("objective", ["selection", "output"])
def test_embedded_rows_keep_their_chains(
    objective: str, smollm2: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> None:
    """Real rows of six keys on a machine, all states of qubits and chains enumerated."""
    scores, values = smollm2["scores"][:3, 5:6, :6], smollm2["value"][:3, :6]
    compiled = qa.compile(
        scores,
        3,
        select=qa.ExactlyK(3),
        objective=objective,
        values=values,
        target="pegasus:2",
        cache=cache,
    )
    edges = compiled.recipe.target.graph().edges
    for part in compiled.submissions:
        for row in np.unique(compiled.placement.component[part.variables]):
            mine = part.variables[compiled.placement.component[part.variables] == row]
            bqm = part.bqm.copy()
            bqm.remove_variables_from([v for v in part.variables.tolist() if v not in mine])
            bqm.offset = 0
            embedding = {v: part.embedding[v] for v in mine.tolist()}
            strength = {v: part.chain_bound[v] + 1e-6 for v in embedding}
            structure = EmbeddedStructure(edges, embedding)
            qubits = dimod.ExactSolver().sample(embed_bqm(bqm, structure, chain_strength=strength))
            best = qubits.lowest(atol=1e-9)
            samples = best.record.sample
            order = {q: i for i, q in enumerate(best.variables)}
            groups = [[order[q] for q in embedding[v]] for v in embedding]
            assert not broken_chains(samples, groups).any()
            assert best.first.energy == pytest.approx(
                dimod.ExactSolver().sample(bqm).first.energy, abs=1e-9
            )


def test_choices_of_strength(
    minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache, tmp_path: Path
) -> None:
    def compiled(strength: object) -> qa.CompiledAttention:
        return qa.compile(
            minilm["scores"],
            12,
            select=qa.ExactlyK(4),
            objective="output",
            values=minilm["value"],
            target="zephyr:4",
            cache=cache,
            chain_strength=strength,
        )

    made = {choice: compiled(choice) for choice in ("torque", "bound", "auto", 2)}
    raw = {
        choice: c.coefficients.strength * c.coefficients.scale[c.placement.component]
        for choice, c in made.items()
    }
    assert np.allclose(raw[2], raw["torque"] * 2 / 1.414)
    # Torque compensation within limits; the margin for errors is that of a first, rougher scale.
    auto = made["auto"]
    margin = auto.wiring.error_margin * auto.coefficients.scale[auto.placement.component]
    assert (raw["auto"] <= np.maximum(raw["torque"], margin) * (1 + 1e-9)).all()
    assert (raw["auto"] >= np.minimum(raw["torque"], margin) * 0.9).all()
    assert (raw["auto"] <= raw["bound"] * (1 + 1e-9)).all()
    for part in made["bound"].submissions:
        proved = np.array(list(part.chain_bound.values()))
        assert (part.physical.strength > proved).all()
    assert np.median(made["auto"].coefficients.scale / made["torque"].coefficients.scale) <= 1
    made["bound"].save(tmp_path)
    loaded = qa.load(tmp_path, cache)
    assert np.array_equal(loaded.coefficients.strength, made["bound"].coefficients.strength)


def test_weak_chains_stand_the_heat(cache: qa.EmbeddingCache) -> None:
    """Strong fields need no chain at zero temperature; a warm machine breaks chains without any."""
    scores = np.random.default_rng(1).uniform(10, 20, size=(2, 2, 12))
    compiled = qa.compile(
        scores, 2, select=qa.ExactlyK(1), objective="selection", target="zephyr:4", cache=cache
    )
    target, margin = compiled.recipe.target, compiled.wiring.error_margin
    assert target is not None
    long = compiled.placement.chain_lengths > 1
    strength = compiled.coefficients.strength[long]
    least = margin[long].min() + target.temperature
    # The margin is worked out at a scale that chains then move a little.
    assert strength.min() == pytest.approx(least, rel=0.1)
    assert (strength < 2 * least).sum() > 4


@pytest.mark.parametrize("strength", ["strong", 0, -1.0, np.nan, np.inf, None, True])
def test_unknown_choices_are_named(strength: object) -> None:
    with pytest.raises(qa.InputError, match="chain_strength must be 'auto', 'torque', 'bound'"):
        qa.compile(np.zeros((1, 1, 8)), 1, chain_strength=strength)
