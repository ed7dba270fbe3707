"""Machines that keep constraints themselves: compilation, and files with constraints."""

from __future__ import annotations

from pathlib import Path

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.frontend.select import Select
from qubo_attn.interchange.bits import Bits
from qubo_attn.interchange.instances import to_ommx
from tests.support.qplib import read_qplib

FILE = "fixtures/attention/minilm_d02_L1_n10.npz"
SELECTS = (qa.ExactlyK(3), qa.OneHot(), qa.AtMostK(2), qa.SoftWeights(2, 3))
v1 = pytest.importorskip("ommx.v1", reason="needs the package ommx")


def compiled(select: Select, *native: str, heads: int = 1) -> qa.CompiledAttention:
    data = qa.read_attention(FILE)
    short = {name: data[name][:heads] for name in ("scores", "values")}
    return qa.compile(select=select, target=qa.Target.all_to_all(native=native), **short)


def states(part: qa.Submission) -> np.ndarray:
    """Random states, half of which are likely to be feasible."""
    generator, size = np.random.default_rng(5), len(part.variables)
    share = generator.choice([0.1, 0.3, 0.5], (60, 1))
    return (generator.random((60, size)) < share).astype(float)


def truth(part: qa.Submission, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return energies and feasibility of states, worked out from the submission's columns."""
    energies = part.offset + x @ part.linear + (x[:, part.i] * x[:, part.j]) @ part.bias
    c = part.constraints
    assert c is not None
    over = (c.matrix(len(part.variables)) @ x.T).T - c.rhs
    broken = np.where(c.sense == 0, np.abs(over), np.maximum(over, 0))
    return energies, (broken <= 1e-9).all(axis=1)


@pytest.mark.parametrize("select", SELECTS, ids=str)
def test_linear_constraints_stay_and_files_hold_them(select: Select, tmp_path: Path) -> None:
    done = compiled(select, "linear")
    assert "insert-penalties" not in [stage.name for stage in done.stages]
    part = done.submissions[0]
    best = done.solve(seed=1)
    assert best.proven.all()
    # The best selection as a state of the submission, and random ones.
    lift = done.stages[-1].program
    x = states(part)
    energies, feasible = truth(part, x)
    np.testing.assert_allclose(lift.energies(x), energies, atol=1e-9)
    assert np.array_equal(lift.feasible(x), feasible)

    part.export(tmp_path / "row.qplib")
    read = read_qplib((tmp_path / "row.qplib").read_text())
    np.testing.assert_allclose(read.energies(x), energies, atol=1e-9)
    assert np.array_equal(read.feasible(x), feasible)

    part.export(tmp_path / "row.ommx")
    # The package reads QPLIB files as well: a second opinion on what we write.
    for instance in (
        v1.Instance.from_bytes((tmp_path / "row.ommx").read_bytes()),
        v1.Instance.load_qplib(str(tmp_path / "row.qplib")),
    ):
        for state, energy, good in zip(x[:12], energies, feasible, strict=False):
            solution = instance.evaluate(dict(enumerate(state.tolist())))
            assert solution.objective == pytest.approx(energy, abs=1e-9)
            assert solution.feasible == good

    part.export(tmp_path / "row.npz")
    with np.load(tmp_path / "row.npz") as file:
        pairs = (x[:, file["i"]] * x[:, file["j"]]) @ file["bias"]
        np.testing.assert_allclose(x @ file["linear"] + pairs + file["offset"], energies, atol=1e-9)
        row = np.repeat(np.arange(len(file["rhs"])), np.diff(file["ptr"]))
        sums = np.zeros((len(x), len(file["rhs"])))
        np.add.at(sums.T, row, x[:, file["var"]].T * file["coef"][:, None])
        over = sums - file["rhs"]
        held = np.where(file["at_most"], over <= 1e-9, np.abs(over) <= 1e-9).all(axis=1)
    assert np.array_equal(held, feasible)


def test_states_that_are_feasible_are_among_those_compared() -> None:
    part = compiled(qa.ExactlyK(3), "linear").submissions[0]
    c = part.constraints
    assert c is not None
    x = np.zeros((1, len(part.variables)))
    for row in range(len(c)):
        x[0, c.var[c.ptr[row] : c.ptr[row] + 3]] = 1.0
    assert truth(part, x)[1].all()


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    for ending in ("qplib", "ommx", "npz"):
        files = [tmp_path / f"{number}.{ending}" for number in range(2)]
        for file in files:
            compiled(qa.ExactlyK(3), "linear").submissions[0].export(file)
        assert files[0].read_bytes() == files[1].read_bytes()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.sampled_from(["SPIN", "BINARY"]))
def test_ommx_has_the_energies_and_reads_back(seed: int, size: int, vartype: str) -> None:
    model = dimod.generators.gnp_random_bqm(size, 0.5, vartype, random_state=seed)
    instance = v1.Instance.from_bytes(to_ommx(Bits.of(model)))
    bits = model.change_vartype("BINARY", inplace=False)
    for state in np.random.default_rng(seed).integers(0, 2, (5, size)).astype(float):
        energy = instance.evaluate(dict(enumerate(state.tolist()))).objective
        assert energy == pytest.approx(bits.energies(state)[0], abs=1e-9)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_another_reader_of_qplib_sees_the_energies(vartype: str, tmp_path: Path) -> None:
    model = dimod.generators.gnp_random_bqm(7, 0.6, vartype, random_state=2)
    qa.write_bqm(model, tmp_path / "model.qplib")
    instance = v1.Instance.load_qplib(str(tmp_path / "model.qplib"))
    bits = model.change_vartype("BINARY", inplace=False)
    for state in np.random.default_rng(3).integers(0, 2, (20, 7)).astype(float):
        energy = instance.evaluate(dict(enumerate(state.tolist()))).objective
        assert energy == pytest.approx(bits.energies(state)[0], abs=1e-9)


