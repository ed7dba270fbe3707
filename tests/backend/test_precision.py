from __future__ import annotations

import itertools
import json

import dimod
import numpy as np
import pytest
from scipy import stats

import qubo_attn as qa
from qubo_attn.backend.background import programmed
from qubo_attn.backend.model import Physical
from qubo_attn.machine.background import susceptible


@pytest.fixture(scope="module")
def compiled(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> qa.CompiledAttention:
    return qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target="zephyr:3",
        cache=cache,
    )


def enumerated(compiled: qa.CompiledAttention, row: int) -> tuple[float, float]:
    """Chances of a feasible read and of the optimum, setting by setting of the long chains."""
    component = compiled.placement.component
    part = compiled.submissions[int(compiled.precision().submission[row])]
    ids = set(np.flatnonzero(component == row).tolist())
    model = part.bqm
    for label in [v for v in model.variables if v not in ids]:
        model.fix_variable(label, 1)
    samples = dimod.ExactSolver().sample(model)
    target = compiled.recipe.target
    assert target is not None
    energy, ones = samples.record.energy, (samples.record.sample > 0).sum(axis=1)
    good = ones == 3
    optimal = good & (energy <= energy[good].min() + 1e-9)
    long = np.array([len(part.embedding[v]) > 1 for v in samples.variables])
    strength = compiled.coefficients.strength[np.array(samples.variables)]
    hot = max(target.temperature, 0.2 * strength[long].mean())
    settings: dict[bytes, list[int]] = {}
    for state, sample in enumerate(samples.record.sample[:, long]):
        settings.setdefault(sample.tobytes(), []).append(state)
    first = np.exp(-(energy - energy.min()) / hot)
    feasible = optimum = 0.0
    for states in settings.values():
        share = first[states].sum() / first.sum()
        then = np.exp(-(energy[states] - energy[states].min()) / target.temperature)
        then /= then.sum()
        feasible += share * then[good[states]].sum()
        optimum += share * then[optimal[states]].sum()
    return float(feasible), float(optimum)


def test_small_rows_have_the_chances_of_all_states(compiled: qa.CompiledAttention) -> None:
    table = compiled.precision()
    for row in range(0, len(table.feasible), 17):
        feasible, optimum = enumerated(compiled, row)
        assert table.feasible[row] == pytest.approx(feasible, rel=1e-6)
        assert table.optimum[row] == pytest.approx(optimum, rel=1e-6)


def test_ties_and_rows_of_single_qubits_follow_boltzmann(cache: qa.EmbeddingCache) -> None:
    """Without chains nothing freezes; equal optima count together."""
    compiled = qa.compile(
        [[[0.1, 0.1, 0.0]]], 1, select=qa.OneHot(), target="zephyr:2", cache=cache
    )
    target, table = compiled.recipe.target, compiled.precision()
    assert target is not None
    assert (compiled.placement.chain_lengths == 1).all()
    form, sums = compiled.program.total(), {}
    for bits in itertools.product((0, 1), repeat=3):
        energy = form.energies(np.array([bits], float))[0]
        sums[bits] = float(np.exp(-energy / table.temperature[0]))
    whole, good = sum(sums.values()), [sums[bits] for bits in sums if sum(bits) == 1]
    assert table.feasible[0] == pytest.approx(sum(good) / whole, rel=1e-9)
    assert table.optimum[0] == pytest.approx(sum(sorted(good)[1:]) / whole, rel=1e-9)


def test_large_rows_have_about_those_chances(
    compiled: qa.CompiledAttention, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step from a good state stands in for all states."""
    from qubo_attn.backend import precision

    exact = compiled.precision()
    monkeypatch.setattr(precision, "EXACT", 0)
    steps = compiled.precision()
    assert np.corrcoef(exact.optimum, steps.optimum)[0, 1] > 0.9
    assert np.corrcoef(exact.feasible, steps.feasible)[0, 1] > 0.7


def test_a_quick_answer_looks_at_some_rows(
    compiled: qa.CompiledAttention, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qubo_attn.backend import precision

    whole = compiled.precision()
    assert np.array_equal(compiled.precision(quick=True).feasible, whole.feasible)
    monkeypatch.setattr(precision, "QUICK", int((2.0**10) * len(whole.feasible) / 4))
    some = compiled.precision(quick=True)
    known = np.isfinite(some.feasible)
    assert 0 < known.sum() < len(known)
    assert np.array_equal(some.feasible[known], whole.feasible[known])
    assert np.array_equal(np.isfinite(some.optimum), known)
    assert np.array_equal(some.temperature, whole.temperature)
    report = compiled.report()
    assert sum(part["looked_at"] for part in report.submissions) == known.sum()
    assert " rows looked at, " in str(report)
    assert f"(of {len(known)}; all would take long)" in compiled.html()


def test_rows_that_the_machine_finds_hard_are_told_apart(
    minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> None:
    """Predicted chances rank rows as a simulated machine's shares of reads do."""
    compiled = qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(4),
        objective="output",
        values=minilm["value"],
        target="zephyr:12",
        cache=cache,
    )
    machine = qa.SimulatedMachine(compiled.recipe.target, seed=1)
    result = compiled.solve(machine, num_reads=100, seed=1)
    table = compiled.precision()
    share = result.reads.feasible[table.head, table.query]
    assert stats.spearmanr(table.feasible, share).statistic > 0.5


