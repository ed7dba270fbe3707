"""``AnnealedPress``: keys of a cache, proposed by a scorer and chosen jointly."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from kvpress import BasePress, ScorerPress
from kvpress.utils import compute_n_kept
from torch import Tensor

from qubo_attn.backend.sampler_options import check_seed
from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.common.checks import instance, shown, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.compilation.lower import lower
from qubo_attn.compilation.structures import Structures
from qubo_attn.compiled import CompiledAttention
from qubo_attn.compiler import prepare
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.errors import InputError
from qubo_attn.frontend.objectives import Objective, Renormalised, objective_named
from qubo_attn.frontend.select import Budget
from qubo_attn.kvpress.candidates import Candidates
from qubo_attn.kvpress.window import window_logits
from qubo_attn.machine.target import Target
from qubo_attn.passes import TieVariables
from qubo_attn.solving.local import LocalSolver

if TYPE_CHECKING:
    import dimod


@named_fields
@dataclass(eq=False)
class AnnealedPress(BasePress):  # type: ignore[misc]
    """A press of kvpress that chooses keys jointly, among those that a scorer is unsure of.

    The scorer ranks the keys of each key/value head. Those far above its threshold stay, those far
    below it go, and a QUBO decides on the ``block`` between: one selection for all query heads and
    all queries of the observation window. Each head keeps exactly as many keys as the scorer's own
    press would. All layers are one structure, so one embedding serves them.

    Attributes:
        scorer: any ``kvpress.ScorerPress``; its compression ratio is that of the press.
        sink: how many of the first keys must stay; they are often attention sinks.
        latest: how many of the last keys must stay.
        window: how many of the latest queries the objective looks at.
        block: candidates of a head, half above the scorer's threshold and half below it.
        objective: ``"output"`` or ``"renormalised"``, see docs/kvpress.md, or an objective with
            options that needs no key vectors.
        target: see `qubo_attn.compile`; None, for no embedding, by default.
        sampler: any dimod sampler, that of a machine too, a `qubo_attn.LocalSolver`, or the name of
            one of its methods; None for ``"auto"``: proven optima, solved here.
        sampler_options: further keywords of the sampler, e.g. ``{"num_reads": 8}``.
        cache: where embeddings are kept, see `qubo_attn.compile`.
        seed: of the embedding search and of every sampling; the same inputs keep the same keys.
        result: what was solved last: that of the last layer, heads of all sequences one after
            another, queries of the window.

    Raises:
        InputError: an option does not fit; and, while a model is run, more keys must stay than are
            kept.

    Example:
        >>> import kvpress
        >>> press = AnnealedPress(kvpress.ExpectedAttentionPress(0.5), block=12)
        >>> press.compression_ratio
        0.5
    """

    scorer: ScorerPress
    _: KW_ONLY
    sink: int = 4
    latest: int = 8
    window: int = 32
    block: int = 16
    objective: str | Objective = "output"
    target: Target | str | object | None = None
    sampler: dimod.Sampler | LocalSolver | str | None = None
    sampler_options: Mapping[str, object] | None = None
    cache: EmbeddingCache | str | os.PathLike[str] | None = None
    seed: int = 0
    result: AttentionResult | None = field(default=None, init=False, repr=False)
    structures: Structures = field(default_factory=Structures, init=False, repr=False)

    def __post_init__(self) -> None:
        instance("scorer", self.scorer, ScorerPress)
        self.sink = whole("sink", self.sink)
        self.latest = whole("latest", self.latest)
        self.window = whole("window", self.window, least=1)
        self.block = whole("block", self.block, least=1)
        self.objective = objective_named(self.objective)
        if not isinstance(self.sampler_options or {}, Mapping):
            raise InputError(
                f"sampler_options must be keywords by name, not {shown(self.sampler_options)}",
                argument="sampler_options",
            )
        self.seed = check_seed(self.seed) or 0

    @property
    def compression_ratio(self) -> float:
        """Share of the keys to drop, which is that of the scorer."""
        return float(self.scorer.compression_ratio)

    @compression_ratio.setter
    def compression_ratio(self, value: float) -> None:
        self.scorer.compression_ratio = value

    def post_init_from_model(self, model: Any) -> None:
        """Let the scorer read what it needs of the model."""
        self.scorer.post_init_from_model(model)

    def compress(
        self,
        module: Any,
        hidden_states: Tensor,
        keys: Tensor,
        values: Tensor,
        attentions: Tensor | None,
        kwargs: Mapping[str, Any],
    ) -> tuple[Tensor, Tensor]:
        """Return the keys and values that stay, in their order; kvpress calls it for each layer.

        Args:
            module: the attention layer.
            hidden_states: what it was given, shape (B, queries, model).
            keys, values: of the cache, shape (B, key/value heads, n, d).
            attentions: its weights, where it returns them.
            kwargs: what else it was given.

        Raises:
            InputError: more keys must stay than are kept; names the head.
            EmbeddingError: the candidates do not fit the target.
        """
        batch, owners, number, _ = keys.shape
        count = compute_n_kept(number, self.compression_ratio)
        if count >= number:
            return keys, values
        scores = self.scorer.score(module, hidden_states, keys, values, attentions, kwargs)
        logits = window_logits(module, hidden_states, keys, kwargs, self.window)
        each = logits.shape[1] // owners
        kept = self._kept(
            _numbers(scores), _numbers(logits), _numbers(values), each=each, count=count
        )
        index = np.nonzero(kept)[1].reshape(batch, owners, count, 1)
        place = torch.from_numpy(index).to(keys.device)
        keys, values = (
            tensor.gather(2, place.expand(-1, -1, -1, tensor.shape[-1])).contiguous()
            for tensor in (keys, values)
        )
        return keys, values

    def _kept(
        self, scores: Floats, logits: Floats, values: Floats, *, each: int, count: int
    ) -> Bools:
        """Return the keys that each key/value head keeps, shape (heads, n).

        Args:
            scores: of the scorer, shape (key/value heads, n).
            logits: of the window, shape (heads, queries, n).
            values: shape (key/value heads, n, d).
            each: query heads of a key/value head.
            count: keys to keep.
        """
        heads, queries, number = logits.shape
        groups = (heads // each, each * queries, number)
        sees = np.asarray(logits > -np.inf).reshape(groups)
        parts = Candidates.of(
            scores,
            np.asarray(sees.any(axis=1)),
            count,
            sink=self.sink,
            latest=self.latest,
            block=self.block,
        )
        if (parts.must.sum(axis=1) == count).all():
            return parts.usual
        # What one of the tied queries must keep, all do: each key is named once, by the last that
        # sees it.
        last = groups[1] - 1 - np.argmax(sees[:, ::-1], axis=1)
        named = np.arange(groups[1])[:, None] == last[:, None]

        def table(part: Bools) -> Bools:
            return np.asarray((named & sees & part[:, None]).reshape(logits.shape))

        objective = self.objective
        if isinstance(objective, Renormalised) and objective.start == "top-k":
            start = (sees & parts.usual[:, None]).reshape(logits.shape)
            objective = dataclasses.replace(objective, start=start)
        owner = np.repeat(np.arange(groups[0]), each)
        attention, recipe = prepare(
            logits,
            select=Budget(count),
            objective=objective,
            values=values,
            kv_head=owner,
            required=table(parts.must),
            forbidden=table(parts.never),
            tie=TieVariables.from_kv_head(owner, queries=True),
            target=self.target,
            cache=self.cache,
            seed=self.seed,
        )
        compiled = CompiledAttention.of(lower(recipe, attention, self.structures))
        options: dict[str, Any] = dict(self.sampler_options or {})
        self.result = compiled.solve(self.sampler, seed=self.seed, **options)
        kept = self.result.selected.reshape(groups).any(axis=1)
        # A sequence that sees fewer keys is filled up with padding, as the tensor has one length;
        # and where a sampler gave nothing that could be mended, the scorer's keys stay.
        wrong = (kept.sum(axis=1) != count) | (parts.must & ~kept).any(axis=1)
        return np.where(wrong[:, None], parts.usual, kept)


def _numbers(tensor: Tensor) -> Floats:
    """Return a tensor as float64, its first two axes joined."""
    return np.asarray(tensor.detach().flatten(0, 1).double().cpu())
