"""A language model that goes on with a part of its cache: KL on the tokens that follow.

The model reads a prefix in full. Every layer then keeps a share of the prefix's keys, as many for
each key/value head, and the model reads what follows with them, which it sees in full. The first
keys and the latest stay in any case.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import torch

import qubo_attn as qa
from qubo_attn.torch import Annealing, use_annealed_attention
from qubo_attn.torch.drawn import Drawn
from qubo_attn.torch.sequences import LayerHeads

SHARES = (0.25, 0.5)
FIRST, LATEST, WINDOW = 4, 8, 32
BASELINES = ("first-and-latest", "heavy-hitters", "accumulated", "mean-mass", "window")
OBJECTIVES = ("output", "renormalised")


Note = tuple[np.ndarray, np.ndarray, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Recorder(Annealing):
    """Attention over all keys, which notes logits, values and owners of every layer."""

    _: KW_ONLY
    notes: list[Note] = field(default_factory=list)

    def draw(
        self,
        scores: np.ndarray,
        values: np.ndarray | None = None,
        keys: np.ndarray | None = None,
        *,
        seed: int | None = None,
        heads: LayerHeads | None = None,
        carried: np.ndarray | None = None,
    ) -> Drawn:
        assert values is not None
        assert heads is not None
        assert heads.kv_head is not None
        self.notes.append((scores, values, heads.kv_head))
        return super().draw(scores, values, keys, seed=seed, heads=heads, carried=carried)


def recorded(model: Any, prefix: torch.Tensor) -> tuple[list[Note], Any]:
    """Return what every layer was given, and the cache of a prefix."""
    select = qa.ExactlyK(prefix.shape[1])
    recorder = Recorder(select, objective="hard", decoder="renormalise", sampler="auto")
    with use_annealed_attention(model, select, objective="hard") as annealed:
        for layer in annealed.layers.values():
            layer.annealing = recorder
        cache = model(prefix, use_cache=True).past_key_values
    return recorder.notes, cache


def choices(note: Note, keep: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every way to choose, and the keys that each key/value head keeps, ascending."""
    scores, values, owners = note
    count = scores.shape[-1]
    key = np.arange(count)
    stays = (key < FIRST) | (key >= count - LATEST)
    heads = [owners.index(owner) for owner in range(max(owners) + 1)]

    def compiled(objective: str, queries: int | None) -> qa.CompiledAttention:
        return qa.compile(
            scores,
            len(scores),
            select=qa.Budget(keep),
            objective=objective,
            values=values,
            tie=qa.TieVariables.from_kv_head(owners, queries=True),
            required=stays & np.tri(count, dtype=bool),
            queries=queries,
            target=None,
        )

    def keys(selected: np.ndarray) -> torch.Tensor:
        rows = [np.flatnonzero(selected[head].any(axis=0)) for head in heads]
        return torch.from_numpy(np.stack(rows))

    whole = compiled("hard", None)
    for name in BASELINES:
        yield name, keys(qa.baseline(name, whole, window=WINDOW))
    for objective in OBJECTIVES:
        yield objective, keys(compiled(objective, WINDOW).solve().selected)


def cut(cache: Any, index: list[torch.Tensor]) -> Any:
    """Return a copy of a cache that holds these keys of every layer alone."""
    short = copy.deepcopy(cache)
    for layer, keys in zip(short.layers, index, strict=True):
        wide = keys[None, :, :, None].expand(-1, -1, -1, layer.keys.shape[-1])
        layer.keys, layer.values = layer.keys.gather(2, wide), layer.values.gather(2, wide)
    return short


def later(model: Any, tokens: torch.Tensor, prefix: int) -> Iterator[tuple[str, float, float]]:
    """Yield a way to choose, the share of the keys, and KL on what follows, in nats a token."""
    full = model(tokens).logits[0, prefix:].float().log_softmax(-1)
    layers, cache = recorded(model, tokens[:, :prefix])
    place = torch.arange(prefix, tokens.shape[1])[None]
    # Releases of transformers differ in the name.
    named = inspect.signature(model.forward).parameters
    argument = "cache" if "cache" in named else "past_key_values"
    for share in SHARES:
        keep = max(int(share * prefix), FIRST + LATEST)
        by_layer = [dict(choices(note, keep)) for note in layers]
        for name in by_layer[0]:
            short = cut(cache, [keys[name] for keys in by_layer])
            out = model(tokens[:, prefix:], position_ids=place, **{argument: short})
            ours = out.logits[0].float().log_softmax(-1)
            yield name, share, float((full.exp() * (full - ours)).sum(-1).mean())
