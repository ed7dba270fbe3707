"""Output with soft weights of k keys, against its formula written out key by key."""

from __future__ import annotations

from itertools import product

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.common.frozen import replaced
from qubo_attn.formulations.certificates import Method
from qubo_attn.ir.columns import Kind
from qubo_attn.pipeline.pipeline import Pass
from tests.support import enumeration

ORDERS: dict[str, tuple[Pass, ...]] = {
    "price-first": (qa.InsertPenalties(), qa.BinarizeWeights()),
    "bits-first": (qa.BinarizeWeights(), qa.InsertPenalties()),
    "unary": (qa.InsertPenalties(margin=1e-3), qa.BinarizeWeights("unary")),
    "sparsify": (qa.Sparsify(dominance=True), qa.InsertPenalties(), qa.BinarizeWeights()),
    "domain-wall": (qa.BinarizeWeights("domain-wall"), qa.InsertPenalties()),
}


def weights(p: np.ndarray, k: int, levels: int) -> list[list[float]]:
    """The weights that each key may take when it is kept."""
    rest = (1 - np.sort(p)[::-1][:k].sum()) if len(p) > k else 0.0
    steps = [2 / (levels + 1) * min(rest / k, mass) for mass in p]
    below = 3 * levels // 7
    return [
        [mass + (level - below) * step for level in range(levels + 1)]
        for mass, step in zip(p, steps, strict=True)
    ]


def error(chosen: dict[int, float], p: np.ndarray, values: np.ndarray) -> float:
    mean = values.mean(axis=0)
    output = mean + sum((w * (values[i] - mean) for i, w in chosen.items()), np.zeros(len(mean)))
    return float(((output - p @ values) ** 2).sum())


def best_error(p: np.ndarray, values: np.ndarray, k: int, levels: int) -> float:
    allowed = weights(p, k, levels)
    best = np.inf
    for bits in product((0, 1), repeat=len(p)):
        if sum(bits) == min(k, len(p)):
            kept = [i for i, bit in enumerate(bits) if bit]
            for each in product(*(allowed[i] for i in kept)):
                best = min(best, error(dict(zip(kept, each, strict=True)), p, values))
    return best


def compile_row(
    seed: int, keys: int, k: int, levels: int, passes: tuple[Pass, ...]
) -> qa.CompiledAttention:
    generator = np.random.default_rng(seed)
    return qa.compile(
        generator.normal(scale=1.5, size=(1, 1, keys)),
        1,
        select=qa.SoftWeights(k=k, levels=levels),
        objective="output",
        values=generator.normal(size=(1, keys, 3)),
        passes=passes,
        target=None,
        verify_each=True,
    )


def test_energy_is_the_squared_error_of_what_is_decoded() -> None:
    compiled = compile_row(3, 4, 2, 3, ())
    p, values = compiled.attention.softmax[0, 0], compiled.attention.values[0]
    program = compiled.program
    assert program.labels[:5] == [*(f"x[0,0,{key}]" for key in range(4)), "w[0,0,0]"]
    allowed = weights(p, 2, 3)
    for point in enumeration.points(program):
        bits, above = point[:4], point[4:]
        gated = all(bit or not level for bit, level in zip(bits, above, strict=True))
        assert enumeration.holds(program, point) == (gated and sum(bits) == 2)
        if gated:
            kept = {i: allowed[i][above[i]] for i in range(4) if bits[i]}
            energy = enumeration.energy(program, point)
            assert energy == pytest.approx(error(kept, p, values), abs=1e-12)
            assert program.energies([point])[0] == pytest.approx(energy, abs=1e-12)


@pytest.mark.parametrize("order", ORDERS)
@given(data=st.data())
@settings(max_examples=12)
def test_ground_states_are_the_best_of_all_selections_and_levels(
    order: str, data: st.DataObject
) -> None:
    seed = data.draw(st.integers(0, 100_000), label="seed")
    keys, k = data.draw(st.integers(1, 3), label="keys"), data.draw(st.integers(1, 3), label="k")
    levels = data.draw(st.integers(1, 2 if order == "domain-wall" else 3), label="levels")
    compiled = compile_row(seed, keys, k, levels, ORDERS[order])
    p, values = compiled.attention.softmax[0, 0], compiled.attention.values[0]
    first, best = compiled.stages[0].program, best_error(p, values, k, levels)
    for state in enumeration.ground_states(compiled.program):
        point = tuple(compiled.lift_to(0).lift([state])[0].astype(int).tolist())
        assert enumeration.holds(first, point)
        assert enumeration.energy(first, point) == pytest.approx(best, abs=1e-9)
    if any(stage.rewrite.certificates is not None for stage in compiled.stages):
        assert compiled.certificates.recheck(exact=True) == []


def test_certificates_reject_a_weight_that_is_too_small() -> None:
    compiled = compile_row(5, 6, 2, 3, (qa.InsertPenalties(margin=0.0),))
    proofs = compiled.certificates
    assert set(proofs.method.tolist()) == {Method.LEVELS}
    kinds = proofs.rows.kind
    for kind in (Kind.PICK, Kind.GATE):
        smaller = np.where(kinds == kind, 0.9 * proofs.weight - (kind == Kind.PICK), proofs.weight)
        weaker = proofs.take(np.arange(len(proofs)))
        object.__setattr__(weaker, "weight", smaller)
        assert len(weaker.recheck()) == (kinds == kind).sum()


