"""Unembed a full chip of rows: 1,000 reads with energies and shares of broken chains.

As many cliques as the packing holds, random couplings, and reads in which some qubits of otherwise
intact chains are flipped. Against Ocean's ``unembed_sampleset`` in the same run, by majority and
(on fewer reads, as it takes a while there) by ``MinimizeEnergy``.

    python benchmarks/unembed.py --target pegasus:16 --keys 8 --reads 1000 --json
"""

from __future__ import annotations

import dimod
import numpy as np
from common import finish, milliseconds, parser
from dwave.embedding import EmbeddedStructure, MinimizeEnergy, unembed_sampleset

import qubo_attn as qa
from qubo_attn.embedding.cliques import pack_cliques


def reads_of(part: qa.Submission, reads: int, flipped: float, seed: int) -> dimod.SampleSet:
    """Return reads of one submission, a share of their qubits flipped."""
    physical, generator = part.physical, np.random.default_rng(seed)
    assert physical is not None
    lengths = np.diff(physical.chain_ptr)
    spins = generator.choice(np.array([-1, 1], np.int8), (reads, len(lengths)))
    qubits = np.repeat(spins, lengths, axis=1)
    flips = generator.random(qubits.shape) < flipped
    samples = np.where(flips, -qubits, qubits).astype(np.int8)
    labels = physical.target.qubits[physical.chain_qubit]
    order = np.argsort(labels)  # as a machine returns them
    return dimod.SampleSet.from_samples(
        (samples[:, order], labels[order].tolist()), "SPIN", np.zeros(reads)
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--target", default="pegasus:16")
    options.add_argument("--keys", type=int, default=8)
    options.add_argument("--copies", type=int, default=435)
    options.add_argument("--reads", type=int, default=1000)
    options.add_argument("--flipped", type=float, default=0.02, help="share of qubits flipped")
    options.add_argument("--repeats", type=int, default=9)
    options.add_argument("--descent-reads", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    target = qa.Target.of(chosen.target)
    assert target is not None
    copies = min(chosen.copies, len(pack_cliques(chosen.keys, target)))
    scores = np.random.default_rng(chosen.seed).normal(size=(1, copies, chosen.keys))
    compiled = qa.compile(scores, 1, select=qa.ExactlyK(chosen.keys // 2), target=target)
    part = compiled.submissions[0]
    sampleset = reads_of(part, chosen.reads, chosen.flipped, chosen.seed)
    structure = EmbeddedStructure(target.graph().edges, part.embedding)

    def ocean(reads: dimod.SampleSet, method: object = None) -> dimod.SampleSet:
        return unembed_sampleset(
            reads, structure, part.bqm, chain_break_method=method, chain_break_fraction=True
        )

    theirs, ours = ocean(sampleset), part.unembed(sampleset)
    equal = bool(
        np.array_equal(theirs.record.sample, ours.record.sample)
        and np.array_equal(theirs.record.chain_break_fraction, ours.record.chain_break_fraction)
    )
    difference = float(np.abs(theirs.record.energy - ours.record.energy).max())
    few = sampleset.slice(chosen.descent_reads, sorted_by=None)
    descent = MinimizeEnergy(part.bqm, part.embedding)
    settled = part.unembed(few, "minimise-energy")
    same = np.array_equal(ocean(few, descent).record.sample, settled.record.sample)
    slow = milliseconds(lambda: ocean(few, descent), 1) * chosen.reads / chosen.descent_reads
    theirs_ms = milliseconds(lambda: ocean(sampleset), chosen.repeats)
    ours_ms = milliseconds(lambda: part.unembed(sampleset), chosen.repeats)
    quick = milliseconds(lambda: part.unembed(sampleset, "minimise-energy"), chosen.repeats)
    facts = {
        "rows": len(part.rows),
        "qubits": part.qubits,
        "reads": chosen.reads,
        "broken": float(ours.record.chain_break_fraction.mean()),
        "ours_ms": ours_ms,
        "ocean_ms": theirs_ms,
        "share": ours_ms / theirs_ms,
        "equal": equal,
        "max_energy_difference": difference,
        "descent_ms": quick,
        "ocean_descent_ms": slow,
        "descent_equal": bool(same),
    }
    print(facts)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
