"""Draw the chip with the packed rows of one submission, coloured by head (needs matplotlib).

python benchmarks/draw_chip.py fixtures/attention/minilm_d08_L1_n30.npz docs/chip.png
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection

import qubo_attn as qa
from qubo_attn.embedding.lattice import Lattice


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file")
    options.add_argument("out")
    options.add_argument("--target", default="zephyr:12")
    options.add_argument("--keys", type=int, default=4)
    chosen = options.parse_args()
    with np.load(chosen.file) as data:
        scores, values = data["scores"], data["value"]
    compiled = qa.compile(
        scores,
        len(scores),
        select=qa.ExactlyK(chosen.keys),
        objective="output",
        values=values,
        target=chosen.target,
    )
    part, target = compiled.submissions[0], compiled.recipe.target
    assert part.physical is not None
    assert target is not None
    lattice = Lattice.of(target.topology, target.shape)
    u, lane, wire, position = lattice.coordinates(target.qubits).T
    across = lane + (wire - (lattice.t - 1) / 2) / (lattice.t + 1)
    along = np.stack([position, position + 2 * lattice.length / lattice.lanes]) / lattice.lane_width
    start = np.stack([np.where(u == 0, across, along[0]), np.where(u == 0, along[0], across)], 1)
    end = np.stack([np.where(u == 0, across, along[1]), np.where(u == 0, along[1], across)], 1)
    lines = np.stack([start, end], axis=1)
    figure, axes = plt.subplots(figsize=(9, 9))
    axes.add_collection(LineCollection(list(lines), colors="0.88", linewidths=0.8))
    lengths = np.diff(part.physical.chain_ptr)
    head = np.repeat(compiled.program.variables.head[part.variables], lengths)
    colours = plt.get_cmap("tab20")(head % 20)
    axes.add_collection(
        LineCollection(list(lines[part.physical.chain_qubit]), colors=colours, linewidths=2.0)
    )
    axes.autoscale()
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(
        f"{len(part.rows)} attention rows in one programming of {target.label}: "
        f"{part.qubits} of {len(target.qubits)} qubits, coloured by head",
        fontsize=11,
    )
    figure.savefig(chosen.out, dpi=80, bbox_inches="tight")


if __name__ == "__main__":
    main()
