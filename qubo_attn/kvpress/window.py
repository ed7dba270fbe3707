"""The observation window of a press: logits of the latest queries over the keys of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from kvpress.utils import get_prerope_query_states
from torch import Tensor
from transformers.models.llama.modeling_llama import rotate_half

from qubo_attn.torch.masks import model_scores


def window_logits(
    module: Any, hidden_states: Tensor, keys: Tensor, kwargs: Mapping[str, Any], window: int
) -> Tensor:
    """Return the logits of the latest queries, -inf where they do not see a key.

    Args:
        module: the attention layer.
        hidden_states: what it was given, shape (B, queries, model).
        keys: of the cache, with rotary embedding, shape (B, key/value heads, n, d).
        kwargs: what else the layer was given: ``position_embeddings``, ``attention_mask``.
        window: how many of the latest queries; all where there are fewer.

    Returns:
        float32, shape (B, heads, queries of the window, n).
    """
    cos, sin = kwargs["position_embeddings"]
    latest = min(window, hidden_states.shape[1], cos.shape[1])
    query = get_prerope_query_states(module, hidden_states[:, -latest:])
    cos, sin = cos[:, None, -latest:], sin[:, None, -latest:]
    query = query * cos + rotate_half(query) * sin
    own = keys.repeat_interleave(query.shape[1] // keys.shape[1], 1)
    scaling = getattr(module, "scaling", keys.shape[-1] ** -0.5)
    scores = torch.matmul(query.float(), own.float().mT) * scaling
    mask = kwargs.get("attention_mask")
    if mask is not None and mask.dim() == 4:
        mask = mask[..., -latest:, :]
    return model_scores(scores, mask, causal=True, window=getattr(module, "sliding_window", None))
