"""Programmings that a causal file takes: rows of every length, beside the bound of the chip's area.

A file of 12 heads and 30 tokens, masked so that each query sees the keys up to its own, gives rows
of 1 to 16 slots, 12 of each length and 180 of the last. ``--layers N`` stacks the heads of N files
as one batch. Columns of the closing line:

* ``rows``, and ``bound``: the qubits of the smallest tiles known for all rows over those that work;
* ``one_size``: programmings where each is filled with copies of one size, as before;
* ``now``, and ``ratio``: programmings as compiled, and over the bound;
* ``verified``: whether an independent check, minorminer's, calls every embedding valid and all rows
  of a programming are disjoint;
* ``seconds``: the processor time of the compilation, packings searched for anew, kernels compiled.

    python benchmarks/causal.py --data DIR --target zephyr:12 --layers 4 --json
"""

from __future__ import annotations

import tempfile
import time

import networkx as nx
import numpy as np
from common import batches, finish, parser
from minorminer.utils.diagnostic import is_valid_embedding

import qubo_attn as qa
from qubo_attn.embedding.dealing import fewest_programmings
from qubo_attn.embedding.placement import Placement

TOKENS, SLOTS, KEYS = 30, 16, 4


def causal(folder: str, layers: int) -> np.ndarray:
    """Return causal scores of some files, their heads one after another."""
    files = [scores for scores, _ in batches(folder, TOKENS)]
    scores = np.concatenate([files[layer % len(files)] for layer in range(layers)])
    return np.where(np.tri(TOKENS, dtype=bool), scores, -np.inf)


def one_size_each(sizes: np.ndarray, embed: qa.Embed) -> int:
    """Return the programmings that rows take if each is filled with copies of one size."""
    left, count = sorted(sizes.tolist(), reverse=True), 0
    while left:
        left = left[len(embed.packing(left[0]).packing) :]
        count += 1
    return count


def is_good(placement: Placement, target: qa.Target) -> bool:
    """Return whether all rows are embedded, and those of a programming on different qubits."""
    machine = target.graph()
    chains = np.split(target.qubits[placement.chain_qubit], placement.chain_ptr[1:-1])
    for submission in range(placement.submissions):
        variables = np.flatnonzero(placement.submission == submission)
        used = np.concatenate([chains[variable] for variable in variables.tolist()])
        if len(np.unique(used)) < len(used):
            return False
        for row in np.unique(placement.component[variables]).tolist():
            members = variables[placement.component[variables] == row].tolist()
            copy = {node: chains[member].tolist() for node, member in enumerate(members)}
            if not is_valid_embedding(copy, nx.complete_graph(len(members)), machine):
                return False
    return True


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12", help="name, or file of a working graph")
    options.add_argument("--layers", type=int, default=1, help="files whose heads are stacked")
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    if target is None or not target.is_grid:
        raise SystemExit(f"{chosen.target} is not a Pegasus or Zephyr machine")
    scores = causal(chosen.data, chosen.layers)
    select = qa.ExactlyK(KEYS)
    with tempfile.TemporaryDirectory() as folder:
        qa.compile(scores[:1], select=select, slots=SLOTS, target="zephyr:4", cache=folder)
        start = time.process_time()
        compiled = qa.compile(scores, select=select, slots=SLOTS, target=target, cache=folder)
        seconds, placement = time.process_time() - start, compiled.placement
        assert placement is not None
        sizes = np.bincount(placement.component)
        before = one_size_each(sizes, qa.Embed(target, qa.EmbeddingCache(folder)))
    bound = fewest_programmings(sizes, target, None)
    now = placement.submissions
    facts = {
        "rows": len(sizes),
        "bound": round(bound, 3),
        "one_size": before,
        "now": now,
        "ratio": round(now / bound, 3),
        "longest_chain": int(placement.chain_lengths.max()),
        "verified": is_good(placement, target),
        "seconds": round(seconds, 1),
    }
    print(facts, flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