def test_ommx_reads_back(tmp_path: Path) -> None:
    model = dimod.generators.gnp_random_bqm(8, 0.5, "BINARY", random_state=1)
    qa.write_bqm(model, tmp_path / "model.ommx")
    assert qa.read_bqm(tmp_path / "model.ommx") == model
    maximum = v1.Instance.from_components(
        decision_variables=[v1.DecisionVariable.binary(3)],
        objective=v1.Linear(terms={3: 2.0}, constant=1.0),
        constraints=[],
        sense=v1.Instance.MAXIMIZE,
    )
    (tmp_path / "maximum.ommx").write_bytes(maximum.to_bytes())
    assert qa.read_bqm(tmp_path / "maximum.ommx") == dimod.BQM({0: -2.0}, {}, -1.0, "BINARY")


def test_ommx_that_is_no_qubo_says_so(tmp_path: Path) -> None:
    def written(**parts: object) -> Path:
        usual = {
            "decision_variables": [v1.DecisionVariable.binary(v) for v in range(3)],
            "objective": v1.Linear(terms={0: 1.0}),
            "constraints": [],
            "sense": v1.Instance.MINIMIZE,
        }
        file = tmp_path / "odd.ommx"
        file.write_bytes(v1.Instance.from_components(**(usual | parts)).to_bytes())
        return file

    for parts, message in (
        ({"objective": v1.Polynomial(terms={(0, 1, 2): 1.0})}, "degree 3"),
        ({"decision_variables": [v1.DecisionVariable.integer(0, lower=0, upper=4)]}, "is no bit"),
    ):
        with pytest.raises(qa.InputError, match=message):
            qa.read_bqm(written(**parts))
    (tmp_path / "odd.ommx").write_bytes(b"nothing")
    with pytest.raises(qa.InputError, match=r"odd\.ommx"):
        qa.read_bqm(tmp_path / "odd.ommx")


def test_one_hot_rows_alone_stay() -> None:
    done = compiled(qa.OneHot(), "one-hot")
    assert done.stages[-1].name == "keep-one-hot"
    assert not done.stages[-1].program.constraints.priced.any()
    part = done.submissions[0]
    assert part.constraints is not None
    assert set(part.constraints.rhs.tolist()) == {1.0}
    # Rows of three keys are no one-hot rows: they have a price.
    assert compiled(qa.ExactlyK(3), "one-hot").submissions[0].constraints is None


def test_samples_of_such_a_machine_are_decoded() -> None:
    done = compiled(qa.ExactlyK(3), "linear")
    best, part = done.solve(seed=1), done.submissions[0]
    v = done.program.variables
    state = best.selected[v.head, v.query, v.key].astype(np.int8)
    samples = dimod.SampleSet.from_samples(
        (state[None], part.variables.tolist()), "BINARY", energy=[0.0]
    )
    again = done.decode([samples])
    assert np.array_equal(again.selected, best.selected)
    assert again.feasible.all()


def test_what_cannot_hold_constraints_refuses_them(tmp_path: Path) -> None:
    done = compiled(qa.ExactlyK(3), "linear")
    part = done.submissions[0]
    for ending in ("bqm", "json", "mtx"):
        with pytest.raises(qa.InputError, match=rf"^{ending} cannot hold the constraints"):
            part.export(tmp_path / f"row.{ending}")
    with pytest.raises(qa.InputError, match=r"submission 0 has 10 constraints for the machine"):
        _ = part.bqm
    with pytest.raises(qa.InputError, match=r"submission 0 has 10 constraints for the machine"):
        done.solve("anneal", seed=1)
    for ending in ("npz", "ommx"):
        part.export(tmp_path / f"row.{ending}")
        with pytest.raises(qa.InputError, match="constraints"):
            qa.read_bqm(tmp_path / f"row.{ending}")


def test_targets_that_take_constraints(tmp_path: Path) -> None:
    target = qa.Target.all_to_all(native=("one-hot", "linear"))
    assert target.native == {"linear", "one-hot"}
    assert str(target).startswith("all-to-all, with linear and one-hot constraints")
    target.to_json(tmp_path / "machine.json")
    assert qa.Target.from_json(tmp_path / "machine.json").native == target.native
    assert qa.Target.all_to_all().native == qa.Target.zephyr(2).native == frozenset()
    with pytest.raises(qa.InputError, match="bits or native, not both"):
        qa.Target.all_to_all(8, native=["linear"])
    with pytest.raises(qa.InputError, match="lineal"):
        qa.Target.all_to_all(native=["lineal"])
    graph = qa.Target.zephyr(2).graph()
    for stated, message in ((["linear"], "working graph takes no"), ("linear", "must list")):
        odd = qa.Target.from_graph(graph, properties={"native": stated})
        with pytest.raises(qa.TargetError, match=message):
            qa.compile([[[2.0, 1.0]]], 1, select=qa.OneHot(), target=odd)


def test_a_compilation_with_constraints_is_kept(tmp_path: Path) -> None:
    done = compiled(qa.ExactlyK(3), "linear")
    done.save(tmp_path / "kept")
    back = qa.load(tmp_path / "kept")
    assert back.program.same(done.program)
    assert str(back.report())
    assert "constraints" in back.html(back.solve(seed=1))
