"""Copies of rows in the room of the last submission: nothing else changes, and reads add up."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.backend.gauges import draw_gauge
from qubo_attn.backend.solver_options import on_qubits
from qubo_attn.compilation.filling import shared_out
from qubo_attn.decoding.partial import decode_partial
from tests.conftest import shared_files
from tests.support.artifacts import rewrite_array
from tests.support.folder_service import FolderService

TARGET = "zephyr:3"
GRAPHS = shared_files("qpu/*.json")
FILES = shared_files("attention/*.npz")


def scores_of(heads: int = 2, queries: int = 3, keys: int = 9, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(heads, queries, keys))


def pair(scores: np.ndarray, **options: Any) -> tuple[qa.CompiledAttention, qa.CompiledAttention]:
    """The same compiled without copies and with them."""
    options = {"select": qa.ExactlyK(3), "slots": 6, "target": TARGET} | options
    return qa.compile(scores, **options), qa.compile(scores, replicas="fill", **options)


def coins(part: qa.Submission, reads: int, seed: int) -> dimod.SampleSet:
    """Reads at random over the qubits of a submission."""
    qubits: list[Any] = [q for chain in part.embedding.values() for q in chain]
    spins = np.random.default_rng(seed).choice([-1, 1], (reads, len(qubits))).astype(np.int8)
    return dimod.SampleSet.from_samples((spins, qubits), "SPIN", np.zeros(reads))


def seats_of(compiled: qa.CompiledAttention) -> np.ndarray:
    """How often each row sits, shape (H, Q)."""
    seats = np.zeros(compiled.attention.shape[:2], np.int64)
    table = compiled.precision()
    seats[table.head, table.query] = table.seats
    return seats


def unrolled(
    compiled: qa.CompiledAttention, answers: list[dimod.SampleSet]
) -> list[dimod.SampleSet]:
    """Reads of the program's variables alone: those of each row's seats one after another.

    Where a row sits less often than another, its reads begin anew.
    """
    rows = []
    for part, answer in zip(compiled.submissions, answers, strict=True):
        spins = 2 * part.read(answer).samples.astype(np.int8) - 1
        own = part.variables[part.variables == part.source]
        seats = [spins[:, part.source == v] for v in own.tolist()]
        most = max(len(column.T) for column in seats)
        lines = [
            np.concatenate([column[:, seat % column.shape[1]] for seat in range(most)])
            for column in seats
        ]
        rows.append(
            dimod.SampleSet.from_samples(
                (np.stack(lines, axis=1), own.tolist()), "SPIN", np.zeros(len(lines[0]))
            )
        )
    return rows


@settings(max_examples=10)
@given(
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(2, 12),
    st.integers(1, 4),
    st.sampled_from([4, 6, 9, 12]),
    st.booleans(),
    st.integers(0, 99),
)
def test_only_room_is_filled_and_every_copy_is_read(
    heads: int, queries: int, keys: int, k: int, slots: int, causal: bool, seed: int
) -> None:
    scores = scores_of(heads, queries, keys, seed)
    if causal:
        scores[:, ~np.tri(queries, keys, dtype=bool)] = -np.inf
    once, fill = pair(scores, select=qa.ExactlyK(k), slots=slots)
    assert fill.program.same(once.program)
    assert len(fill.submissions) == len(once.submissions)
    assert (
        fill.placement is once.placement
        or fill.placement is None
        or (fill.placement.digest == once.placement.digest)
    )
    for one, other in zip(once.submissions, fill.submissions, strict=True):
        n, couplers = len(one.variables), len(one.bias)
        assert one.rows == other.rows
        for name in ("variables", "source", "linear", "scale"):
            assert getattr(other, name)[:n].tobytes() == getattr(one, name).tobytes()
        for name in ("i", "j", "bias"):
            assert getattr(other, name)[:couplers].tobytes() == getattr(one, name).tobytes()
        assert {v: other.embedding[v] for v in one.embedding} == one.embedding
        assert {v: other.chain_strength[v] for v in one.chain_strength} == one.chain_strength
        assert other.diagnose(reads=100) == []
        # A copy has the same fields as its row, in units of the program.
        np.testing.assert_allclose(
            (other.linear * other.scale)[n:],
            (one.linear * one.scale)[np.searchsorted(one.variables, other.source[n:])],
            rtol=1e-9,
            atol=1e-12,
        )
    for one, other in zip(once.submissions[:-1], fill.submissions[:-1], strict=True):
        assert one.wire() == other.wire()
    answers = [coins(part, 7, seed + part.index) for part in fill.submissions]
    found = fill.decode(answers)
    seats = seats_of(fill) if fill.submissions else np.zeros(found.feasible.shape)
    assert np.array_equal(found.reads.number, 7 * seats)
    expected = once.decode(unrolled(fill, answers))
    for name in ("selected", "weights", "feasible", "repaired", "energies"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), name
    for name in ("sampled", "repaired", "descended"):
        mine, theirs = getattr(found.reads, name), getattr(expected.reads, name)
        assert mine.tobytes() == theirs.tobytes(), name
    # Of a row that sits once, all is as it was, shares of reads too.
    plain = once.decode(answers)
    alone = seats == 1
    for name in ("selected", "weights", "feasible", "energies"):
        assert np.array_equal(getattr(found, name)[alone], getattr(plain, name)[alone]), name
    assert np.array_equal(found.reads.feasible[alone], plain.reads.feasible[alone])


def test_a_copy_is_what_a_second_row_would_be() -> None:
    """One row that fills a machine is programmed as so many equal rows are."""
    row = scores_of(1, 1)
    _, fill = pair(row)
    count = 1 + len(fill.copies)
    many, _ = pair(np.repeat(row, count, axis=1))
    assert len(many.submissions) == 1
    mine, theirs = (compiled.submissions[0] for compiled in (fill, many))
    assert mine.linear.tobytes() == theirs.linear.tobytes()
    assert mine.bias.tobytes() == theirs.bias.tobytes()
    assert mine.wire() == theirs.wire()
    precision, each = fill.precision(), many.precision()
    assert precision.seats.tolist() == [count]
    np.testing.assert_allclose(precision.optimum, [each.optimum.mean()])
    np.testing.assert_allclose(precision.feasible, [each.feasible.mean()])
    single = dataclasses.replace(precision, seats=np.ones(1, np.int64))
    assert fill.reads_for(0.9999) == -(-single.reads_for(0.9999)[0] // count)
    answer = coins(mine, 5, 1)
    one, every = fill.decode([answer]), many.decode([answer])
    assert one.reads.number.tolist() == [[5 * count]]
    np.testing.assert_allclose(one.reads.feasible, [[every.reads.feasible.mean()]])
    assert one.reads.sampled[0, 0] == every.reads.sampled.min()
    assert one.chain_break_fraction == every.chain_break_fraction
    mean = fill.decode([answer], "marginals").weights[0, 0]
    np.testing.assert_allclose(mean, many.decode([answer], "marginals").weights[0].mean(axis=0))


def test_rows_that_need_reads_most_get_most() -> None:
    def shared(chances: list[float], seats: int) -> list[int]:
        alike = np.full(len(chances), 4), np.full(seats, 4)
        return list(map(int, shared_out(np.array(chances), *alike)))

    assert shared([0.5, 0.5, 0.5], 4) == [0, 1, 2, 0]
    assert shared([1.0, 1.0], 3) == [0, 1, 0]
    # Neither a row that is always right nor one that never is.
    assert set(shared([1.0, 1e-3, 1e-290], 5)) == {1}
    counts = np.bincount(shared([0.02, 0.01], 28), minlength=2)
    assert counts[1] > 1.5 * counts[0] > 0
    # Small seats first: what fits there needs no large one.
    sizes, seats = np.array([6, 4, 4]), np.array([6, 4, 3, 4, 6])
    assert shared_out(np.full(3, 0.01), sizes, seats).tolist() == [0, 1, -1, 2, 0]
    _, fill = pair(scores_of())
    once, often = pair(scores_of())[0].precision(), fill.precision().seats
    assert often[np.argmin(once.optimum)] == often.max()


def test_room_that_there_is_none_of() -> None:
    packed = len(qa.Embed(qa.Target.of(TARGET)).packing(6).packing)
    _, fill = pair(scores_of(1, packed))
    assert fill.copies is None
    assert pair(scores_of(), target=None)[1].copies is None
    assert pair(scores_of(), target="all-to-all")[1].copies is None
    settled = pair(scores_of(keys=3))[1]
    assert settled.copies is None
    assert settled.solve().feasible.all()


@pytest.mark.parametrize("value", ["full", "", 3, True, ["fill"]])
def test_other_replicas_are_turned_down(value: Any) -> None:
    with pytest.raises(qa.InputError, match=r"unknown replicas .*; one of fill") as caught:
        qa.compile(scores_of(), replicas=value)
    assert caught.value.facts["argument"] == "replicas"


def test_gauges_turn_rows_as_without_copies() -> None:
    once, fill = (compiled.submissions[0] for compiled in pair(scores_of()))
    signs = []
    for part in (once, fill):
        component = np.cumsum(np.isin(np.arange(len(part.variables)), np.arange(0, 999, 6)))
        assert part.physical is not None
        signs.append(draw_gauge(part.physical, component, 7))
    assert np.array_equal(signs[0], signs[1][: len(signs[0])])
    machine = qa.SimulatedMachine(TARGET, seed=1)
    result = pair(scores_of())[1].solve(machine, num_reads=24, gauges=3, seed=2)
    assert result.reads.number.max() > 24
    assert result.feasible.all()


def test_the_next_batch_and_other_processes(tmp_path: Path) -> None:
    batches = [scores_of(seed=seed) for seed in range(3)]
    options: dict[str, Any] = {"select": qa.ExactlyK(3), "slots": 6, "target": TARGET}
    fresh = [qa.compile(scores, replicas="fill", **options) for scores in batches]
    again = fresh[0]
    for scores, expected in zip(batches[1:], fresh[1:], strict=True):
        again = again.rebind(scores)
        assert again.wires() == expected.wires()
    assert fresh[0].rebind(batches[0]).wiring is fresh[0].wiring
    with ThreadPoolExecutor(2) as pool:
        found = list(qa.compile_batch(batches, 2, replicas="fill", executor=pool, **options))
    assert [each.wires() for each in found] == [each.wires() for each in fresh]
    again.save(tmp_path / "artifact")
    loaded = qa.load(tmp_path / "artifact")
    assert loaded.wires() == again.wires()
    assert loaded.recipe.replicas == "fill"
    assert loaded.rebind(batches[1]).wires() == fresh[1].wires()


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("component", lambda column: column[:-1], "one chain for each variable"),
        ("component", lambda column: column + 99, "beyond"),
        ("chain_qubit", np.zeros_like, "no chains beside those of the last submission"),
    ],
)
def test_copies_that_were_tampered_with(
    name: str, change: Any, reason: str, tmp_path: Path
) -> None:
    pair(scores_of())[1].save(tmp_path)
    rewrite_array(tmp_path, f"copies/{name}", change)
    with pytest.raises(qa.InputError, match=reason):
        qa.load(tmp_path)


def test_copies_of_another_submission_are_turned_down(tmp_path: Path) -> None:
    packed = len(qa.Embed(qa.Target.of(TARGET)).packing(6).packing)
    pair(scores_of(1, packed + 2))[1].save(tmp_path)
    rewrite_array(tmp_path, "copies/component", np.zeros_like)
    with pytest.raises(qa.InputError, match="names a component of another submission"):
        qa.load(tmp_path)


def test_a_job_goes_on_and_is_decoded_in_part(tmp_path: Path) -> None:
    packed = len(qa.Embed(qa.Target.of(TARGET)).packing(6).packing)
    _, fill = pair(scores_of(1, packed + 3))
    machine = qa.SimulatedMachine(TARGET, seed=3)
    job = fill.submit(machine, reads=9, folder=tmp_path / "job", seed=1)
    whole = job.result()
    assert np.array_equal(whole.reads.number, 9 * seats_of(fill))
    again = qa.resume(tmp_path / "job").result(partial=True)
    assert again.selected.tobytes() == whole.selected.tobytes()
    assert np.array_equal(again.reads.number, whole.reads.number)
    answers = [None, machine.sample(fill.submissions[1].programmed_bqm, num_reads=9, seed=1)]
    left = decode_partial(fill, answers, None, "majority", "every", True)
    assert 0 < left.answered.sum() < left.answered.size
    assert np.array_equal(left.reads.number > 0, left.answered)
    assert np.array_equal(left.reads.number[left.answered], whole.reads.number[left.answered])


def test_a_job_whose_machine_loses_a_qubit(tmp_path: Path) -> None:
    """Calls that were answered keep their reads, rows that are placed anew have reads again."""
    target = qa.Target.zephyr(3)
    _, fill = pair(scores_of(), target=target)
    part, way = (
        fill.submissions[0],
        FolderService(qa.SimulatedMachine(target, seed=3), tmp_path / "service"),
    )
    lost = part.embedding[int(part.variables[0])][0]
    job = fill.submit(way, reads=8, folder=tmp_path / "job")
    (way.folder / "failed" / job.status().ids[0]).touch()
    way._target = target.without([lost], [])
    way._way.machine = way._way.sampler = qa.SimulatedMachine(way._target, seed=3)
    result = job.result()
    assert [call.state for call in job.status().calls] == ["replaced", "done"]
    assert result.feasible.all()
    assert (result.reads.number == 8).all()
    again = qa.resume(tmp_path / "job").result(partial=True)
    assert again.selected.tobytes() == result.selected.tobytes()


def test_states_of_variables_reach_their_copies() -> None:
    _, fill = pair(scores_of())
    part = fill.submissions[0]
    state = {v: v % 2 for v in range(len(fill.program))}
    assert part.physical is not None
    sent = on_qubits(part.physical, part.source, {"initial_state": state})["initial_state"]
    for label, v in zip(part.variables.tolist(), part.source.tolist(), strict=True):
        assert {sent[q] for q in part.embedding[label]} == {2 * (v % 2) - 1}


def test_other_samplers_and_rounds() -> None:
    _, fill = pair(scores_of())
    here = fill.solve("anneal", seed=1, num_reads=4, num_sweeps=20)
    assert np.array_equal(here.reads.number, 4 * seats_of(fill))
    assert fill.solve().reads.number.max() == 0
    assert "reads of a row: 4 to" in str(here)
    values = np.random.default_rng(1).normal(size=(2, 9, 3))
    machine = qa.SimulatedMachine(TARGET, seed=3)
    ratio = pair(scores_of(), objective="renormalised", values=values)[1]
    assert ratio.solve(machine, num_reads=5, seed=1, rounds=2).feasible.all()
    split = pair(scores_of(keys=12), slots="auto", decompose=6)[1]
    assert split.copies is not None
    result = split.solve(machine, num_reads=5, seed=1)
    assert result.feasible.all()
    assert result.reads.number.max() > 5 * len(result.blocks.accepted)
    tied = pair(scores_of(), tie=qa.TieVariables(((0, 1),)))[1]
    number = tied.solve(machine, num_reads=5, seed=1).reads.number
    assert np.array_equal(number[0], number[1])


def test_reports_count_copies() -> None:
    once, fill = pair(scores_of())
    copies = len(fill.copies)
    facts = fill.report()
    assert facts.submissions[0]["copies"] == copies
    assert facts.submissions[0]["rows"] == 6
    assert sum(facts.chains.values()) == len(fill.submissions[0].variables)
    assert f"6 rows, {copies} copies of them, " in str(facts)
    assert "copies of them" not in str(once.report())
    assert f"{6 + copies} independent problems" in fill.html()


@pytest.mark.data
@pytest.mark.skipif(not (GRAPHS and FILES), reason="needs shared data")
def test_a_real_file_on_real_working_graphs(cache: qa.EmbeddingCache) -> None:
    with np.load(FILES[2]) as data:
        scores, values = data["scores"], data["value"]
    for graph in GRAPHS[:2]:
        options = {"select": qa.ExactlyK(4), "values": values, "slots": 16, "cache": cache}
        once, fill = pair(scores, target=graph, **options)
        assert fill.copies is not None
        assert [part.diagnose(reads=100) for part in fill.submissions] == [[]] * len(
            once.submissions
        )
        last, plain = fill.submissions[-1], once.submissions[-1]
        assert last.linear[: len(plain.linear)].tobytes() == plain.linear.tobytes()
        machine = qa.SimulatedMachine(graph, seed=5)
        answer = machine.sample(last.programmed_bqm, num_reads=20, seed=1)
        empty = [
            dimod.SampleSet.from_samples((-np.ones((1, len(p.variables))), p.variables), "SPIN", 0)
            for p in fill.submissions[:-1]
        ]
        result = fill.decode([*empty, answer], repair="none", descend=False)
        row = tuple(np.array(last.rows).T)
        assert np.array_equal(result.reads.number[row], 20 * seats_of(fill)[row])


def test_room_beside_rows_of_many_sizes() -> None:
    scores = scores_of(6, 9, 9)
    scores[:, ~np.tri(9, dtype=bool)] = -np.inf
    once, fill = pair(scores, slots=9, target="zephyr:5")
    assert len(np.unique(np.bincount(once.placement.component))) > 3
    assert len(fill.copies) > 3
    assert [part.diagnose() for part in fill.submissions] == [[]] * len(once.submissions)
    short = pair(scores, slots=9, target="zephyr:5", longest_chain=2)[1]
    assert np.diff(short.copies.chain_ptr).max() <= 2
