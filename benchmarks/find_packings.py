"""Find the packings of cliques that the package ships (run once, two minutes).

For each machine and each clique size that tiles ship for, from 4 to 32 nodes: what
`qubo_attn.embedding.cliques.pack_cliques` finds with its usual effort and seed 0. The same file
comes out of every run. Usage: ``python benchmarks/find_packings.py
qubo_attn/embedding/packings.npz``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from common import finish, parser

from qubo_attn import Target
from qubo_attn.embedding.cliques import pack_cliques
from qubo_attn.embedding.shipped import name_of, packed
from qubo_attn.embedding.templates import clique_sizes

MACHINES = ("zephyr:12", "zephyr:6", "zephyr:4", "pegasus:16")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("out")
    chosen = options.parse_args()
    packings: dict[str, np.ndarray] = {}
    summary = {}
    for machine in MACHINES:
        target = Target.of(machine)
        assert target is not None
        for size in clique_sizes(target.topology):
            if not 4 <= size <= 32:
                continue
            packing = pack_cliques(size, target)
            name = name_of(size, target)
            packings[name] = packed(packing)
            summary[name] = [len(packing), packing.longest_chain]
            print(name, *summary[name], flush=True)
    np.savez_compressed(chosen.out, **packings)  # type: ignore[arg-type]
    print(f"{len(packings)} packings, {Path(chosen.out).stat().st_size} bytes")
    finish(summary, chosen.json)


if __name__ == "__main__":
    main()
