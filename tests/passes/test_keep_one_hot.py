from __future__ import annotations

from itertools import product

import numpy as np

import qubo_attn as qa

PRICED = """
x[0,0,0] : -2
x[0,0,1] : -1
x[0,1,0] : -1
x[0,1,1] : -3
x[0,1,2] : -2
pick[0,0]: x[0,0,0] + x[0,0,1] == 1 price 3 slope 1
pick[0,1]: x[0,1,0] + x[0,1,1] + x[0,1,2] == 2 price 4
"""


def test_rows_of_one_bit_are_constraints_again_and_others_keep_their_price() -> None:
    program = qa.Program.parse(PRICED)
    kept = qa.KeepOneHot().apply(program).program
    assert "pick[0,0]: x[0,0,0] + x[0,0,1] == 1\n" in kept.text()
    assert "== 2 price 4\n" in kept.text()
    assert not kept.is_unconstrained
    bits = np.array(list(product((0, 1), repeat=5)), np.int64)
    one = bits[:, :2].sum(axis=1) == 1
    # What keeps the row costs what it did; what breaks it no longer pays.
    assert np.allclose(kept.energies(bits)[one], program.energies(bits)[one])
    assert not np.allclose(kept.energies(bits)[~one], program.energies(bits)[~one])


def test_without_such_rows_nothing_changes() -> None:
    program = qa.Program.parse(PRICED.replace("== 1", "<= 1").replace("slope 1", "slope 0"))
    rewrite = qa.KeepOneHot().apply(program)
    assert rewrite.program is program
    assert rewrite.notes == ("no one-hot rows",)
