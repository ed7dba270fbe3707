"""Attention of a model's layers, caught while the model runs: logits, values, keys.

A layer that is looked at computes softmax over its logits itself, so that it works whatever
implementation the model has: many of those never hold the logits.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qubo_attn.common.arrays import own_array
from qubo_attn.common.checks import instance, shown, whole
from qubo_attn.errors import InputError
from qubo_attn.frontend.captured import CapturedAttention
from qubo_attn.torch.interface import enter, layer_logits, owners_of
from qubo_attn.torch.places import Place, attention_places, chosen_layers
from qubo_attn.torch.weights import softmax_weights

# The name that the configuration of a layer gets while it is looked at.
_NAME = "qubo-attn-capture"
# The attribute of that configuration that says where its attention goes.
_STATE = "captured_layer"


@dataclass
class _Layer:
    """A layer that is looked at, and what each of its calls had."""

    name: str
    item: int
    before: Any
    calls: list[dict[str, Any]] = field(default_factory=list)


def captured_calls(
    model: nn.Module,
    inputs: Mapping[str, Any] | Tensor | str,
    layers: Any = None,
    *,
    item: int = 0,
    tokenizer: Any = None,
) -> dict[str, tuple[CapturedAttention, ...]]:
    """Run a model once, and return the attention of its layers.

    Args:
        model: one of transformers; runs in evaluation mode, without gradients.
        inputs: see `qubo_attn.capture`.
        layers: see `qubo_attn.torch.use_annealed_attention`.
        item: which sequence of a batch.
        tokenizer: of a text, or of the tokens' texts.

    Returns:
        What each call of each layer had, by name of the layer, in the order of the model. Layers of
        some models, such as ALBERT, are called several times.

    Raises:
        InputError: see `qubo_attn.capture`.
        MissingExtraError: the model is one of transformers older than 4.53.
    """
    instance("model", model, nn.Module)
    item = whole("item", item)
    places = attention_places(model)
    places = {name: places[name] for name in chosen_layers(places, layers)}
    given = _given(model, inputs, tokenizer)
    with _looking(model, places, item) as looked, torch.no_grad():
        model(**given) if isinstance(given, Mapping) else model(given)
    tokens, seen = _tokens(model, given, item, tokenizer), _padding(given, item)
    captured = {}
    for layer in looked:
        if not layer.calls:
            raise InputError(
                f"layer {layer.name} was not called for these inputs; leave it out, or give the "
                "inputs that it attends to, such as decoder_input_ids",
                argument="layer",
                layer=layer.name,
            )
        captured[layer.name] = tuple(
            _captured(layer.name, call, tokens, seen) for call in layer.calls
        )
    return captured


def _given(model: nn.Module, inputs: object, tokenizer: Any) -> Mapping[str, Any] | Tensor:
    """Return inputs as the model takes them, on its device."""
    if tokenizer is not None and not (callable(tokenizer) and hasattr(tokenizer, "decode")):
        raise InputError(
            f"tokenizer must be one of transformers, not {shown(tokenizer)}", argument="tokenizer"
        )
    if isinstance(inputs, str):
        if tokenizer is None:
            raise InputError(
                "inputs are a text: give tokenizer=, or the tensors that the model takes",
                argument="tokenizer",
            )
        inputs = tokenizer(inputs, return_tensors="pt")
    device = next((parameter.device for parameter in model.parameters()), None)
    if isinstance(inputs, Tensor):
        return inputs.to(device)
    if not isinstance(inputs, Mapping):
        raise InputError(
            f"inputs must be tensors by name, one tensor, or a text, not {shown(inputs)}",
            argument="inputs",
        )
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }


@contextmanager
def _looking(model: nn.Module, places: Mapping[str, Place], item: int) -> Iterator[list[_Layer]]:
    """Look at layers while the block runs, and put all back as it was."""
    enter(_NAME, _attention)
    training = [module for module in model.modules() if module.training]
    layers = []
    try:
        model.eval()
        for name, (owner, attribute) in places.items():
            before = getattr(owner, attribute)
            if isinstance(before, nn.Module):
                raise InputError(
                    f"layer {name} is torch's {type(before).__name__}, and not of transformers: "
                    "its scores cannot be captured; hand in q k^T / sqrt(d) yourself",
                    argument="layer",
                    layer=name,
                )
            layers.append(_Layer(name, item, before))
            config = copy.copy(before)
            # The public name would change the configurations of parts as well.
            config._attn_implementation_internal = _NAME
            setattr(config, _STATE, layers[-1])
            setattr(owner, attribute, config)
        yield layers
    finally:
        for layer in layers:
            owner, attribute = places[layer.name]
            setattr(owner, attribute, layer.before)
        for module in training:
            module.training = True


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    dropout: float = 0.0,
    **handed: Any,
) -> tuple[Tensor, Tensor]:
    """Return softmax attention, as transformers' attention functions do, and keep what it had."""
    layer: _Layer = getattr(module.config, _STATE)
    base = getattr(layer.before, "_attn_implementation", None) or ""
    item = whole("item", layer.item, most=len(query) - 1)
    wide = torch.promote_types(query.dtype, torch.float32)
    scores = layer_logits(
        layer.name, base, module, query.to(wide), key.to(wide), attention_mask, **handed
    )
    owners = owners_of(query, key)
    # Copies of one sequence: the tensors may be a cache's, or a whole batch.
    call = {"scores": scores, "values": value.to(wide), "keys": key.to(wide)}
    own = {name: tensor[item].detach().cpu().clone() for name, tensor in call.items()}
    layer.calls.append(own | {"kv_head": None if len(owners) == key.shape[1] else owners})
    weights = softmax_weights(scores)
    context = weights @ value.repeat_interleave(len(owners) // value.shape[1], 1).to(wide)
    return context.to(query.dtype).transpose(1, 2).contiguous(), weights.to(query.dtype)


def _captured(
    name: str, call: dict[str, Any], tokens: tuple[str, ...] | None, seen: Tensor | None
) -> CapturedAttention:
    """Return what a call had, in NumPy; queries of padding see no key."""
    scores, owners = call["scores"], call["kv_head"]
    if seen is not None and scores.shape[-2] == len(seen):
        scores = scores.masked_fill(~seen[:, None].cpu(), -torch.inf)
    return CapturedAttention(
        layer=name,
        scores=own_array(scores.numpy()),
        values=own_array(call["values"].numpy()),
        keys=own_array(call["keys"].numpy()),
        kv_head=None if owners is None else own_array(np.array(owners)),
        tokens=tokens if tokens is not None and len(tokens) == scores.shape[-1] else None,
    )


def _tokens(model: nn.Module, given: Any, item: int, tokenizer: Any) -> tuple[str, ...] | None:
    """Return the text of each token, where there is one for each key."""
    config = getattr(model, "config", None)
    if tokenizer is None or getattr(config, "is_encoder_decoder", False):
        return None
    ids = given.get("input_ids") if isinstance(given, Mapping) else given
    if not isinstance(ids, Tensor) or ids.dim() != 2 or ids.is_floating_point():
        return None
    return tuple(str(tokenizer.decode([token])) for token in ids[item].tolist())


def _padding(given: Any, item: int) -> Tensor | None:
    """Return which tokens are no padding, as the mask of the inputs says it."""
    mask = given.get("attention_mask") if isinstance(given, Mapping) else None
    if not isinstance(mask, Tensor) or mask.dim() != 2:
        return None
    return mask[item].bool()