def test_walls_hold_as_often_as_is_said(
    smollm2: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> None:
    """Walls hardly stronger than is proven to do break in every other read; strong ones hold."""
    chances, shares = [], []
    for margin in ("auto", 0.05, 1.0):
        prices = qa.InsertPenalties(margin=margin, cardinality="grid", temperature=0.115)
        compiled = qa.compile(
            smollm2["scores"][:, -2:],
            len(smollm2["scores"]),
            select=qa.OneHot(),
            objective="hard",
            passes=[qa.Sparsify(slots=16), prices],
            target="zephyr:12",
            cache=cache,
        )
        machine = qa.SimulatedMachine(compiled.recipe.target, seed=1)
        result = compiled.solve(machine, num_reads=100, seed=1)
        table = compiled.precision()
        share = result.reads.feasible[table.head, table.query]
        assert table.feasible.mean() == pytest.approx(share.mean(), abs=0.12)
        assert 0.75 < np.median(table.feasible / np.maximum(share, 0.01)) < 1.35
        assert (table.optimum <= table.feasible).all()
        chances.append(table.feasible)
        shares.append(share)
    ranks = stats.spearmanr(np.concatenate(chances), np.concatenate(shares))
    assert ranks.statistic > 0.7


def test_wide_rows_with_long_chains_are_not_taken_for_good(
    smollm2: dict[str, np.ndarray], cache: qa.EmbeddingCache
) -> None:
    """Levels and gates of 16 slots: chains of three and four freeze far from good states."""
    compiled = qa.compile(
        smollm2["scores"][:, -1:],
        len(smollm2["scores"]),
        select=qa.SoftWeights(1, k=4),
        objective="output",
        values=smollm2["value"],
        kv_head=smollm2["kv_head"],
        target="zephyr:12",
        cache=cache,
    )
    machine = qa.SimulatedMachine(compiled.recipe.target, seed=1)
    result = compiled.solve(machine, num_reads=100, seed=1)
    table = compiled.precision()
    share = result.reads.feasible[table.head, table.query]
    assert 0.02 < share.mean() < 0.4
    assert share.mean() / 3 < table.feasible.mean() < 3 * share.mean()


def test_every_row_is_named_once(compiled: qa.CompiledAttention) -> None:
    table, placement = compiled.precision(), compiled.placement
    variables = compiled.program.variables
    names = set()
    for row in range(len(table.feasible)):
        own = np.flatnonzero(placement.component == row)
        name = int(table.head[row]), int(table.query[row])
        assert name in set(zip(variables.head[own], variables.query[own], strict=True))
        assert (placement.submission[own] == table.submission[row]).all()
        names.add(name)
    assert len(names) == len(table.feasible)
    assert table.temperature == pytest.approx(0.115 * compiled.coefficients.scale)


def test_leaks_are_those_of_the_simulated_machine(compiled: qa.CompiledAttention) -> None:
    """Fields that leak over couplings, chains included, per key of each row; and what is left."""
    table, target = compiled.precision(), compiled.recipe.target
    assert target is not None
    leak, left = np.zeros(len(table.leak)), np.zeros(len(table.leak))
    for part in compiled.submissions:
        intended, sent = part.physical, programmed(part.physical)
        component = compiled.placement.component[part.variables]
        h, more = fields_of(intended)
        leak += of_rows(more, intended, component, len(leak))
        actual = np.add(*fields_of(sent))
        left += of_rows(actual - h, intended, component, len(left))
    unit = 2 * compiled.coefficients.scale / np.sqrt(np.bincount(compiled.placement.component))
    assert table.leak == pytest.approx(unit * np.sqrt(leak))
    assert (table.leak > 0).all()
    # Couplings that are subtracted as well change it in the second order.
    assert table.left == pytest.approx(unit * np.sqrt(left), abs=0.02 * table.leak.max())
    assert (table.left < table.leak).all()


def of_rows(fields: np.ndarray, physical: Physical, component: np.ndarray, rows: int) -> np.ndarray:
    """Sum over the chains of each row of the square of what each adds up."""
    qubits = physical.chain_qubit
    squares = np.bincount(physical.chain_of[qubits], fields[qubits]) ** 2
    return np.bincount(component, squares, rows)


def fields_of(physical: Physical) -> tuple[np.ndarray, np.ndarray]:
    """Fields of all qubits, and what the background adds to them."""
    target = physical.target
    fields, couplings = np.zeros(len(target.qubits)), np.zeros(len(target.couplers))
    fields[physical.qubit], couplings[physical.coupler] = physical.h, physical.j
    return fields, susceptible(target, fields, couplings, target.susceptibility)[0]


def test_reads_for_a_chance(compiled: qa.CompiledAttention) -> None:
    table = compiled.precision()
    reads = table.reads_for(0.99)
    missed = (1 - table.optimum) ** reads
    assert (missed <= 0.01 + 1e-9).all()
    more = reads > 1
    assert ((1 - table.optimum[more]) ** (reads[more] - 1) > 0.01).all()
    with pytest.raises(qa.InputError, match="chance must be a share"):
        table.reads_for(1.5)


def test_the_report_says_what_the_machine_would_do(compiled: qa.CompiledAttention) -> None:
    facts = json.loads(json.dumps(compiled.report(reads=20_000).to_dict()))
    plan = compiled.schedule(20_000)
    assert facts["machine"]["calls"] == len(plan.calls) > len(compiled.submissions)
    assert facts["machine"]["milliseconds"] == pytest.approx(plan.microseconds / 1000)
    for part, stated in zip(compiled.submissions, facts["submissions"], strict=True):
        assert stated["auto_scale"] == part.auto_scale <= 1
        assert stated["calls"] == [call.reads for call in plan.of(part.index)]
        bounds = np.array(list(part.chain_bound.values()))
        many = np.diff(part.physical.chain_ptr) > 1
        assert stated["below_bound"] == (part.physical.strength <= bounds)[many].sum()
        assert stated["chain_strength"] == [
            part.physical.strength.min(),
            part.physical.strength.max(),
        ]
    text = str(compiled.report())
    assert "auto-scale 1.000" in text
    assert "a read of its median row is feasible with chance" in text
    assert "1 call of 1000 reads, " in text
    assert "(as is typical of its family)" in text


def test_logical_models_have_no_machine_facts(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"], 12, select=qa.ExactlyK(2), target=None)
    assert compiled.report().machine == {}
    assert "machine" not in str(compiled.report())
    with pytest.raises(qa.PassError, match="compile for a structured target"):
        compiled.precision()


def test_reads_have_the_temperature_that_is_asked_for() -> None:
    """Boltzmann rows of eight keys: softmax, where the machine makes no errors."""
    generator = np.random.default_rng(2)
    scores = generator.normal(size=(2, 2, 8))
    machine = qa.SimulatedMachine("zephyr:3", field_error=0, coupling_error=0, susceptibility=0)
    compiled = qa.compile(
        scores,
        2,
        select=qa.OneHot(),
        objective=qa.Boltzmann(temperature=1.0),
        target=machine,
    )
    assert compiled.precision().temperature == pytest.approx(1.0)
    counts = np.zeros(scores.shape)
    program, lift = compiled.stages[0].program, compiled.lift_to(0)
    for part in compiled.submissions:
        answer = machine.sample(part.embedded_bqm, num_reads=20_000, seed=part.index)
        bits = np.zeros((20_000, len(compiled.program)), np.uint8)
        bits[:, part.variables] = part.read(answer).samples
        points = lift.lift(bits)
        for row in {(int(h), int(q)) for h, q in part.rows}:
            mine = (program.variables.head == row[0]) & (program.variables.query == row[1])
            inside = ((points[:, mine] == 0) | (points[:, mine] == 1)).all(axis=1)
            good = points[inside & (points[:, mine].sum(axis=1) == 1)][:, mine]
            assert len(good) > 2_000
            counts[row][program.variables.key[mine]] = good.mean(axis=0)
    softmax = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    assert np.abs(counts - softmax).sum(axis=-1).max() / 2 < 0.02


def test_rows_too_large_for_a_temperature_stay_hotter() -> None:
    compiled = qa.compile(
        [[[300.0, 0.0, -300.0]], [[1.0, 0.5, 0.0]]],
        2,
        select=qa.OneHot(),
        objective=qa.Boltzmann(temperature=1.0),
        target="zephyr:2",
    )
    table = compiled.precision()
    hot = table.temperature > 1.0 + 1e-9
    assert table.head[hot].tolist() == [0]
    assert "hotter than asked: head 0 query 0" in str(compiled.report())
