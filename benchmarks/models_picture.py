"""The picture of docs/models.md: how far whole models move, against the keys that they keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Okabe and Ito's colours, which differ for colour-blind readers; markers differ as well.
STYLES = {
    "top-k renormalised": ("top-k, softmax over the selected keys", "#999999", "s"),
    "renormalised": ("ours, softmax over the selected keys", "#0072B2", "D"),
    "top-k": ("top-k, the rest at the mean value", "#E69F00", "v"),
    "output": ("ours, the rest at the mean value", "#009E73", "o"),
    "soft weights": ("ours, soft weights of 3 levels", "#CC79A7", "^"),
}
PANELS = (
    ("smollm2", "kl", "SmolLM2-135M, all 30 layers", "KL to the full model, nats a token"),
    ("minilm", "cosine", "all-MiniLM-L6-v2, all 6 layers", "1 - cosine to the full embedding"),
)


def draw(facts: dict[str, Any], file: Path) -> None:
    """Draw a panel for each model that was measured."""
    panels = [panel for panel in PANELS if facts.get(panel[0], {}).get("quality")]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 4.4), squeeze=False, facecolor="white"
    )
    for axis, (model, name, title, label) in zip(axes[0], panels, strict=True):
        for method, (text, colour, marker) in STYLES.items():
            by_k = facts[model]["quality"].get(method, {})
            heights = [1 - m[name] if name == "cosine" else m[name] for m in by_k.values()]
            keys = [int(k) for k in by_k]
            axis.plot(keys, heights, marker=marker, color=colour, label=text, linewidth=1.8)
        axis.set(xscale="log", yscale="log", title=title, ylabel=label, xlabel="keys a query keeps")
        ticks = sorted({int(k) for by_k in facts[model]["quality"].values() for k in by_k})
        axis.set_xticks(ticks, [str(k) for k in ticks])
        axis.minorticks_off()
        axis.grid(axis="y", color="#dddddd", linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=2, loc="lower center", fontsize=9)
    figure.tight_layout(rect=(0, 0.17, 1, 1))
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)
