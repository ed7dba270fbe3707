"""Compress alone; what it shares with DropCouplers is tested there."""

from __future__ import annotations

import numpy as np
import pytest

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


@pytest.mark.parametrize("bits", [1, 25, 2.5, True])
def test_bits_are_whole_and_not_many(bits: object) -> None:
    with pytest.raises(qa.InputError, match="bits must be a whole number from 2 to 24"):
        qa.Compress(bits=bits)
