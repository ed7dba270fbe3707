"""Certified penalty weights on real ``output`` rows, against the usual ones.

Ratios of our weight to Verma and Lewis's (2020) and to the default of ``dimod.cqm_to_bqm`` (ten
times the largest objective bias), over every row of 14 slots at k = 4, margin 0; and the share of
checked rows whose optimum the weight keeps, by enumeration of all 2^14 selections.

    python benchmarks/penalties.py --data DIR --json
"""

from __future__ import annotations

from itertools import product

import numpy as np
from common import attention_files, finish, parser

import qubo_attn as qa
from qubo_attn.formulations.certificates import Certificates


def dense_rows(found: Certificates) -> tuple[np.ndarray, np.ndarray]:
    """Return fields (rows, n) and symmetric couplers (rows, n, n) of rows of one size."""
    program, rows = found.program, found.rows
    n = int(np.diff(rows.ptr)[0])
    var = rows.var.reshape(-1, n)
    owner, slot = np.full(len(program), -1), np.zeros(len(program), int)
    owner[var.ravel()] = np.repeat(np.arange(len(var)), n)
    slot[var.ravel()] = np.tile(np.arange(n), len(var))
    o = program.objective
    couplers = np.zeros((len(var), n, n))
    couplers[owner[o.i], slot[o.i], slot[o.j]] = o.bias
    return o.linear[var], couplers + couplers.transpose(0, 2, 1)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--slots", type=int, default=14)
    options.add_argument("--check-every", type=int, default=10, help="enumerate every N-th row")
    chosen = options.parse_args()
    n, k = chosen.slots, chosen.keys
    points = np.array(list(product((0.0, 1.0), repeat=n)))
    surplus = points.sum(axis=1) - k
    known, usual, kept, linear = [], [], [], []
    for _, path, arrays in attention_files(chosen.data):
        if arrays["scores"].shape[2] < n:
            continue
        found = qa.compile(
            arrays["scores"],
            len(arrays["scores"]),
            select=qa.ExactlyK(k),
            objective="output",
            values=arrays["value"],
            target=None,
            passes=(qa.Sparsify(slots=n), qa.InsertPenalties(margin=0)),
        ).certificates
        found = found.take(np.diff(found.rows.ptr) == n)
        fields, couplers = dense_rows(found)
        gain = fields + np.maximum(couplers, 0).sum(axis=2)
        loss = -fields - np.minimum(couplers, 0).sum(axis=2)
        verma_lewis = np.maximum(gain, loss).max(axis=1)
        default = 10 * np.maximum(np.abs(fields).max(axis=1), np.abs(couplers).max(axis=(1, 2)))
        known.append(found.weight / verma_lewis)
        usual.append(found.weight / default)
        linear.append(found.weight == 0)
        for r in range(0, len(found), chosen.check_every):
            energies = points @ fields[r] + 0.5 * ((points @ couplers[r]) * points).sum(axis=1)
            total = energies + found.weight[r] * surplus**2 + found.slope[r] * surplus
            best = energies[surplus == 0].min()
            kept.append(total.min() >= best - 1e-9 * np.abs(energies).max())
        print(f"{path.name:<40} {np.median(known[-1]):.4f} {np.median(usual[-1]):.5f}", flush=True)
    ratios = {"verma_lewis": np.concatenate(known), "cqm_to_bqm": np.concatenate(usual)}
    facts: dict[str, float] = {"rows": len(ratios["verma_lewis"])}
    for name, ratio in ratios.items():
        facts[f"median_vs_{name}"] = float(np.median(ratio))
        facts[f"p90_vs_{name}"] = float(np.percentile(ratio, 90))
    facts["linear_share"] = float(np.concatenate(linear).mean())
    facts["checked"] = len(kept)
    facts["optimum_kept"] = float(np.mean(kept))
    print(facts)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
