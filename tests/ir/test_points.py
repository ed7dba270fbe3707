"""Points of a program: any numbers of its width, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qubo_attn as qa

PROGRAM = qa.Program.parse("x[0,0,0] : -2\nx[0,0,1] : -1\npick[0,0]: x[0,0,0] + x[0,0,1] == 1")
TAKERS = {
    "energies": PROGRAM.energies,
    "objective": PROGRAM.objective.energies,
    "penalties": PROGRAM.penalty_energies,
    "violations": PROGRAM.violations,
    "feasible": PROGRAM.feasible,
    "lift": qa.Lift.select([0, 1, 1], n_after=2).lift,
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize(
    "samples",
    [[[0]], [[0, 1, 1]], [0, 1], 1, None, [[[0, 1]]], [["a", "b"]], [[0, 1], [1]], [[1j, 0]], []],
    ids=str,
)
def test_other_points_are_named(take: Any, samples: Any) -> None:
    with pytest.raises(qa.InputError, match=r"^samples (have shape|are not)") as caught:
        take(samples)
    assert caught.value.argument == "samples"


@pytest.mark.parametrize(
    "made",
    [
        list,
        np.float32,
        np.uint8,
        np.bool_,
        lambda points: np.asfortranarray(points, np.int64),
        lambda points: np.repeat(points, 2, axis=1)[:, ::2],
    ],
)
def test_points_of_any_type_are_read(made: Any) -> None:
    points = made(np.array([[1, 0], [0, 1], [1, 1]]))
    assert TAKERS["objective"](points).tolist() == [-2, -1, -3]
    assert TAKERS["violations"](points).tolist() == [[0], [0], [1]]
    assert TAKERS["lift"](points).tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 1]]
    assert PROGRAM.energies(np.zeros((0, 2))).shape == (0,)
