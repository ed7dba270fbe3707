"""The local solver as a dimod sampler."""

from __future__ import annotations

import dimod
import numpy as np
import pytest
from dimod.testing import assert_sampler_api
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa


@st.composite
def models(draw: st.DrawFn) -> dimod.BinaryQuadraticModel:
    """A small model of either kind, labelled by text, in several independent parts."""
    n = draw(st.integers(0, 7))
    biases = st.integers(-4, 4).map(float)
    labels = draw(st.permutations("abcdefgh"[:n]))
    linear = {label: draw(biases) for label in labels}
    pairs = [(u, v) for a, u in enumerate(labels) for v in labels[:a] if draw(st.booleans())]
    quadratic = {pair: draw(biases) for pair in pairs}
    return dimod.BinaryQuadraticModel(
        linear, quadratic, draw(biases), draw(st.sampled_from(["SPIN", "BINARY"]))
    )


@given(models())
@settings(max_examples=100)
def test_samples_are_optima(model: dimod.BinaryQuadraticModel) -> None:
    sampleset = qa.LocalSolver().sample(model)
    assert sampleset.variables == model.variables
    assert sampleset.vartype is model.vartype
    read = sampleset.first
    assert read.energy == model.energy(read.sample)
    assert sampleset.info["proven"]
    assert sampleset.info["bound"] == read.energy
    if len(model):
        assert read.energy == dimod.ExactSolver().sample(model).first.energy
    swapped = qa.LocalSolver("swap").sample(model)
    assert swapped.first.energy >= read.energy
    assert swapped.info["proven"] is (len(model) == 0)


def test_it_is_a_sampler_that_says_what_it_takes() -> None:
    solver = qa.LocalSolver()
    assert isinstance(solver, dimod.Sampler)
    assert_sampler_api(solver)
    assert solver.parameters == {}
    assert "num_reads" in qa.LocalSolver("anneal").parameters
    assert solver.sample_qubo({("a", "a"): -1.0, ("a", "b"): 2.0}).first.energy == -1.0
    assert solver.sample_ising({"a": 1.0}, {("a", "b"): 1.0}).first.energy == -2.0


def test_logical_models_of_a_compilation() -> None:
    generator = np.random.default_rng(1)
    compiled = qa.compile(
        generator.normal(size=(2, 3, 12)), 2, select=qa.ExactlyK(4), objective="output",
        values=generator.normal(size=(2, 12, 5)), target="zephyr:6",
    )  # fmt: skip
    part = compiled.submissions[0]
    sampleset = qa.LocalSolver("exact").sample(part.bqm)
    assert sampleset.info["methods"] == {"exact": 6}
    result, own = compiled.decode([sampleset]), compiled.solve()
    assert np.array_equal(result.selected, own.selected)
    # Its penalties are priced so that optima keep the constraints, without repair.
    assert compiled.decode([sampleset], repair="none").feasible.all()
    read = compiled.solve(dimod.TrackingComposite(qa.LocalSolver()))
    assert np.array_equal(read.selected, own.selected)


def test_large_parts_are_annealed_and_say_so() -> None:
    model = dimod.generators.ran_r(3, 40, seed=1)
    sampleset = qa.LocalSolver(steps=10, seed=2).sample(model)
    assert sampleset.info["methods"] == {"swap": 1}
    assert not sampleset.info["proven"]
    assert sampleset.info["bound"] <= sampleset.first.energy
    annealed = qa.LocalSolver("anneal", seed=2).sample(model, num_reads=3)
    assert len(annealed) == 3
    assert sampleset.first.energy <= annealed.first.energy
    with pytest.raises(qa.InputError, match=r"the block of 0 is too large .* within 10 steps"):
        qa.LocalSolver("exact", steps=10).sample(model)


def test_what_is_no_model() -> None:
    solver = qa.LocalSolver()
    with pytest.raises(qa.InputError, match="not a ConstrainedQuadraticModel"):
        solver.sample(dimod.ConstrainedQuadraticModel())
    with pytest.raises(qa.InputError, match="must be finite"):
        solver.sample(dimod.BinaryQuadraticModel({"a": np.nan}, {}, 0.0, "SPIN"))
    model = dimod.BinaryQuadraticModel({"a": 1.0}, {}, 0.0, "SPIN")
    with pytest.raises(qa.InputError, match="'auto' of the local solver takes no num_reads"):
        solver.sample(model, num_reads=3)
    with pytest.raises(qa.InputError, match="annealing has no option 'num_read'; did you mean"):
        qa.LocalSolver("anneal").sample(model, num_read=3)
