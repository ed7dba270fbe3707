from __future__ import annotations

from math import comb, log

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.formulations.warm import MORE, NARROW, RANGES, TEMPERATURES
from qubo_attn.ir.program import Program


def slow_scale(program: Program, weight: float, slope: float, keep: int, length: float) -> float:
    """Energy per hardware unit of a dense row of bits: its Ising model, written out."""
    n, o = len(program), program.objective
    fields, pairs = np.array(o.linear), np.zeros((n, n))
    for i, j, b in zip(o.i, o.j, o.bias, strict=True):
        pairs[i, j] = pairs[j, i] = b
    fields = fields + weight * (1 - 2 * keep) + slope
    coupling = (pairs + 2 * weight) / 4
    np.fill_diagonal(coupling, 0)
    field = fields / 2 + coupling.sum(axis=1)
    ranges = RANGES["zephyr"]
    upper = coupling[np.triu_indices(n, 1)]
    torque = 1.414 * np.sqrt((upper**2).mean()) * np.sqrt(n - 1)
    pull = ((np.abs(coupling).sum(axis=1) - np.abs(field)) / 2).max()
    chain = min(torque, pull) if length > 1 else 0.0
    scale = max(
        np.abs(field).max() / length / ranges.field,
        upper.max() / ranges.coupling,
        -upper.min() / ranges.chain,
        chain / ranges.chain,
    )
    return float(scale)


@pytest.fixture(scope="module")
def row(minilm: dict[str, np.ndarray]) -> Program:
    """One real row, unpriced."""
    compiled = qa.compile(
        minilm["scores"][3:4, 2:3],
        1,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"][3:4],
        target=None,
    )
    return compiled.stages[compiled.unpriced].program


def test_margins_are_a_number_of_temperatures(row: Program) -> None:
    keep, n = int(row.constraints.rhs[0]), len(row)
    rewrite = qa.InsertPenalties(temperature=0.115).apply(row)
    proof = rewrite.certificates
    weight, slope, margin = proof.weight[0], proof.slope[0], proof.margin[0]
    length = np.interp(n, (1, 4, 8, 16), (1, 12 / 4, 12 / 4, 32 / 16)) if n != 8 else 12 / 8
    length = {8: 12 / 8, 10: round(np.interp(10, (8, 16), (12, 32))) / 10}.get(n, length)
    scale = slow_scale(row, weight, slope, keep, length)
    # Without the tilt the margin would be the fixed point; the tilt takes its share of it.
    heat = 0.115 + MORE
    tilt = heat * scale / 2 * log(comb(n, keep + 1) / comb(n, keep - 1))
    assert TEMPERATURES * heat * scale - tilt == pytest.approx(margin, rel=0.05) or (
        margin == pytest.approx(0.25 * TEMPERATURES * heat * scale, rel=0.3)
    )
    assert proof.recheck(exact=True) == []
    assert "temperatures in 1 dense row," in " ".join(rewrite.notes)


def test_what_is_sent_is_what_is_proven(row: Program) -> None:
    """By enumeration: every infeasible point lies above the optimum by the margin stated."""
    for temperature in (0.01, 0.115, 0.5):
        rewrite = qa.InsertPenalties(temperature=temperature).apply(row)
        bits = (np.arange(2 ** len(row))[:, None] >> np.arange(len(row))) & 1
        energies = rewrite.program.energies(bits)
        good = bits.sum(axis=1) == row.constraints.rhs[0]
        assert energies[~good].min() >= energies[good].min() + rewrite.margin * (1 - 1e-9)
        assert rewrite.margin > 0


def test_warmer_machines_get_larger_margins(row: Program) -> None:
    margins = [
        qa.InsertPenalties(temperature=warmth).apply(row).margin for warmth in (0.05, 0.1, 0.2)
    ]
    assert margins == sorted(margins)
    assert margins[2] > 1.5 * margins[0]


def equal_keys(size: int, keep: int) -> Program:
    """A row of keys whose worths lie evenly between 0 and 1."""
    keys = [f"x[0,0,{key}]" for key in range(size)]
    worths = "\n".join(f"{name} : {-key / size}" for key, name in enumerate(keys))
    return Program.parse(f"{worths}\npick[0,0]: {' + '.join(keys)} == {keep}\n")


