"""One count, two prices: a multiplier fixed at 10 beside a certified weight.

A public plugin for key-value caches minimises, over the bits z of n keys of which m stay,

    - sum_i a_i z_i + sum_{i<j} 2 cos(v_i, v_j) z_i z_j [cos > 0.85] + 10 (sum_i z_i - m)^2,

a_i the key's importance, with single-precision coefficients. The constraint's constant, 10 m^2, is
millions where the objective is below 1, and no single flip crosses the barrier between two
selections of m keys. Here the same objective is compiled: the weight is certified to keep the
optimum, and is as small as that allows. Both QUBOs go through the same annealer.

    python examples/fixed_multiplier.py [KEYS KEPT]
"""

from __future__ import annotations

import sys

import numpy as np
from dwave.samplers import SimulatedAnnealingSampler

import qubo_attn as qa

READS, SWEEPS = 8, 512


def fixed(importance: np.ndarray, pairs: np.ndarray, keep: int) -> np.ndarray:
    """Return the QUBO with the fixed multiplier, as a matrix whose lower triangle is empty."""
    matrix = np.triu(pairs + 2.0 * 10.0, 1)
    np.fill_diagonal(matrix, -importance + 10.0 * (1.0 - 2.0 * keep))
    return matrix.astype(np.float32)


def case(keys: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return importance, adding up to 1, and prices of pairs of alike values, of random keys."""
    generator = np.random.default_rng(seed)
    importance = generator.exponential(size=keys)
    # Some values come twice, nearly: one of the two is to go.
    values = generator.normal(size=(keys, 32))
    twins = generator.integers(0, keys, size=keys // 5)
    values[-len(twins) :] = values[twins] + 0.2 * generator.normal(size=(len(twins), 32))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    cosine = np.triu(values @ values.T, 1)
    pairs = np.where(cosine > 0.85, 2.0 * cosine, 0.0)
    return importance / importance.sum(), pairs + pairs.T


SIZES = ((819, 737), (819, 409), (100, 50))


def main(sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    """Print the share of the optimum's keys that each way keeps."""
    print("             certified            reads alone            with exchanges")
    print("keys  kept      weight  random  fixed  certified  fixed  certified")
    for keys, keep in sizes:
        importance, pairs = case(keys, seed=1)
        compiled = qa.compile(
            importance[None, None] - 1.0,  # a constant a key: no matter where their number is fixed
            select=qa.ExactlyK(keep),
            objective=qa.Boltzmann(couplings=-pairs),
            slots=None,
            target=None,
        )
        optimum = compiled.solve("swap", seed=1, decoder="renormalise").selected[0, 0]
        annealer, options = SimulatedAnnealingSampler(), {"num_reads": READS, "num_sweeps": SWEEPS}
        (submission,) = compiled.submissions
        reads = [
            annealer.sample_qubo(fixed(importance, pairs, keep), seed=1, **options),
            annealer.sample(submission.bqm, seed=1, **options),
        ]
        shares = []
        # The decoder may mend reads, and exchange kept keys for others while that pays.
        for descend in (False, True):
            for sampleset in reads:
                result = compiled.decode([sampleset], "renormalise", descend=descend)
                shares.append((result.selected[0, 0] & optimum).sum() / keep)
        weight = compiled.certificates.weight[0]
        print(
            f"{keys:>4} {keep:>5} {weight:>11.3f} {keep / keys:>7.3f} {shares[0]:>6.3f} "
            f"{shares[1]:>10.3f} {shares[2]:>6.3f} {shares[3]:>10.3f}"
        )


if __name__ == "__main__":
    given = tuple(map(int, sys.argv[1:3]))
    main((given,) if len(given) == 2 else SIZES)
