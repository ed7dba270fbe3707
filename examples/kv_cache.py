"""Keys of a cache, chosen on past queries and judged on later ones, as a cache decodes them.

Each key/value head keeps one set of past keys for all of its query heads. The first key and the
latest ones stay in any case; the others are chosen for the latest queries, the observation window.
Later queries see what was kept and all that came after it, renormalised: a cache has neither
logits nor values of the keys that it dropped.

    python examples/kv_cache.py [FILE.npz]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import qubo_attn as qa

FILE = Path(__file__).parents[1] / "fixtures/attention/smollm2-causal_d06_L14_n19.npz"
FIRST, LATEST, WINDOW = 1, 2, 6


def later_error(scores: np.ndarray, values: np.ndarray, kept: np.ndarray) -> float:
    """Return the mean relative error of the outputs of later queries.

    Args:
        scores: logits of all queries, shape (heads, tokens, tokens), -inf where masked.
        values: shape (heads, tokens, d).
        kept: past keys that each head keeps, shape (heads, past).
    """
    past = kept.shape[1]
    stays = np.ones((len(kept), 1, scores.shape[2]), bool)
    stays[:, 0, :past] = kept
    outputs = []
    for seen in (True, stays):
        weights = np.exp(np.where(seen, scores[:, past:], -np.inf))
        outputs.append(weights / weights.sum(axis=-1, keepdims=True) @ values)
    exact, ours = outputs
    return float((np.linalg.norm(ours - exact, axis=-1) / np.linalg.norm(exact, axis=-1)).mean())


def main(file: Path = FILE, share: float = 0.5) -> None:
    """Choose, and print kept keys and errors beside the usual rules."""
    with np.load(file) as data:
        scores, values, kv_head = data["scores"], data["value"], data["kv_head"]
    past = 3 * scores.shape[1] // 4
    seen, token = scores[0, :past, :past] > -np.inf, np.arange(past)
    options = {
        "select": qa.Budget(int(share * past)),
        "values": values[:, :past],
        "tie": qa.TieVariables.from_kv_head(kv_head, queries=True),
        "required": ((token < FIRST) | (token >= past - LATEST)) & seen,
    }
    given = scores[:, :past, :past]
    compiled = qa.compile(
        given, objective="renormalised", queries=WINDOW, target="zephyr:6", **options
    )
    result = compiled.solve(seed=1)
    kept = result.selected.any(axis=1)
    for owner in np.unique(kv_head):
        head = int(np.flatnonzero(kv_head == owner)[0])
        print(f"key/value head {owner} keeps keys {np.flatnonzero(kept[head]).tolist()}")
    # The usual rules look at all past queries, or at the latest ones.
    every = qa.compile(given, objective="hard", target=None, **options)
    print(f"error on later queries: chosen {later_error(scores, values, kept):.3f}", end="")
    for name in ("mean-mass", "accumulated", "window", "first-and-latest"):
        usual = qa.baseline(name, every, window=WINDOW).any(axis=1)
        print(f", {name} {later_error(scores, values, usual):.3f}", end="")
    print()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
