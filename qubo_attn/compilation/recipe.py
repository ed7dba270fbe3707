"""Recipes: all of a compilation but the attention itself, which `rebind` repeats."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qubo_attn.backend.chain_strength import ChainStrength, check_chain_strength
from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.common.checks import one_of
from qubo_attn.common.frozen import Portable
from qubo_attn.common.vocabulary import REPLICAS
from qubo_attn.frontend.coupling import Coupling
from qubo_attn.frontend.objectives import Boltzmann, Objective
from qubo_attn.frontend.select import Select
from qubo_attn.machine.target import Target
from qubo_attn.passes import Embed
from qubo_attn.pipeline.pipeline import AfterHook, BeforeHook, Pass

Replicas = Literal["fill"] | None


@dataclass(frozen=True, eq=False)
class Recipe(Portable):
    """Everything of a compilation but the attention.

    Attributes:
        selects, objectives: one per head.
        passes: all passes before the embedding.
        embed: the embedding, or None.
        target: the machine, or None.
        before, after, verify_each: see `Pipeline`.
        mask: as `qubo_attn.frontend.hidden.read_mask` gave it.
        kv_head: as given.
        couplings: couplings of heads.
        queries: which queries of a batch count, as `qubo_attn.frontend.window.read_window` gave it.
        chain_strength: how strong chains are, see `qubo_attn.compile`.
        replicas: what leftover room is filled with, see `qubo_attn.compile`.

    Raises:
        InputError: the chain strength or the replicas are none that `qubo_attn.compile` takes.
    """

    selects: tuple[Select, ...]
    objectives: tuple[Objective, ...]
    passes: tuple[Pass, ...]
    embed: Embed | None
    target: Target | None
    before: tuple[BeforeHook, ...] = ()
    after: tuple[AfterHook, ...] = ()
    verify_each: bool = False
    mask: np.ndarray | None = None
    kv_head: np.ndarray | None = None
    couplings: tuple[Coupling, ...] = ()
    chain_strength: ChainStrength = "auto"
    queries: Longs | None = None
    replicas: Replicas = None

    def __post_init__(self) -> None:
        strength = check_chain_strength(self.chain_strength)
        object.__setattr__(self, "chain_strength", strength)
        if self.replicas is not None:
            one_of("replicas", self.replicas, REPLICAS)

    @property
    def aims(self) -> Floats:
        """Temperature that reads of each head shall have, in logits; 0 where none is asked for."""
        asked = [o.temperature if isinstance(o, Boltzmann) else None for o in self.objectives]
        return np.array([aim or 0.0 for aim in asked])

    def without_hooks(self) -> Recipe:
        """Return the recipe as it goes to other processes, where no hook is called."""
        return dataclasses.replace(self, before=(), after=())
