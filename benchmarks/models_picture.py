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
    """Draw a picture of each model that was measured; its name follows that of the file.

    Each is narrow, so that two stand side by side, and one fills a narrow window.
    """
    for model, name, title, label in PANELS:
        quality = facts.get(model, {}).get("quality")
        if not quality:
            continue
        figure, axis = plt.subplots(figsize=(4.3, 4.6), facecolor="white", layout="constrained")
        for method, (text, colour, marker) in STYLES.items():
            by_k = quality.get(method, {})
            heights = [1 - m[name] if name == "cosine" else m[name] for m in by_k.values()]
            keys = [int(k) for k in by_k]
            axis.plot(keys, heights, marker=marker, color=colour, label=text, linewidth=1.8)
        axis.set(xscale="log", yscale="log", title=title, ylabel=label, xlabel="keys a query keeps")
        ticks = sorted({int(k) for by_k in quality.values() for k in by_k})
        axis.set_xticks(ticks, [str(k) for k in ticks])
        axis.minorticks_off()
        axis.grid(axis="y", color="#dddddd", linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)
        figure.legend(frameon=False, loc="outside lower center", fontsize=9)
        with plt.rc_context({"svg.hashsalt": model}):  # the same bytes in any process
            figure.savefig(file.with_stem(f"{file.stem}-{model}"), metadata={"Date": None})
        plt.close(figure)
