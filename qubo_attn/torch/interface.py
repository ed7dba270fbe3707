"""Annealed attention as an attention function of transformers, with the mask that it needs.

Models of transformers ask ``config._attn_implementation`` for the name of a function. They hand it
queries, keys and values of one layer, and a mask in the form that the name was registered with.
Keys and values have as many heads as the cache holds. A name without a mask function gets None,
which loses causality without an error; so each name is registered with both.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from qubo_attn.compilation.options import DEFAULT_SELECT
from qubo_attn.errors import InputError, MissingExtraError
from qubo_attn.frontend.select import Select
from qubo_attn.torch.annealing import MODEL_SOLVER, Annealing
from qubo_attn.torch.functional import annealed_attention
from qubo_attn.torch.layer_report import AnnealedLayer
from qubo_attn.torch.masks import model_scores

# The name that `use_annealed_attention` gives the configuration of a layer.
NAME = "qubo-attn-layer"
# The attribute of that configuration, or of a layer put in another's place, that says how.
STATE = "annealed_layer"
# Linear layers that take the heads' outputs, as modules of attention name them.
_PROJECTIONS = ("o_proj", "out_proj", "dense", "c_proj", "proj", "wo", "o")
# What would change the weights in ways that are not known here.
_UNKNOWN = ("s_aux", "sinks", "head_mask", "layer_head_mask")


def register(name: str = "annealed", select: Select = DEFAULT_SELECT, **options: Any) -> Annealing:
    """Register annealed attention with transformers, as an ``attn_implementation``.

    Args:
        name: for ``from_pretrained(..., attn_implementation=name)`` and
            ``model.set_attn_implementation(name)``; what had the name before is replaced.
        select: what each query may keep.
        **options: see `Annealing`; the sampler is that of `use_annealed_attention` by
            default.

    Returns:
        How keys are selected, one object for all layers of all models that use the name.

    Raises:
        MissingExtraError: transformers is not installed, or older than 4.53.
        InputError: options that do not go together.

    Example:
        >>> from qubo_attn import ExactlyK
        >>> register("annealed", ExactlyK(4)).select
        ExactlyK(k=4)
    """
    annealing = Annealing(select, **({"sampler": MODEL_SOLVER} | options))

    def attention(module: nn.Module, *args: Any, **keywords: Any) -> tuple[Tensor, Tensor]:
        layer = AnnealedLayer("", annealing, False, None)
        return attend(layer, "", module, *args, **keywords)

    enter(name, attention)
    return annealing


def register_layers() -> None:
    """Register the name of the layers that `use_annealed_attention` changes."""
    enter(NAME, _attention)


def _attention(module: nn.Module, *args: Any, **keywords: Any) -> tuple[Tensor, Tensor]:
    layer = getattr(module.config, STATE)
    base = getattr(layer.before, "_attn_implementation", None) or ""
    return attend(layer, base, module, *args, **keywords)


def enter(name: str, attention: Any) -> None:
    """Register an attention function, and floats as its mask: biases can be added to those."""
    try:
        from transformers import AttentionInterface
        from transformers.masking_utils import AttentionMaskInterface, eager_mask
    except ImportError as error:
        raise MissingExtraError(
            "models of transformers need transformers 4.53 or later: "
            "pip install torch transformers (extra [transformers])",
            extra="transformers",
        ) from error
    # A compiled model breaks its graph here: no compiler can look into the solver.
    AttentionInterface.register(name, torch.compiler.disable(attention))
    AttentionMaskInterface.register(name, eager_mask)


def attend(
    layer: AnnealedLayer,
    base: str,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    dropout: float = 0.0,
    **handed: Any,
) -> tuple[Tensor, Tensor]:
    """Return the output and the weights of one layer, as transformers' attention functions do.

    Args:
        layer: how keys are selected, and where the call is noted.
        base: name of the implementation whose masks come; ``""`` for floats.
        module: the layer's attention.
        query: shape (B, H, Q, d).
        key, value: shape (B, key/value heads, K, d), those of the cache included.
        attention_mask: see `qubo_attn.torch.masks.model_scores`.
        dropout: chance that a weight is dropped.
        **handed: what else the model hands on, see `layer_logits`.

    Returns:
        Output, shape (B, Q, H, d), and weights, shape (B, H, Q, K), of the type of the query.

    Raises:
        InputError: see `layer_logits`.
    """
    start = time.perf_counter()
    scores = layer_logits(layer.name, base, module, query, key, attention_mask, **handed)
    projection = None
    if layer.annealing.projects:
        linear = layer.linear or output_projection(layer.name, module)
        # GPT-2's Conv1D holds the transpose of what a linear layer does.
        projection = linear.weight.T if type(linear).__name__ == "Conv1D" else linear.weight
    context, weights, result = annealed_attention(
        scores,
        value,
        layer.annealing,
        keys=key,
        kv_head=owners_of(query, key),
        output_projection=projection,
        dropout_p=dropout,
    )
    layer.note(result, time.perf_counter() - start)
    return context.to(query.dtype).transpose(1, 2).contiguous(), weights.to(query.dtype)


def owners_of(query: Tensor, key: Tensor) -> list[int]:
    """Return the key/value head of each query head.

    Args:
        query, key: shape (B, heads, ...) each, with heads of their own.

    Example:
        >>> owners_of(torch.zeros(1, 4, 1, 1), torch.zeros(1, 2, 1, 1))
        [0, 0, 1, 1]
    """
    heads, owners = query.shape[1], key.shape[1]
    return [head * owners // heads for head in range(heads)]


def layer_logits(
    name: str,
    base: str,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    position_bias: Tensor | None = None,
    **others: Any,
) -> Tensor:
    """Return the logits of one layer, from what transformers hands to an attention function.

    Args:
        name: of the layer, for the message; ``""`` where it is not known.
        base, module, query, key, attention_mask: see `attend`.
        scaling: of the logits; one over the root of d when None.
        is_causal: whether a query sees no later key, where no mask comes; as the module says when
            None.
        softcap, position_bias, sliding_window: as models hand them on.
        **others: not looked at, but for what cannot be honoured.

    Returns:
        Shape (B, H, Q, K), of the type of the query; -inf where masked.

    Raises:
        InputError: the layer asks for attention sinks or a mask of heads, or a mask is none.
    """
    for other in _UNKNOWN:
        if others.get(other) is not None:
            raise InputError(
                f"{name or type(module).__name__} hands {other} to its attention, which is not "
                "softmax over keys alone any more; leave the layer out by layers=",
                argument=other,
                layer=name,
            )
    if is_causal is None:
        # Without a word on it, transformers' own function for "sdpa" is causal.
        is_causal = bool(getattr(module, "is_causal", base == "sdpa"))
    keys = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
    scores = query @ keys.mT * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if position_bias is not None:
        scores = scores + position_bias[..., : scores.shape[-1]]
    return model_scores(
        scores, attention_mask, causal=is_causal, window=sliding_window, upper_left=base == "sdpa"
    )


def output_projection(name: str, module: nn.Module, parent: nn.Module | None = None) -> nn.Module:
    """Return the linear layer that takes the outputs of the heads.

    Args:
        name: of the attention, for the message.
        module: the attention.
        parent: what holds it; BERT has the linear layer there, as ``output.dense``.

    Raises:
        InputError: there is none of a known name.

    Example:
        >>> attention = torch.nn.Module()
        >>> attention.o_proj = torch.nn.Linear(8, 6)
        >>> output_projection("attn", attention)
        Linear(in_features=8, out_features=6, bias=True)
    """
    found = [getattr(module, child, None) for child in _PROJECTIONS]
    found.append(getattr(getattr(parent, "output", None), "dense", None))
    for linear in found:
        weight = getattr(linear, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 2 and weight.is_floating_point():
            return linear
    raise InputError(
        f"attention {name or type(module).__name__} has no output projection of a known name "
        f"({', '.join(_PROJECTIONS)}), which objective 'layer' and project=True need",
        argument="project",
    )
