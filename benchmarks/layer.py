"""What a call of the torch layer costs, and where the time goes.

Real attention (12 heads, cut to ``--tokens``) is fed to `annealed_attention` as scores. For each
forward and backward: the first call, which compiles; later calls of other files of the same shape
(medians), how much of that is binding, and the backward pass. Softmax attention besides.

    python benchmarks/layer.py --data DIR --tokens 32 --json
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from common import batches, finish, milliseconds, parser

import qubo_attn as qa
from qubo_attn.torch import Annealing, annealed_attention


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--tokens", type=int, default=32)
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--reads", type=int, default=8)
    options.add_argument("--sweeps", type=int, default=64)
    options.add_argument("--repeats", type=int, default=7)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    files = [
        (torch.from_numpy(scores.copy()), torch.from_numpy(values.copy()))
        for scores, values in batches(chosen.data, chosen.tokens)[:3]
    ]
    facts: dict[str, Any] = vars(chosen) | {"rows": int(np.prod(files[0][0].shape[:2]))}
    facts.pop("data")
    scores, values = files[0]
    facts["softmax_ms"] = milliseconds(lambda: scores.softmax(-1) @ values, chosen.repeats)
    print(f"softmax attention of {facts['rows']} rows: {facts['softmax_ms']:.2f} ms")
    for objective in ("hard", "output"):
        for forward, backward in (
            ("hard", "straight-through"),
            ("hard", "exact"),
            ("hard", "energy"),
            ("soft", "exact"),
        ):
            name = f"{objective}, {forward}, {backward}"
            facts[name] = found = timed(files, chosen, objective, forward, backward)
            print(name + ": " + ", ".join(f"{key} {value:.1f}" for key, value in found.items()))
    finish(facts, chosen.json)


def timed(files: Any, chosen: Any, objective: str, forward: Any, backward: Any) -> dict[str, float]:
    """Return milliseconds of the first call, of later ones, of their parts, and backward."""
    how = Annealing(
        qa.ExactlyK(chosen.keys),
        objective=objective,
        forward=forward,
        backward=backward,
        sampler_options={"num_reads": chosen.reads, "num_sweeps": chosen.sweeps},
    )
    # Kernels are compiled, or read from their cache, before anything is timed.
    annealed_attention(files[0][0][:1], files[0][1][:1], how)
    calls, binds, backs = [], [], []
    for number in range(chosen.repeats + 1):
        scores, values = files[number % len(files)]
        leaf = scores.clone().requires_grad_()
        start = time.perf_counter()
        context = annealed_attention(leaf, values, how).context
        calls.append(time.perf_counter() - start)
        start = time.perf_counter()
        context.sum().backward()
        backs.append(time.perf_counter() - start)
        start = time.perf_counter()
        how.compiled(scores.double().numpy(), values.double().numpy())
        binds.append(time.perf_counter() - start)
    return {
        "first_ms": 1e3 * calls[0],
        "later_ms": 1e3 * float(np.median(calls[1:])),
        "of_which_binding_ms": 1e3 * float(np.median(binds[1:])),
        "backward_ms": 1e3 * float(np.median(backs[1:])),
    }


if __name__ == "__main__":
    main()
