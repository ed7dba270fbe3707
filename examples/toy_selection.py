"""The article's toy: eight scores, one row, the matrix written by hand beside the compiler.

python examples/toy_selection.py
"""

from __future__ import annotations

from itertools import product

import numpy as np

import qubo_attn as qa

SCORES = np.array([2.1, 1.9, 0.3, -0.5, 1.2, 0.8, -1.0, 0.1])
ALPHA = 0.1


def build_qubo(scores: np.ndarray, alpha: float) -> np.ndarray:
    """Return the matrix of z^T Q z: both triangles hold alpha s_i s_j."""
    matrix = alpha * np.outer(scores, scores)
    np.fill_diagonal(matrix, alpha - scores)
    return matrix


def main() -> None:
    """Compile, solve, and print both ways side by side."""
    compiled = qa.compile(
        SCORES[None],
        1,
        select=qa.ExactlyK(3),
        objective=qa.Selection(alpha=ALPHA),
        target="zephyr:1",
    )
    matrix = build_qubo(SCORES, ALPHA)
    points = np.array(list(product((0, 1), repeat=8)))
    by_hand = np.einsum("mi,ij,mj->m", points, matrix, points)
    ours = compiled.stages[0].program.objective.energies(points)
    print(f"largest difference over all 256 energies: {np.abs(by_hand - ours).max():.1e}")
    feasible = points[points.sum(axis=1) == 3]
    best = feasible[by_hand[points.sum(axis=1) == 3].argmin()]
    chosen = compiled.solve(seed=1).selected[0, 0]
    print("by enumeration:", np.flatnonzero(best), " annealed:", np.flatnonzero(chosen))
    print(
        f"penalty weight {compiled.certificates.weight[0]:.3g}, proven again:",
        compiled.certificates.recheck(exact=True) == [],
    )


if __name__ == "__main__":
    main()
