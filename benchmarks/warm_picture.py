"""The picture of docs/warm.md: success against margin, route by route.

Reads the last line of a file that ``warm.py --json`` wrote. Each point is a group of rows of like
margin: how far their lowest infeasible point lies above their optimum, in temperatures; its area is
their number.

    python benchmarks/warm.py --data DIR --target FILE --json > warm.txt
    python benchmarks/warm_picture.py warm.txt docs/warm.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAMES = {"ours": "ours", "ocean": "Ocean default", "ocean_rows": "Ocean, row by row, 1 x"}
COLOURS = {"ours": "#b35c00", "ocean": "#8a8a8a", "ocean_rows": "#2f6f9f"}
MODELS = {"minilm": "MiniLM", "smollm2": "SmolLM2"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("figures", type=Path, help="what warm.py printed")
    options.add_argument("picture", type=Path)
    chosen = options.parse_args()
    lines = chosen.figures.read_text(encoding="utf-8").strip().splitlines()
    models = json.loads(lines[-1])
    figure, axes = plt.subplots(
        2, len(models), figsize=(4.2 * len(models), 5.6), sharex=True, sharey="row", squeeze=False
    )
    titles = ("reads that are feasible", "reads that are the optimum")
    for column, (model, facts) in enumerate(models.items()):
        axes[0, column].set_title(MODELS.get(model, model))
        axes[1, column].set_xlabel("margin, in temperatures")
        for route, groups in facts["margins"].items():
            margin, rows = [line[0] for line in groups], [line[1] for line in groups]
            sizes = [12 + 140 * count / sum(rows) for count in rows]
            for row in range(2):
                share = [line[2 + row] for line in groups]
                style = {"color": COLOURS[route], "label": NAMES[route]}
                axes[row, column].scatter(margin, share, s=sizes, alpha=0.75, **style)
                axes[row, column].plot(margin, share, color=COLOURS[route], linewidth=0.8)
    for row, title in enumerate(titles):
        axes[row, 0].set_ylabel(title)
        axes[row, 0].set_ylim(bottom=-0.02)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(chosen.picture, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
