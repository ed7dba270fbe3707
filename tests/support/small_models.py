"""Models of transformers with random weights, in the shapes of well-known ones."""

from __future__ import annotations

import warnings
from typing import Any

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what transformers imports warns of its own matters
    import transformers

WORDS = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
    "initializer_range": 0.4,
}
PIXELS = {"image_size": 8, "patch_size": 4, "num_channels": 1}
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", WORDS | {"num_key_value_heads": 2}),
    "bert": ("BertForMaskedLM", "BertConfig", WORDS),
    "albert": ("AlbertForMaskedLM", "AlbertConfig", WORDS | {"embedding_size": 8}),
    "vit": ("ViTForImageClassification", "ViTConfig", WORDS | PIXELS),
}
if int(transformers.__version__.split(".")[0]) < 5:
    # Their attention goes through the interface since 5.0.
    del KINDS["bert"], KINDS["albert"]
PADDING = {
    "none": None,
    "left": torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1] * 7]),
    "right": torch.tensor([[1, 1, 1, 1, 1, 0, 0], [1] * 7]),
}


def model_of(kind: str, implementation: str = "eager", seed: int = 0, **more: Any) -> Any:
    cls, config, options = KINDS[kind]
    torch.manual_seed(seed)
    config = getattr(transformers, config)(**options | more)
    model = getattr(transformers, cls)._from_config(config, attn_implementation=implementation)
    return model.eval()


def inputs_of(kind: str, padding: str = "none", seed: int = 1) -> dict[str, Any]:
    torch.manual_seed(seed)
    if kind == "vit":
        return {"pixel_values": torch.randn(2, 1, 8, 8)}
    given = {"input_ids": torch.randint(1, 32, (2, 7))}
    mask = PADDING[padding]
    return given if mask is None else given | {"attention_mask": mask.clone()}