def test_levels_lower_the_error_of_real_rows(minilm: dict[str, np.ndarray]) -> None:
    scores, values = minilm["scores"][:4], minilm["value"][:4]
    found = []
    for select in (qa.ExactlyK(4), qa.SoftWeights(k=4)):
        compiled = qa.compile(
            scores, 4, select=select, objective="output", values=values, target="zephyr:6"
        )
        result = compiled.solve("anneal", seed=1)
        assert result.feasible.all()
        found.append(float(result.output_errors(compiled.attention).mean()))
        square = (result.context - compiled.attention.softmax @ compiled.attention.values) ** 2
        offset = compiled.stages[0].program.objective.offset
        assert square.sum() == pytest.approx(result.energies.sum() + offset, rel=1e-6)
    assert found[1] < 0.9 * found[0]
    assert compiled.rebind(scores, values=values).program.same(compiled.program)


def test_repair_clears_the_levels_of_keys_that_go() -> None:
    compiled = compile_row(2, 5, 2, 3, (qa.InsertPenalties(), qa.BinarizeWeights()))
    submission = compiled.submissions[0]
    everything = dict.fromkeys(submission.bqm.variables, 1)

    result = compiled.decode([dimod.SampleSet.from_samples_bqm(everything, submission.bqm)])
    assert not result.feasible[0, 0]
    assert result.repaired[0, 0]
    assert result.selected.sum() == 2


@pytest.mark.parametrize("scale", [0.0, 1e-160, 1e-150, 1e-8, 1e8, 1e150])
def test_values_of_any_size_are_priced(scale: float) -> None:
    generator = np.random.default_rng(6)
    values = scale * generator.normal(size=(1, 6, 3))
    values[0, 3] = values[0, :3].mean(axis=0)
    compiled = qa.compile(
        generator.normal(size=(1, 1, 6)),
        1,
        select=qa.SoftWeights(k=2),
        objective="output",
        values=values,
        target="zephyr:3",
    )
    assert np.isfinite(compiled.program.constraints.weight).all()
    assert compiled.certificates.recheck() == []
    assert compiled.solve("anneal", seed=1).selected.sum() == 2


def test_required_keys_are_keys_and_not_their_levels() -> None:
    generator = np.random.default_rng(4)
    scores, values = generator.normal(size=(1, 1, 5)), generator.normal(size=(1, 5, 3))
    wanted, barred = np.zeros((2, 1, 1, 5), bool)
    wanted[..., 4], barred[..., scores.argmax()] = True, True
    options = {"objective": "output", "values": values, "target": None, "verify_each": True}
    compiled = qa.compile(
        scores, 1, select=qa.SoftWeights(k=2), required=wanted, forbidden=barred, **options
    )
    result = compiled.solve("anneal", seed=1)
    assert result.selected[0, 0, 4]
    assert not result.selected[0, 0, scores.argmax()]
    assert compiled.certificates.recheck() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1, not 0"),
        ({"encoding": "ternary"}, "unknown encoding 'ternary'"),
        ({"scale": "sum"}, "unknown scale 'sum'; one of row-max, unit"),
    ],
)
def test_soft_weights_check_their_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        qa.SoftWeights(**options)


def test_only_some_objectives_take_soft_weights_of_k_keys() -> None:
    with pytest.raises(qa.InputError, match=r"'sparsemax' of head 1 takes no SoftWeights of k = 2"):
        qa.compile(
            np.zeros((2, 1, 3)),
            [qa.Head(), qa.Head(objective="sparsemax", select=qa.SoftWeights(k=2))],
            target=None,
        )


def test_heads_that_ask_for_different_encodings_are_named() -> None:
    heads = [qa.Head(select=qa.SoftWeights(encoding=name)) for name in ("unary", "binary")]
    with pytest.raises(qa.InputError, match="different encodings of soft weights: binary, unary"):
        qa.compile(np.zeros((2, 1, 3)), heads, objective="sparsemax", target=None)


def test_unit_scale_gives_out_as_many_levels_as_it_says() -> None:
    compiled = qa.compile(
        np.zeros((1, 1, 4)),
        1,
        select=qa.SoftWeights(4, scale="unit", encoding="unary"),
        objective="least_squares",
        target=None,
    )
    assert compiled.stages[0].program.constraints.rhs.tolist() == [4]
    np.testing.assert_allclose(compiled.solve("anneal", seed=1).weights, 0.25)


@pytest.mark.parametrize(
    "text",
    [
        "gate[0,0,0]: -2 x[0,0,0] + w[0,0,0] <= 0",
        "gate[0,0,0]: x[0,0,0] + w[0,0,0] <= 0",
        "gate[0,0,0]: -3 x[0,0,0] + w[0,0,0] == 0",
        "gate[0,0,0]: -3 x[0,0,0] + w[0,0,0] <= 1",
    ],
)
def test_malformed_gates_are_rejected(text: str) -> None:
    program = f"x[0,0,0] : 1\nw[0,0,0] in 0..3 : 1\n{text}\n"
    with pytest.raises(qa.VerifyError, match=r"gate at gate\[0,0,0\]: is no gate"):
        qa.Program.parse(program)
    good = qa.Program.parse(
        program.replace(text, "gate[0,0,0]: -3 x[0,0,0] + w[0,0,0] <= 0 price 2")
    )
    assert good.energies([[0, 3], [1, 3], [0, 0]]).tolist() == [9.0, 4.0, 0.0]
    assert replaced(good.constraints, kind=np.array([Kind.GATE])).one_sided.all()
