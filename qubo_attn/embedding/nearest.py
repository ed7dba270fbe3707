"""Repair of the nearest packing: one of another state of a machine is mended for this one.

A packing is repaired where its working graph is near and where few copies are lost by it; else the
packing is found anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from qubo_attn.common.files import read_bytes
from qubo_attn.embedding.cache_file import LARGEST, SUFFIX, CacheFile, Origin
from qubo_attn.embedding.mending import mend_packing
from qubo_attn.embedding.mending_parts import mend_parts
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.stored_graph import StoredGraph
from qubo_attn.machine.target import Target

# Share of qubits plus share of couplers that may change, all repairs together, before a packing is
# found anew; and the working graphs of nearest counts that are looked at.
NEAR, _LOOKED_AT = 0.05, 8
# A repaired packing keeps this share of the copies, less so much per share of the graph changed: on
# real machines, packings found anew lose three to four copies' shares per share of qubits.
KEPT, _PER_SHARE = 0.9, 4.0
_FILE = re.compile(r"[0-9a-f]{64}-(\d+)-(\d+)" + re.escape(SUFFIX))


def repaired(
    folder: Path, target: Target, graph: StoredGraph, options: dict[str, int]
) -> tuple[Packing, Origin] | None:
    """Return the packing of the nearest working graph, repaired; None where none serves.

    Args:
        folder: files of the component on other states of the machine.
        target: the machine as it is now.
        graph: its working graph.
        options: of the search for a packing found anew.
    """
    near: list[tuple[float, str, CacheFile]] = []
    for path in _candidates(folder, target):
        try:
            file = CacheFile.from_bytes(read_bytes(path, LARGEST))
            qubits, couplers = graph.changes(file.graph)
        except (OSError, ValueError, IndexError):  # gone or damaged
            continue
        share = qubits / len(target.qubits) + couplers / max(len(target.couplers), 1)
        if file.graph.lost == graph.lost and file.origin.drift + share <= NEAR:
            near.append((share, path.name, file))
    if not near:
        return None
    share, _, file = min(near, key=lambda candidate: candidate[:2])
    origin, drift = file.origin, file.origin.drift + share
    least = max(1, int(origin.copies * (KEPT - _PER_SHARE * drift)))
    before, seed = file.packing(target), options.get("seed", 0)
    packing: Packing | None
    if before.component.shape is None:
        packing, repair = mend_packing(
            before,
            target,
            longest=origin.longest_chain,
            rounds=options.get("rounds", 0),
            seed=seed,
            least=least,
        )
    else:
        packing, repair = mend_parts(before, target, longest=origin.longest_chain, seed=seed)
    if packing is None or len(packing) < least or not packing.fits(target):
        return None
    if packing.longest_chain > options.get("longest_chain", packing.longest_chain):
        return None
    return packing, Origin(origin.copies, origin.longest_chain, drift, repair)


def _candidates(folder: Path, target: Target) -> list[Path]:
    """Return the files of a folder whose working graphs have the nearest counts."""
    counts = []
    for path in folder.glob(f"*{SUFFIX}"):
        match = _FILE.fullmatch(path.name)
        if match and not path.name.startswith(target.hash):
            qubits = abs(int(match[1]) - len(target.qubits))
            couplers = abs(int(match[2]) - len(target.couplers))
            if qubits <= NEAR * len(target.qubits):
                counts.append((qubits, couplers, path.name, path))
    return [path for *_, path in sorted(counts)[:_LOOKED_AT]]
