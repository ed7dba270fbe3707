"""Compress alone; what it shares with DropCouplers is tested there."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.ir.program import Program
from qubo_attn.passes.compress import dynamic_range
from tests.passes.test_drop_couplers import output_rows


def test_compressed_rows_have_few_bits(minilm: dict[str, np.ndarray]) -> None:
    program = output_rows(minilm)
    rewrite = qa.Compress(bits=8, budget=0.05).apply(program)
    before, after = dynamic_range(program), dynamic_range(rewrite.program)
    assert np.median(before) > 15
    assert np.percentile(after, 90) <= 8
    assert qa.Compress().apply(program).prove() == 0


def test_dynamic_range_is_largest_over_smallest_distance() -> None:
    program = Program.parse(
        "x[0,0,0] : 4\nx[0,0,1] : 1\nx[0,0,2] : 1\nx[0,0,0] * x[0,0,1] : -4\n"
        "pick[0,0]: x[0,0,0] + x[0,0,1] + x[0,0,2] == 1\n"
    )
    assert dynamic_range(program).tolist() == [3.0]  # -4, 0, 1, 4: eight ones apart


@given(st.integers(0, 10_000))
def test_dynamic_ranges_of_rows_with_gaps_and_equal_numbers(seed: int) -> None:
    generator = np.random.default_rng(seed)
    lines, picks, expected = [], [], []
    for query in range(3):
        names = [f"x[0,{query},{key}]" for key in range(generator.integers(1, 6))]
        pairs = [p for p in combinations(names, 2) if generator.random() < 0.6]
        values = generator.integers(-3, 4, len(names) + len(pairs)) / 4
        lines += [f"{name} : {value}" for name, value in zip(names, values, strict=False)]
        picks += [
            f"{u} * {v} : {value}"
            for (u, v), value in zip(pairs, values[len(names) :], strict=True)
        ]
        picks.append(f"pick[0,{query}]: {' + '.join(names)} == 1")
        gaps = np.diff(np.unique([0.0, *values]))
        expected.append(np.log2(gaps.sum() / gaps.min()) if len(gaps) else 0.0)
    program = Program.parse("\n".join(lines + sorted(picks, key=lambda line: "pick" in line)))
    np.testing.assert_allclose(dynamic_range(program), expected)


@pytest.mark.parametrize("bits", [1, 25, 2.5, True])
def test_bits_are_whole_and_not_many(bits: object) -> None:
    with pytest.raises(qa.InputError, match="bits must be a whole number from 2 to 24"):
        qa.Compress(bits=bits)
