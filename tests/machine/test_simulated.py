from __future__ import annotations

import dimod
import numpy as np
import pytest

import qubo_attn as qa


@pytest.fixture(scope="module")
def target() -> qa.Target:
    return qa.Target.zephyr(2)


def exact(model: dimod.BinaryQuadraticModel, temperature: float) -> dict[tuple[int, ...], float]:
    """Boltzmann's law, by enumeration."""
    samples = dimod.ExactSolver().sample(model)
    weights = np.exp(-(samples.record.energy - samples.record.energy.min()) / temperature)
    keys = map(tuple, samples.record.sample[:, np.argsort(list(samples.variables))].tolist())
    return dict(zip(keys, weights / weights.sum(), strict=True))


def test_reads_follow_the_temperature(target: qa.Target) -> None:
    machine = qa.SimulatedMachine(
        target, temperature=0.4, field_error=0, coupling_error=0, susceptibility=0
    )
    u, v = machine.edgelist[0]
    model = dimod.BinaryQuadraticModel({u: 0.3, v: -0.1}, {(u, v): 0.25}, 0.0, "SPIN")
    reads = machine.sample(model, num_reads=20_000, seed=4)
    order = np.argsort(list(reads.variables))
    states, counts = np.unique(reads.record.sample[:, order], axis=0, return_counts=True)
    law = exact(model, 0.4)
    distance = sum(
        abs(count / 20_000 - law[tuple(state)])
        for state, count in zip(states.tolist(), counts, strict=True)
    )
    assert distance / 2 < 0.02
    assert reads.record.energy == pytest.approx(model.energies(reads))


def test_errors_are_the_machine_s_own(target: qa.Target) -> None:
    """Static for a seed, drawn anew by another programming, none where they are switched off."""
    machine = qa.SimulatedMachine(target, seed=3)
    qubit, h = np.arange(20), np.zeros(20)
    coupler, j = np.arange(4), np.full(4, 0.5)

    def programmed(number: int | None) -> np.ndarray:
        return machine._programmed(qubit, h.copy(), coupler, j.copy(), number)[0]

    assert np.array_equal(programmed(None), programmed(None))
    assert not np.array_equal(programmed(None), programmed(1))
    assert np.array_equal(programmed(1), programmed(1))
    spread = np.concatenate([programmed(n) for n in range(200)])
    assert spread.std() == pytest.approx(target.errors.field, rel=0.1)


def test_susceptibility_leaks_fields_and_joins_neighbours() -> None:
    import networkx as nx

    from qubo_attn.machine.background import susceptible

    target = qa.Target.from_graph(nx.Graph([(0, 1), (1, 2), (0, 2)]))
    fields, couplings = np.array([1.0, 0.0, 0.0]), np.zeros(3)
    pairs = [tuple(pair) for pair in target.couplers.tolist()]
    couplings[pairs.index((0, 1))], couplings[pairs.index((1, 2))] = 0.5, -0.4
    more_h, more_j = susceptible(target, fields, couplings, -0.1)
    assert more_h == pytest.approx([0.0, -0.1 * 0.5, 0.0])
    assert more_j[pairs.index((0, 2))] == pytest.approx(-0.1 * 0.5 * -0.4)


def test_what_a_machine_turns_down_is_turned_down(target: qa.Target) -> None:
    machine = qa.SimulatedMachine(target)
    u, v = machine.edgelist[0]
    for model, text in (
        (dimod.BinaryQuadraticModel({u: 7.0}, {}, 0.0, "SPIN"), f"the field of {u} is 7"),
        (dimod.BinaryQuadraticModel({}, {(u, v): 1.5}, 0.0, "SPIN"), r"the coupling of .* is 1\.5"),
        (dimod.BinaryQuadraticModel({"a": 1.0}, {}, 0.0, "SPIN"), "qubit 'a' does not work"),
        (dimod.BinaryQuadraticModel({u: float("nan")}, {}, 0.0, "SPIN"), "is nan"),
    ):
        with pytest.raises(qa.SubmissionError, match=text):
            machine.sample(model)
    far = next(q for q in machine.nodelist if q not in machine.adjacency[u] and q != u)
    with pytest.raises(qa.SubmissionError, match="no working coupler joins"):
        machine.sample(dimod.BinaryQuadraticModel({}, {(u, far): 0.5}, 0.0, "SPIN"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temperature": 0}, "temperature must be above 0"),
        ({"temperature": float("nan")}, "temperature must be a finite number"),
        ({"field_error": -1}, "field_error must be a finite number of at least 0"),
        ({"seed": True}, "seed must be a whole number"),
    ],
)
def test_figures_are_checked(options: dict[str, object], text: str) -> None:
    with pytest.raises(qa.InputError, match=text):
        qa.SimulatedMachine("zephyr:1", **options)


def test_figures_are_the_target_s(target: qa.Target) -> None:
    from dataclasses import replace

    stated = replace(target, properties=dict(target.properties) | {"temperature": 0.2})
    assert qa.SimulatedMachine(stated).temperature == 0.2
    assert qa.SimulatedMachine(target).temperature == target.temperature == 0.115
    with pytest.raises(qa.TargetError, match="property temperature"):
        _ = replace(target, properties={"temperature": "warm"}).temperature
    with pytest.raises(qa.TargetError, match="working graph"):
        qa.SimulatedMachine("all-to-all")


def test_a_compilation_is_sampled_like_on_a_machine(target: qa.Target) -> None:
    machine = qa.SimulatedMachine(target, seed=1)
    compiled = qa.compile([[[2.0, 1.0, 0.5, -1.0]]], 1, select=qa.ExactlyK(2), target=machine)
    assert compiled.recipe.target is not None
    assert compiled.recipe.target.hash == target.hash
    first = compiled.solve(machine, num_reads=50, seed=2)
    assert first.selected[0, 0].tolist() == [True, True, False, False]
    assert 0.0 < first.reads.feasible[0, 0] <= 1.0
    answer = machine.sample(compiled.submissions[0].embedded_bqm, num_reads=7, seed=2)
    assert len(answer) == 7
    timing = answer.info["timing"]
    assert timing["qpu_access_time"] == pytest.approx(
        timing["qpu_programming_time"] + timing["qpu_sampling_time"]
    )
    again = machine.sample(compiled.submissions[0].embedded_bqm, num_reads=7, seed=2)
    assert np.array_equal(answer.record.sample, again.record.sample)