def test_only_narrow_rows_count_errors_as_heat() -> None:
    """A cold machine with the usual errors: a narrow row gets a weight, one key more hardly any."""
    weights = [
        qa.InsertPenalties(temperature=1e-6).apply(equal_keys(size, 4)).certificates.weight[0]
        for size in (NARROW, NARROW + 1)
    ]
    assert weights[0] > 2 * weights[1] > 0


@pytest.mark.parametrize("temperature", [1.0, 100.0])
def test_no_temperature_drowns_the_objective_in_its_margin(temperature: float) -> None:
    """Where a margin of so many temperatures is out of reach, the row keeps a share of the range.

    The scale of a row of 200 keys grows faster than the margin at every one of these.
    """
    program = equal_keys(200, 4)
    bare, warm = (
        qa.InsertPenalties(temperature=warmth).apply(program).certificates
        for warmth in (1e-6, temperature)
    )
    scales = [
        slow_scale(program, float(proof.weight[0]), float(proof.slope[0]), 4, 16.0)
        for proof in (bare, warm)
    ]
    assert scales[1] < 6 * scales[0]


def test_rows_of_many_levels_compile_for_a_machine(minilm: dict[str, np.ndarray]) -> None:
    """Their scale grows several times faster than their weight."""
    compiled = qa.compile(
        minilm["scores"][:2, :2],
        2,
        select=qa.SoftWeights(8),
        objective="least_squares",
        values=minilm["value"][:2],
        target="zephyr:6",
    )
    priced = compiled.stages[compiled.unpriced + 1].program
    assert priced.constraints.weight.max() < 100 * np.abs(priced.objective.linear).max()


def test_a_tied_group_that_no_machine_holds_is_priced_and_then_told_so() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(qa.EmbeddingError, match="too small for a row of 768 keys"):
        qa.compile(
            generator.normal(size=(1, 4, 768)),
            values=generator.normal(size=(1, 768, 8)),
            select=qa.Budget(96),
            tie=qa.TieVariables(queries=True),
            slots=None,
            target="zephyr:12",
        )


def test_without_a_machine_margins_are_shares(row: Program) -> None:
    plain, share = qa.InsertPenalties(), qa.InsertPenalties(margin=0.05)
    assert str(plain.apply(row).program) == str(share.apply(row).program)
    assert qa.InsertPenalties(margin=0.05, temperature=0.115).apply(row).margin == pytest.approx(
        share.apply(row).margin
    )


def test_the_tilt_walks_against_the_more_numerous_side() -> None:
    """Equal keys: reads with one key too many are more numerous than reads with one too few."""
    program = Program.parse(
        "\n".join(f"x[0,0,{k}] : 0" for k in range(6))
        + "\npick[0,0]: "
        + " + ".join(f"x[0,0,{k}]" for k in range(6))
        + " == 1\n"
    )
    rewrite = qa.InsertPenalties(temperature=0.115).apply(program)
    energies = rewrite.program.energies(np.tri(7, 6, -1, dtype=np.int64))
    none, one, two = energies[:3]
    assert one < none < two
    assert rewrite.margin > 0


@pytest.mark.parametrize("value", [0, -1, float("nan"), "warm", True])
def test_temperatures_are_checked(value: object) -> None:
    with pytest.raises(qa.InputError, match="temperature must be a"):
        qa.InsertPenalties(temperature=value)  # type: ignore[arg-type]


def test_compile_tells_the_pass_how_warm_the_machine_is(minilm: dict[str, np.ndarray]) -> None:
    options = {"select": qa.ExactlyK(2)}
    placed = qa.compile(minilm["scores"][:1], 1, target="zephyr:2", **options)
    assert "temperature=0.115" in next(s.spec for s in placed.stages if "penalties" in s.name)
    logical = qa.compile(minilm["scores"][:1], 1, target=None, **options)
    assert "temperature" not in next(s.spec for s in logical.stages if "penalties" in s.name)
