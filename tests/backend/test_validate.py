from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from tests.conftest import shared_files

MACHINES = {
    "zephyr": qa.Target.zephyr(3, missing_qubits=0.03, missing_couplers=0.01, seed=2),
    "pegasus": qa.Target.pegasus(3, missing_qubits=0.03, missing_couplers=0.01, seed=2),
}


def first_part(
    machine: str, data: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> qa.Submission:
    compiled = qa.compile(
        data["scores"][:2],
        2,
        select=qa.ExactlyK(3),
        objective="output",
        values=data["value"][:2],
        target=MACHINES[machine],
        cache=cache,
    )
    return compiled.submissions[0]


@pytest.fixture(params=["zephyr", "pegasus"])
def part(
    request: pytest.FixtureRequest, minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> qa.Submission:
    return first_part(request.param, minilm, cache)


def put(part: qa.Submission, **columns: object) -> qa.Submission:
    assert part.physical is not None
    return dataclasses.replace(part, physical=dataclasses.replace(part.physical, **columns))


def at(column: np.ndarray, index: object, value: float) -> np.ndarray:
    changed = column.copy()
    changed[index] = value
    return changed


def codes(part: qa.Submission, *arguments: object, **options: object) -> set[str]:
    return {str(error.code) for error in part.diagnose(*arguments, **options)}


def test_what_is_compiled_is_valid(part: qa.Submission) -> None:
    assert part.diagnose(None, 1000) == []
    part.validate(reads=1000, annealing_time=20)
    assert 0 < part.auto_scale <= 1


def test_ranges(part: qa.Submission) -> None:
    p = part.physical
    low, high = p.target.limits.h
    bad = put(part, h=at(p.h, 3, 1.5 * high))
    name = p.target.qubit_name(int(p.qubit[3]))
    with pytest.raises(qa.SubmissionError, match=rf"the field .* of qubit {name} is beyond") as e:
        bad.validate()
    assert (e.value.code, e.value.qubit, e.value.limits) == ("h-range", name, (low, high))
    with pytest.raises(qa.SubmissionError) as e:
        put(part, h=np.full(len(p.h), np.inf)).validate()
    assert "more violations" in e.value.__notes__[0]
    pair = p.target.qubit_name(int(p.u[5])), p.target.qubit_name(int(p.v[5]))
    for value in (1.001, -2.001, np.nan):
        found = [x for x in put(part, j=at(p.j, 5, value)).diagnose() if x.code == "j-range"]
        assert [x.coupler for x in found] == [pair]
        assert f"of coupler {pair} is beyond [-2.0, 1.0]" in str(found[0])


def test_totals(part: qa.Submission) -> None:
    p = part.physical
    ends = np.concatenate([p.u, p.v])
    busy = np.bincount(ends).argmax()
    mine = (p.u == busy) | (p.v == busy)
    loud = put(part, j=at(p.j, mine, -2.0))
    properties = dict(p.target.properties)
    per = p.target.limits.per
    total = -2.0 * mine.sum() if per == "qubit" else -2.0 * mine.sum() / 2
    properties[f"per_{per}_coupling_range"] = (total + 0.5, 15.0)
    target = dataclasses.replace(p.target, properties=properties)
    found = [error for error in loud.diagnose(target) if error.code == f"{per}-total"]
    assert p.target.qubit_name(int(busy)) in [error.qubit for error in found]
    assert f"qubit {p.target.qubit_name(int(busy))} is beyond" in " ".join(map(str, found))


def test_couplers_and_qubits_must_work(part: qa.Submission) -> None:
    p = part.physical
    pair = [int(p.target.qubits[p.u[0]]), int(p.target.qubits[p.v[0]])]
    lost = p.target.without([], [pair])
    with pytest.raises(
        qa.SubmissionError, match=f"no coupler joins qubits {pair[0]} and {pair[1]}"
    ):
        part.validate(lost)
    dead = int(p.target.qubits[p.qubit[0]])
    with pytest.raises(qa.SubmissionError, match=f"qubit {dead} does not work") as e:
        part.validate(p.target.without([dead], []))
    assert e.value.qubit == dead
    first, neighbour, _ = p.target.adjacency
    near = neighbour[first[p.u[0]] : first[p.u[0] + 1]]
    far = int(np.setdiff1d(p.qubit, [*near, p.u[0]])[-1])
    assert "missing-coupler" in codes(put(part, v=at(p.v, 0, far)))
    assert "coupler-twice" in codes(put(part, u=at(p.u, 0, p.u[1]), v=at(p.v, 0, p.v[1])))


def test_a_machine_that_lost_other_qubits_still_takes_it(part: qa.Submission) -> None:
    target = part.physical.target
    idle = np.setdiff1d(np.arange(len(target.qubits)), part.physical.qubit)
    part.validate(target.without(target.qubits[idle[:3]], []))
    other = "pegasus" if target.topology == "zephyr" else "zephyr"
    with pytest.raises(qa.SubmissionError, match="it was compiled for"):
        part.validate(MACHINES[other])


def test_chains(part: qa.Submission) -> None:
    p = part.physical
    shared = p.target.qubit_name(int(p.chain_qubit[0]))
    bad = put(part, chain_qubit=at(p.chain_qubit, -1, p.chain_qubit[0]))
    found = next(error for error in bad.diagnose() if error.code == "overlap")
    first, last = part.variables[0], part.variables[-1]
    assert str(found) == (
        f"submission 0: the chains of variables {first} and {last} overlap in qubit {shared}"
    )
    assert "stray-qubit" in codes(bad)
    long = int(np.flatnonzero(np.diff(p.chain_ptr) > 1)[0])
    mine = p.chain_qubit[p.chain_ptr[long] : p.chain_ptr[long + 1]]
    inside = np.isin(p.u, mine) & np.isin(p.v, mine)
    torn = put(part, u=p.u[~inside], v=p.v[~inside], j=p.j[~inside])
    with pytest.raises(
        qa.SubmissionError, match=rf"chain of variable {part.variables[long]} falls apart"
    ):
        torn.validate()
    weak = put(part, j=np.where(inside, p.j / 2, p.j))
    assert codes(weak) == {"chain-strength"}
    empty = put(part, chain_ptr=at(p.chain_ptr, 1, 0))
    assert {"empty-chain"} <= codes(empty)


def test_the_physical_model_must_be_the_logical_one(part: qa.Submission) -> None:
    p = part.physical
    assert codes(put(part, h=at(p.h, 0, p.h[0] + 0.01))) == {"field-sum"}
    between = int(np.flatnonzero(p.j > 0)[0]) if (p.j > 0).any() else 0
    bad = put(part, j=at(p.j, between, p.j[between] - 0.01))
    assert codes(bad) & {"coupling-sum", "chain-strength"}
    assert codes(dataclasses.replace(part, bias=part.bias * 0.9)) == {"coupling-sum"}
    assert codes(put(part, h=p.h[1:])) == {"shape"}
    assert codes(put(part, u=at(p.u, 0, 10**6))) == {"shape"}


def test_reads_and_run_time(part: qa.Submission) -> None:
    with pytest.raises(qa.SubmissionError, match=r"10001 reads in one call, where .* takes 1 to"):
        part.validate(reads=10001)
    assert codes(part, None, 10000, annealing_time=1000) == {"run-duration"}
    assert codes(part, None, 10, annealing_time=5000) == {"annealing-time"}
    assert codes(part, None, 0) == {"reads"}


def test_logical_models_are_not_for_machines() -> None:
    compiled = qa.compile(np.zeros((1, 1, 9)), 1, target=None)
    with pytest.raises(qa.SubmissionError, match="without a structured target"):
        compiled.submissions[0].validate()


@pytest.mark.data
@pytest.mark.parametrize("machine", shared_files("qpu/*.json"), ids=lambda f: f.stem)
def test_real_attention_on_real_machines(machine: Path, cache: qa.EmbeddingCache) -> None:
    target = qa.Target.from_json(machine)
    for file in shared_files("attention/*.npz")[::12]:
        with np.load(file) as data:
            scores, values = data["scores"], data["value"]
        compiled = qa.compile(
            scores,
            len(scores),
            select=qa.ExactlyK(4),
            objective="output",
            values=values,
            target=target,
            cache=cache,
        )
        for call in compiled.schedule(10_000).calls:
            compiled.submissions[call.submission].validate(reads=call.reads)
        assert max(part.auto_scale for part in compiled.submissions) <= 1
