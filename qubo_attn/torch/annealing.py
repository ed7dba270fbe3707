"""Annealing of a layer: embedded once for a structure, bound anew for every batch."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qubo_attn.backend.sample import SWEEPS
from qubo_attn.backend.sampler_options import check_options, check_seed
from qubo_attn.common.arrays import Floats
from qubo_attn.common.checks import flag, number, one_of, shown
from qubo_attn.common.keywords import named_fields
from qubo_attn.compilation.lower import lower
from qubo_attn.compilation.options import DEFAULT_SELECT
from qubo_attn.compilation.recipe import Recipe
from qubo_attn.compilation.structures import Structures
from qubo_attn.compiled import CompiledAttention
from qubo_attn.compiler import prepare
from qubo_attn.decoding.decoders import check_decoder
from qubo_attn.decoding.solve import local_solver, method_of
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.errors import InputError
from qubo_attn.frontend.attention import Attention
from qubo_attn.frontend.heads import Head, count_heads
from qubo_attn.frontend.objectives import Objective, objective_named
from qubo_attn.frontend.select import Select, check_select
from qubo_attn.jobs.memory import sample_all
from qubo_attn.machine.target import Target
from qubo_attn.passes import TieVariables
from qubo_attn.solving.local import LocalSolver
from qubo_attn.torch.drawn import Drawn
from qubo_attn.torch.reads import reads_of
from qubo_attn.torch.sequences import (
    LayerHeads,
    check_tie,
    objectives_of,
    projection_of,
    tie_of,
    tied,
)
from qubo_attn.torch.weights import DECODERS, check_energies

if TYPE_CHECKING:
    import dimod

FORWARD = ("hard", "soft")
BACKWARD = ("straight-through", "exact", "energy")
# How models solve their rows: rows of many selections, which few steps prove, get less time than
# the solver gives them elsewhere, as a model has thousands of them in every layer.
MODEL_SOLVER = LocalSolver("auto", steps=20_000, sweeps=16)
# Options that are handed on to `qubo_attn.compile` as they are.
_COMPILE_OPTIONS = ("select", "objective", "slots", "target", "cache")


@named_fields
@dataclass(frozen=True, eq=False)
class Annealing:
    """Options of annealed attention, and the structures that were met with them.

    Structures are remembered by what their rows are, not by the shape of the input: a longer
    context with as many rows of as many slots is the same one, see docs/reuse_embeddings.md. They
    take 256 MiB at most; those not used for longest go first. Layers may share one object.

    Attributes:
        select, objective, target, cache, slots: see `qubo_attn.compile`. The objective is
            ``"output"`` by default, as a layer always has values; the target is None, as the local
            annealer needs no embedding.
        sampler: any dimod sampler, that of a machine too; a `qubo_attn.LocalSolver` or the name of
            one of its methods, such as ``"auto"``, for optima of rows without reads; None for the
            local annealer.
        decoder: from selections to weights; the objective's own when None.
        seed: seed of the embedding search and of every sampling: the same inputs give the same
            output. None draws a new one for each call from torch's generator.
        forward: ``"hard"`` (the decoder's weights of each row's best read) or ``"soft"``
            (marginals over all feasible reads, over their sum).
        backward: ``"straight-through"`` (as if the weights had been softmax), ``"exact"`` (the
            forward's own formula; what was sampled does not change) or ``"energy"`` (QAMA's rule:
            weights count as the keys' energies; their bits do not change).
        temperature: of the sampler, for ``forward="soft"``; the local annealer then samples at it.
        sampler_options: further keywords of the sampler, e.g. ``{"num_reads": 8}``.
        heads: one `qubo_attn.Head` for each head of a sequence, where they differ.
        tie: heads that share one selection: ``"kv-head"`` for those of a key/value head, ``"kv"``
            for all their queries as well, or a `qubo_attn.TieVariables` with groups; none by
            default.
        project: measure errors behind the layer's output projection, as objective ``"layer"`` does.

    Raises:
        InputError: options that do not go together; names them.

    Example:
        >>> from qubo_attn import ExactlyK
        >>> Annealing(ExactlyK(2), forward="soft", backward="exact").temperature
        1.0
    """

    select: Select = DEFAULT_SELECT
    _: KW_ONLY
    objective: str | Objective = "output"
    target: Target | str | object | None = None
    sampler: dimod.Sampler | LocalSolver | str | None = None
    decoder: str | None = None
    cache: EmbeddingCache | str | os.PathLike[str] | None = None
    seed: int | None = 0
    slots: int | Literal["auto"] | None = "auto"
    forward: Literal["hard", "soft"] = "hard"
    backward: Literal["straight-through", "exact", "energy"] = "straight-through"
    temperature: float = 1.0
    sampler_options: Mapping[str, object] | None = None
    heads: Sequence[Head] | None = None
    tie: TieVariables | Literal["kv-head", "kv"] | None = None
    project: bool = False
    structures: Structures = field(default_factory=Structures, init=False, repr=False)

    def __post_init__(self) -> None:
        one_of("forward", self.forward, FORWARD)
        one_of("backward", self.backward, BACKWARD)
        check_select(self.select)
        object.__setattr__(self, "seed", check_seed(self.seed))
        temperature = number("temperature", self.temperature, above=0)
        object.__setattr__(self, "temperature", temperature)
        options = {} if self.sampler_options is None else self.sampler_options
        if not isinstance(options, Mapping):
            raise InputError(
                f"sampler_options must be keywords by name, not {shown(options)}",
                argument="sampler_options",
            )
        self._check_sampler(options)
        if self.heads is not None:
            count_heads(self.heads)
            object.__setattr__(self, "heads", tuple(self.heads))
        check_tie(self.tie)
        flag("project", self.project)
        object.__setattr__(self, "objective", objective_named(self.objective))
        if self.decoder is not None:
            check_decoder(self.decoder)
        self._check_together()

    def _check_sampler(self, options: Mapping[str, object]) -> None:
        solver = None if self.sampler is None else local_solver(self.sampler)
        if solver is None or method_of(solver, dict(options), reads=False) == "anneal":
            check_options(None if solver else self.sampler, options)
        if solver is not None and self.forward == "soft":
            raise InputError(
                "forward='soft' is about reads, which the local solver does not draw: leave out "
                "sampler= to anneal here",
                argument="sampler",
            )

    def _check_together(self) -> None:
        directions = self.forward, self.backward
        joined = self.tie is not None or self.heads is not None
        if joined and directions != ("hard", "straight-through"):
            name = "heads" if self.tie is None else "tie"
            raise InputError(
                f"{name}= takes forward='hard' and backward='straight-through', not "
                f"{self.forward!r} and {self.backward!r}",
                argument=name,
            )
        if self.tie is not None and any(head.tie is not None for head in self.heads or ()):
            raise InputError("give tie= or Head(tie=), not both", argument="tie")
        leveled = self._objective.soft or hasattr(self.select, "encoding")
        if leveled and directions != ("hard", "straight-through"):
            raise InputError(
                "soft weights (SoftWeights, or an objective over weights) take forward='hard' and "
                f"backward='straight-through', not {self.forward!r} and {self.backward!r}",
                argument="select",
            )
        if self.forward == "soft" and self.decoder not in (None, "marginals"):
            raise InputError(
                f"forward='soft' decodes by marginals, not {self.decoder!r}", argument="decoder"
            )
        if directions == ("hard", "exact") and self.decoding not in DECODERS:
            raise InputError(
                f"decoder {self.decoding!r} has no gradient given a selection: backward='exact' "
                "needs 'renormalise' or 'residual', or forward='soft'",
                argument="decoder",
            )
        if self.backward == "energy" or directions == ("soft", "exact"):
            check_energies(self._objective)

    @property
    def _objective(self) -> Objective:
        return objective_named(self.objective)

    @property
    def decoding(self) -> str:
        """The decoder in use."""
        return self.decoder or self._objective.decoder

    @property
    def projects(self) -> bool:
        """Whether a layer has to hand in its output projection."""
        each = [head.objective or self.objective for head in self.heads or (Head(),)]
        return self.project or any(objective_named(o).name == "layer" for o in each)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __deepcopy__(self, memo: dict[int, object]) -> Annealing:
        # Copies of a layer share its sampler, as a machine's client is one connection, not many,
        # and its structures, which depend on the options alone.
        return copy.copy(self)

    def compiled(
        self,
        scores: Floats,
        values: Floats | None = None,
        keys: Floats | None = None,
        *,
        heads: LayerHeads | None = None,
        carried: Floats | None = None,
    ) -> CompiledAttention:
        """Return the compiled rows; nothing is embedded where their structure was met before.

        Args:
            scores: shape (H, Q, K), -inf where masked; H is that of all sequences, one after
                another.
            values, keys: vectors, shape (H, K, d).
            heads: those of one sequence; all are of one sequence when None.
            carried: what earlier calls leave to carried backgrounds, see `qubo_attn.compile`.

        Raises:
            InputError: an argument does not fit the options, such as an objective without keys.
            EmbeddingError: a row does not fit the target.
        """
        one, layer = self._recipe, LayerHeads(len(scores)) if heads is None else heads
        named = 1 if self.heads is None else len(self.heads)
        if named not in (1, layer.number):
            raise InputError(
                f"heads= names {named} heads, but the layer has {layer.number}", argument="heads"
            )
        sequences = len(scores) // layer.number
        projection = projection_of(layer.projection, layer.number, sequences)
        attention = Attention.check(
            scores,
            len(scores),
            values=values,
            keys=keys,
            output_projection=projection,
            carried=carried,
        )
        tie, each = tie_of(self.tie, layer), layer.number // named
        steps = one.passes if tie is None else (tie, *one.passes)
        recipe = dataclasses.replace(
            one,
            selects=one.selects * each * sequences,
            objectives=objectives_of(one.objectives * each, sequences),
            passes=tuple(tied(step, layer.number, sequences) for step in steps),
        )
        return CompiledAttention.of(lower(recipe, attention, self.structures))

    @cached_property
    def _recipe(self) -> Recipe:
        """The recipe of the heads that are named, or of a single one."""
        options = {name: getattr(self, name) for name in _COMPILE_OPTIONS}
        options["seed"] = self.seed or 0
        heads = 1 if self.heads is None else self.heads
        return prepare(np.zeros((count_heads(heads), 1, 1)), heads, **options)[1]

    def draw(
        self,
        scores: Floats,
        values: Floats | None = None,
        keys: Floats | None = None,
        *,
        seed: int | None = None,
        heads: LayerHeads | None = None,
        carried: Floats | None = None,
    ) -> Drawn:
        """Compile, sample or solve, and decode rows.

        Args:
            scores, values, keys, heads, carried: see `compiled`.
            seed: of the sampler; that of the options when None.

        Raises:
            InputError, EmbeddingError: see `compiled`.
        """
        compiled = self.compiled(scores, values, keys, heads=heads, carried=carried)
        seed = self.seed if seed is None else seed
        options = self._sampler_options()
        if self.forward == "hard":
            sampler = "anneal" if self.sampler is None else self.sampler
            result = compiled.solve(sampler, seed=seed, decoder=self.decoder, **options)  # type: ignore[arg-type]
            return Drawn.of(compiled, result, result.weights)
        samplesets = sample_all(compiled.submissions, self.sampler, seed, options)
        result = compiled.decode(samplesets, "renormalise")
        reads, share = reads_of(compiled, samplesets, result)
        marginal = np.einsum("rhq,rhqk->hqk", share / share.sum(axis=0), reads)
        total = marginal.sum(axis=-1, keepdims=True)
        return Drawn.of(
            compiled, result, marginal / np.where(total > 0, total, 1.0), (reads, share)
        )

    def _sampler_options(self) -> dict[str, object]:
        options = dict(self.sampler_options or {})
        scheduled = any(name.startswith("beta") for name in options)
        if self.forward == "hard" or self.sampler is not None or scheduled:
            return options
        # Half of the sweeps cool down, half stay: the reads are samples of that temperature.
        sweeps = max(int(options.pop("num_sweeps", SWEEPS)), 2)  # type: ignore[call-overload]
        cooling = np.linspace(0.0, 1.0, sweeps // 2, endpoint=False)
        steps = np.concatenate([cooling, np.ones(sweeps - sweeps // 2)]) / self.temperature
        return options | {
            "beta_schedule_type": "custom",
            "beta_schedule": steps,
            "num_sweeps": sweeps,
            "num_sweeps_per_beta": 1,
        }
