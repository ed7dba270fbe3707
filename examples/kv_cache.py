"""KV-cache selection on a real grouped-query model: one key subset per key/value head.

Ties the query heads of each key/value head and all their queries, keeps a budget of keys, and
compares the attention output with keeping the keys of largest accumulated attention.

    python examples/kv_cache.py [FILE.npz]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import qubo_attn as qa
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.result import relative_errors

FILE = Path(__file__).parents[1] / "fixtures/attention/smollm2-causal_d06_L14_n19.npz"


def main(file: Path = FILE, keep: int = 8) -> None:
    """Compile, solve, and print both ways side by side."""
    with np.load(file) as data:
        scores, values, kv_head = data["scores"], data["value"], data["kv_head"]
    compiled = qa.compile(
        scores,
        len(scores),
        select=qa.Budget(keep),
        objective="output",
        values=values,
        tie=qa.TieVariables.from_kv_head(kv_head, queries=True),
        target="zephyr:6",
    )
    result, attention = compiled.solve(seed=1), compiled.attention
    kept = result.selected.any(axis=1)
    for owner in np.unique(kv_head):
        head = int(np.flatnonzero(kv_head == owner)[0])
        print(f"key/value head {owner} keeps keys {np.flatnonzero(kept[head]).tolist()}")
    mass = np.stack(
        [attention.softmax[kv_head == kv_head[h]].sum(axis=(0, 1)) for h in range(len(scores))]
    )
    top = mass.argsort(axis=-1).argsort(axis=-1) >= mass.shape[-1] - keep
    accumulated = top[:, None] & attention.visible
    weights = weights_of("residual", attention.softmax, accumulated, attention.visible)
    print(
        f"mean relative output error: selected {np.nanmean(result.output_errors(attention)):.3f}, "
        f"accumulated attention "
        f"{np.nanmean(relative_errors(weights @ attention.values, attention)):.3f} "
        "(same decoder)"
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
