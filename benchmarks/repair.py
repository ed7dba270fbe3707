"""What repairing a kept packing costs and keeps, against embedding anew.

Some random working qubits are taken from a machine for which packings are kept. For each clique and
number of qubits: ``ratio``, the median over seeds of the processor time of the whole look-up in the
cache (reading, repairing, checking, writing; embedding anew as well where too few copies were left)
over that of embedding anew; ``repaired``, in how many seeds a repaired packing was taken; ``kept``
and ``kept_least``, the median and the least of its copies over those of a packing found anew;
``longest_chain`` and ``longest_chain_anew``, medians; ``reused``, ``mended`` and ``placed``, mean
copies. Every packing is verified, copy by copy, by the library.

    python benchmarks/repair.py --target zephyr:12 --json
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import mean, median

import networkx as nx
import numpy as np
from common import finish, parser
from dwave.embedding import verify_embedding

import qubo_attn as qa
from qubo_attn.embedding.cache import CachedPacking
from qubo_attn.embedding.packing import Packing


def verify(packing: Packing, target: qa.Target) -> None:
    """Raise unless every copy verifies and no qubit is in two."""
    graph, source = target.graph(), nx.complete_graph(packing.size)
    assert len(np.unique(packing.qubit)) == len(packing.qubit)
    for copy in packing.copies():
        embedding = {c: target.qubits[chain].tolist() for c, chain in enumerate(copy)}
        verify_embedding(embedding, source, graph)


def timed(size: int, target: qa.Target, folder: Path, repair: bool) -> tuple[CachedPacking, float]:
    """Return what a new process' cache hands out for a clique, and the processor time it took."""
    cache = qa.EmbeddingCache(folder, repair=repair)
    start = time.process_time()
    entry = qa.Embed(target, cache).packing(size)
    return entry, time.process_time() - start


def measured(size: int, target: qa.Target, lost: int, seed: int, source: Path) -> dict[str, float]:
    """Return the facts of one draw of lost qubits."""
    qubits = np.random.default_rng(seed).choice(target.qubits, lost, replace=False)
    machine = target.without(qubits, [])
    # Both need them, and so does everything else: they are not the cost of either.
    _ = machine.adjacency, machine.hash
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in source.glob("*/*"):
            (folder / file.parent.name).mkdir()
            (folder / file.parent.name / file.name).write_bytes(file.read_bytes())
        entry, seconds = timed(size, machine, folder, repair=True)
    with tempfile.TemporaryDirectory() as name:
        anew, seconds_anew = timed(size, machine, Path(name), repair=False)
    verify(entry.packing, machine)
    facts = {"ratio": seconds / seconds_anew, "repaired": entry.how == "repaired"}
    if entry.origin.repair is not None:
        facts |= {
            "kept": len(entry.packing) / len(anew.packing),
            "longest_chain": entry.packing.longest_chain,
            "longest_chain_anew": anew.packing.longest_chain,
            "reused": entry.origin.repair.reused,
            "mended": entry.origin.repair.mended,
            "placed": entry.origin.repair.placed,
        }
    return facts


def summary(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return medians over seeds."""
    columns = {name: [run[name] for run in runs if name in run] for name in runs[0] | runs[-1]}
    facts: dict[str, float] = {
        "ratio": round(median(columns["ratio"]), 4),
        "repaired": sum(map(bool, columns["repaired"])),
        "seeds": len(runs),
    }
    if "kept" in columns:
        facts["kept"] = round(median(columns["kept"]), 3)
        facts["kept_least"] = round(min(columns["kept"]), 3)
        for name in ("longest_chain", "longest_chain_anew"):
            facts[name] = median(columns[name])
        for name in ("reused", "mended", "placed"):
            facts[name] = round(mean(columns[name]), 1)
    return facts


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--sizes", default="16,64", help="cliques")
    options.add_argument("--lost", default="1,10,50", help="working qubits taken away")
    options.add_argument("--seeds", type=int, default=20)
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    if target is None or not target.is_structured:
        raise SystemExit(f"{chosen.target} has no working graph")
    # Kernels are compiled, or loaded, before anything is timed.
    small = qa.Target.zephyr(4, missing_qubits=0.02)
    facts: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        for size in (16, 40):
            timed(size, small, Path(name), repair=True)
            timed(size, small.without(small.qubits[:2], []), Path(name), repair=True)
    for size in map(int, chosen.sizes.split(",")):
        with tempfile.TemporaryDirectory() as name:
            first, seconds = timed(size, target, Path(name), repair=False)
            print(f"K_{size}: {len(first.packing)} copies in {seconds:.2f} s", flush=True)
            for lost in map(int, chosen.lost.split(",")):
                runs = [
                    measured(size, target, lost, seed, Path(name)) for seed in range(chosen.seeds)
                ]
                facts.setdefault(f"K{size}", {})[str(lost)] = summary(runs)
                print(f"  {lost} qubits lost: {facts[f'K{size}'][str(lost)]}", flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
