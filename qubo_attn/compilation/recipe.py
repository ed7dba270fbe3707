"""How a stream of attention is compiled: all of a compilation but the attention itself."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import numpy as np

from qubo_attn.common import memory
from qubo_attn.common.frozen import Portable
from qubo_attn.compiled import CompiledAttention
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.coupling import Coupling, couple
from qubo_attn.frontend.objectives import Objective
from qubo_attn.frontend.program import build_program
from qubo_attn.frontend.select import Select
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.machine.target import Target
from qubo_attn.passes import Embed, TieVariables
from qubo_attn.pipeline.pipeline import AfterHook, BeforeHook, Pass, Pipeline, Stage
from qubo_attn.pipeline.rewrite import Rewrite


@dataclass(frozen=True, eq=False)
class Recipe(Portable):
    """Everything of a compilation but the attention: what `rebind` repeats.

    Attributes:
        selects, objectives: one per head.
        passes: all passes before the embedding.
        embed: the embedding, or None.
        target: the machine, or None.
        before, after, verify_each: see `Pipeline`.
        mask, kv_head: as given.
        couplings: across heads.
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

    def lower(
        self, attention: Attention, kept: Placement | None = None, known: Plan | None = None
    ) -> CompiledAttention:
        """Compile checked attention; a placement and plan of the same structure are taken over."""
        names = "+".join(dict.fromkeys(objective.name for objective in self.objectives))
        start = time.perf_counter()
        program, notes = self.objective_program(attention)
        rewrite = Rewrite(program, Lift.identity(len(program)), notes=notes)
        first = Stage(names, names, rewrite, time.perf_counter() - start, memory.peak())
        embed = () if self.embed is None else (dataclasses.replace(self.embed, kept=kept),)
        pipeline = Pipeline((*self.passes, *embed), self.before, self.after, self.verify_each)
        return CompiledAttention(attention, self, (first, *pipeline.run(program)), known)

    def objective_program(self, attention: Attention) -> tuple[Program, tuple[str, ...]]:
        """Return the program before any pass, and notes on it."""
        ties = [step for step in self.passes if isinstance(step, TieVariables)]
        tie = ties[0] if ties else None
        program = build_program(attention, self.objectives, self.selects, tie)
        return couple(program, self.couplings, attention.shape[0], tie)

    def without_hooks(self) -> Recipe:
        """Return the recipe as it travels to other processes, where no hook is called."""
        return dataclasses.replace(self, before=(), after=())
