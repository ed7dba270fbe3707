"""A second batch: new logical coefficients to physical arrays and wire bytes, against Ocean.

Rows of 12 heads x 64 queries with 16 slots are compiled once, then `rebind` takes another file.
Timed from its logical coefficients on, with models, strengths and structures at hand on both sides:

* `embed_bqm` with a reused `EmbeddedStructure` per submission against two kernels that fill
  the h and J arrays of all submissions in the solver's order (``ratio_vs_embed_bqm``); with the
  chain strengths and scales of every row worked out besides on our side alone
  (``ratio_with_scaling``);
* `encode_problem_as_qp` alone, its dictionaries at hand, against logical coefficients to wire bytes
  (``wire_ratio``); and with `embed_bqm` before it (``wire_ratio_with_embedding``).

Both sides get the same scaled coefficients and chain strengths.

    python benchmarks/rebind.py --data DIR --target zephyr:12 --json
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import batches, finish, milliseconds, parser
from dwave.cloud.coders import encode_problem_as_qp
from dwave.embedding import EmbeddedStructure

import qubo_attn as qa
from qubo_attn.backend.coefficients import coefficients
from qubo_attn.backend.programmings import Programmings


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--keys", type=int, default=4)
    options.add_argument("--repeats", type=int, default=15)
    chosen = options.parse_args()
    (scores, values), (next_scores, next_values) = batches(chosen.data)[:2]
    first = qa.compile(
        scores,
        len(scores),
        select=qa.ExactlyK(chosen.keys),
        objective="output",
        values=values,
        slots=16,
        target=chosen.target,
    )
    again = first.rebind(next_scores, values=next_values)
    target, wiring = again.recipe.target, again.wiring
    assert target is not None
    assert wiring is not None
    assert wiring is first.wiring
    qubits = target.qubits.tolist()
    couplers = [(u, v) for u, v in target.qubits[target.couplers].tolist()]
    solver: Any = SimpleNamespace(
        properties={"qubits": qubits, "couplers": couplers},
        _encoding_qubits=qubits,
        _encoding_couplers=couplers,
    )
    order = qa.SolverOrder.of(target, solver)
    parts = again.submissions
    structures = [EmbeddedStructure(couplers, part.embedding) for part in parts]
    sources = [(part.bqm, part.chain_strength) for part in parts]
    layout, c = wiring.layout(order, wire=False), again.coefficients
    assert c is not None

    def embedded() -> list[Any]:
        return [
            structure.embed_bqm(bqm, chain_strength=strength)
            for structure, (bqm, strength) in zip(structures, sources, strict=True)
        ]

    models = [(dict(b.linear), dict(b.quadratic), b.offset) for b in embedded()]

    def encoded(dictionaries: list[Any]) -> list[Any]:
        return [
            encode_problem_as_qp(solver, h, j, offset, undirected_biases=True)
            for h, j, offset in dictionaries
        ]

    def fill() -> object:
        return layout.place(*wiring.plan.fill(c.h, c.coupling, c.strength))

    def wires() -> tuple[Any, ...]:
        # Every batch has physical arrays of its own.
        _, form, source = again.seated
        return Programmings(again.program, form, replace(c), source).wires(order)

    fields, couplings = again.hardware_arrays(order)
    difference = 0.0
    for s, (h, j, _) in enumerate(models):
        theirs = np.array([h.get(q, 0.0) for q in qubits])
        difference = max(difference, float(np.abs(fields[s] - theirs).max()))
        theirs = np.array([j.get((u, v), j.get((v, u), 0.0)) for u, v in couplers])
        difference = max(difference, float(np.abs(couplings[s] - theirs).max()))
    repeats = chosen.repeats
    fill_ms = milliseconds(fill, 10 * repeats)
    form = again.program.total()
    scaled = milliseconds(lambda: coefficients(form, wiring), repeats) + fill_ms
    embed = milliseconds(embedded, repeats)
    encode = milliseconds(lambda: encoded(models), repeats)
    whole = milliseconds(
        lambda: encoded([(dict(b.linear), dict(b.quadratic), b.offset) for b in embedded()]),
        max(repeats // 3, 1),
    )
    wire = milliseconds(wires, 3 * repeats)
    facts = {
        "ratio_vs_embed_bqm": embed / fill_ms,
        "max_abs_difference": difference,
        "wire_ratio": encode / wire,
        "wire_identical": list(wires()) == encoded(models),
        "ratio_with_scaling": embed / scaled,
        "wire_ratio_with_embedding": whole / wire,
        "submissions": len(parts),
        "rows": sum(len(part.rows) for part in parts),
        "ms": {
            "embed_bqm": embed,
            "fill": fill_ms,
            "scale_and_fill": scaled,
            "encode_problem_as_qp": encode,
            "wire": wire,
        },
    }
    print(facts)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
