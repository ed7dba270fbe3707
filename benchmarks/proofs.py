"""Which rows of real attention are solved to proven optima here, and what that takes.

Every file of ``--data``, 4 and 8 keys of 16 slots, ``output``, ``selection`` and ``redundancy``.
A kind is one objective and number of keys, over all files: ``rows``, how many are ``proven``, and
``rows_per_second`` of processor time of the local solver alone.

    python benchmarks/proofs.py --data DIR --json
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from common import attention_files, finish, parser

import qubo_attn as qa

SLOTS = 16


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--keys", type=int, nargs="+", default=[4, 8])
    chosen = options.parse_args()
    facts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for _, path, arrays in attention_files(chosen.data):
        vectors = {name: arrays[name][arrays["kv_head"]] for name in ("value", "key")}
        inputs: dict[str, dict[str, Any]] = {
            "output": {"values": vectors["value"]},
            "selection": {},
            "redundancy": {"keys": vectors["key"]},
        }
        scores = arrays["scores"]
        for objective, given in inputs.items():
            for k in chosen.keys:
                compiled = qa.compile(
                    scores, len(scores), select=qa.ExactlyK(k), objective=objective, slots=SLOTS,
                    target=None, **given,
                )  # fmt: skip
                program, solver = compiled.stages[compiled.unpriced].program, qa.LocalSolver()
                solver.solve(program)
                start = time.process_time()
                solver.solve(program)
                fact = facts[f"{objective}, k = {k}"]
                fact["seconds"] += time.process_time() - start
                proven = compiled.solve(solver).proven
                fact["rows"] += proven.size
                fact["proven"] += int(proven.sum())
                if not proven.all():
                    print(f"{path.name}, {objective}, k = {k}: {(~proven).sum()} not proven")
    for kind, fact in facts.items():
        fact["rows_per_second"] = fact["rows"] / fact.pop("seconds")
        print(
            f"{kind:<18}{fact['proven']:,.0f} of {fact['rows']:,.0f} rows proven, "
            f"{fact['rows_per_second']:,.0f} a second"
        )
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
