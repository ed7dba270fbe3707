"""Ways to select keys in a whole model: ours, and baselines with the same decoders.

Every method keeps k keys a query. Names that end in ``renormalised`` weigh the selected keys by
softmax over them alone; all others leave what is left at the mean value of the visible keys.
``tied`` methods make one selection for the query heads of a key/value head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, NamedTuple

import qubo_attn as qa
from qubo_attn.decoding.baselines import BASELINES
from qubo_attn.decoding.decoders import context_of, weights_of
from qubo_attn.torch import Annealing, use_annealed_attention
from qubo_attn.torch.drawn import Drawn

LEVELS = 3
# Baselines that select for each query; the others are for caches.
BY_QUERY = BASELINES[:4]
# The decoder of the baseline of each kind.
KINDS = {"": "residual", "renormalised": "renormalise"}


@dataclass(frozen=True, eq=False)
class BaselineAttention(Annealing):
    """Attention that selects by a baseline, under the counts and ties of a compilation."""

    _: KW_ONLY
    baseline: str = "top-k"

    def draw(self, *args: Any, seed: int | None = None, **keywords: Any) -> Drawn:
        compiled = self.compiled(*args, **keywords)
        attention = compiled.attention
        assert attention.values is not None
        selected = qa.baseline(self.baseline, compiled)
        weights = weights_of(self.decoding, attention, selected)
        result = replace(
            compiled.solve(seed=seed, decoder=self.decoder),
            selected=selected,
            weights=weights,
            context=context_of(attention, weights, None),
        )
        return Drawn.of(compiled, result, weights)


class Method(NamedTuple):
    """How keys are selected: by a baseline where there is one."""

    options: dict[str, Any]
    soft: bool = False
    baseline: str | None = None


def _baselines() -> dict[str, Method]:
    methods = {}
    for kind, decoder in KINDS.items():
        # Sums over queries are for caches: each query loses by them, and they are no default here.
        for name in BASELINES if decoder == "residual" else BY_QUERY:
            options: dict[str, Any] = {"objective": "hard", "decoder": decoder}
            options |= {"project": True} if name == "projected-value" else {}
            methods[f"{name} {kind}".strip()] = Method(options, baseline=name)
    tied = {"objective": "hard", "decoder": "residual", "tie": "kv-head"}
    return methods | {"top-k tied": Method(tied, baseline="top-k")}


METHODS: dict[str, Method] = _baselines() | {
    # One round: what is solved here is searched afterwards, which proves as much as more rounds do.
    "renormalised": Method({"objective": qa.Renormalised(rounds=1)}),
    "output": Method({"objective": "output"}),
    "output tied": Method({"objective": "output", "tie": "kv-head"}),
    "soft weights": Method({"objective": "output"}, soft=True),
}
DEFAULT = tuple(name for name in METHODS if name not in BASELINES[len(BY_QUERY) :])
# Baselines by what they stand beside, with the same decoder.
BESIDE = {
    "output": tuple(BASELINES),
    "soft weights": tuple(BASELINES),
    "renormalised": tuple(f"{name} renormalised" for name in BY_QUERY),
    "output tied": ("top-k tied",),
}


@contextmanager
def annealed_by(model: Any, name: str, k: int, **options: Any) -> Iterator[Any]:
    """Put a method in the place of a model's attention.

    Args:
        model: of transformers.
        name: one of `METHODS`.
        k: keys of a query.
        **options: further options of `Annealing`, for methods that are no baselines.
    """
    method = METHODS[name]
    select: Any = qa.SoftWeights(LEVELS, k=k) if method.soft else qa.ExactlyK(k)
    # What is compiled for a baseline is not solved: it needs no more than k slots.
    options |= method.options | ({} if method.baseline is None else {"slots": k})
    with use_annealed_attention(model, select, **options) as annealed:
        if method.baseline is not None:
            shared = BaselineAttention(select, sampler="auto", baseline=method.baseline, **options)
            for layer in annealed.layers.values():
                layer.annealing = shared
        yield annealed
