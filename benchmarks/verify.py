"""Verify every submission of every file on every machine with Ocean's own check.

Compiles each attention file twice per machine, with the package's defaults and with ``output`` at
k = 4, and hands every embedding to ``dwave.embedding.verify_embedding``; then compiles all again
with a fresh cache object on the same folder, as another process would, and counts hits.

    python benchmarks/verify.py --data DIR --targets zephyr:12,pegasus:16,FILE.json --json
"""

from __future__ import annotations

import tempfile
from typing import Any

import dimod
from common import attention_files, finish, parser
from dwave.embedding import verify_embedding

import qubo_attn as qa


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--targets", default="zephyr:12,pegasus:16")
    chosen = options.parse_args()
    facts: dict[str, dict[str, int]] = {}
    for name in chosen.targets.split(","):
        target = qa.Target.of(name)
        assert target is not None
        graph, seen = target.graph(), set()
        count = {"files": 0, "submissions": 0, "rows": 0, "checked": 0}
        with tempfile.TemporaryDirectory() as folder:
            first, second = qa.EmbeddingCache(folder), qa.EmbeddingCache(folder)
            for _, _, arrays in attention_files(chosen.data):
                scores, heads = arrays["scores"], len(arrays["scores"])
                best: dict[str, Any] = {
                    "select": qa.ExactlyK(4),
                    "objective": "output",
                    "values": arrays["value"],
                }
                plain: dict[str, Any] = {}
                for extra in (plain, best):
                    compiled = qa.compile(scores, heads, target=target, cache=first, **extra)
                    qa.compile(scores, heads, target=target, cache=second, **extra)
                    count["submissions"] += len(compiled.submissions)
                    for part in compiled.submissions:
                        assert part.physical is not None
                        count["rows"] += len(part.rows)
                        shape = part.physical.chain_qubit.tobytes() + part.i.tobytes()
                        shape += part.j.tobytes()
                        if shape not in seen:  # equal chains and couplers: verified already
                            seen.add(shape)
                            verify_embedding(
                                part.embedding, dimod.to_networkx_graph(part.bqm), graph
                            )
                count["files"] += 1
            count["checked"] = len(seen)
            count["second_misses"] = second.counts.misses
            count["second_hits"] = second.counts.hits
        facts[target.label] = count
        print(target.label, count, flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
