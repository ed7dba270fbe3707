"""What a compilation yields: submissions out, attention back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.backend import sample as annealer
from qubo_attn.backend.chain_strength import ChainStrength
from qubo_attn.backend.coefficients import Coefficients, coefficients
from qubo_attn.backend.model import Submissions
from qubo_attn.backend.precision import Precision, precision
from qubo_attn.backend.programmings import Outgoing, logical_submission
from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import MAJORITY, check_method
from qubo_attn.backend.wire import SolverOrder, WireData
from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.common.frozen import Portable
from qubo_attn.decoding import multipliers
from qubo_attn.decoding.decode import AttentionResult, decode
from qubo_attn.decoding.decoders import check_decoder
from qubo_attn.decoding.lost_mass import Losses, losses_of
from qubo_attn.embedding.placement import Placement, Plan
from qubo_attn.errors import InputError, PassError
from qubo_attn.formulations.certificates import Certificates
from qubo_attn.frontend.attention import Attention
from qubo_attn.ir.columns import Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.pipeline.pipeline import Stage
from qubo_attn.report.facts import Report, build_report
from qubo_attn.report.schedule import Schedule, schedule

if TYPE_CHECKING:
    import dimod
    from matplotlib.figure import Figure

    from qubo_attn.compilation.recipe import Recipe
    from qubo_attn.embedding.cache import EmbeddingCache
    from qubo_attn.report.profiling import Profile


@dataclass(frozen=True, eq=False)
class CompiledAttention(Portable):
    """Compiled attention; made by `qubo_attn.compile`.

    Attributes:
        attention: the checked input.
        recipe: how it was compiled; `rebind` repeats it.
        stages: the objective's program and the program after every pass.
        known_plan: a plan of an earlier batch, used where it serves.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
        >>> [stage.name for stage in compiled.stages]
        ['selection', 'sparsify', 'insert-penalties', 'binarize-weights', 'embed']
        >>> compiled.bound, len(compiled.submissions)
        (0.0, 1)
        >>> compiled.solve(seed=1).selected[0, 0]
        array([ True, False, False])
        >>> compiled.rebind([[[0.5, 1.0, 2.0]]]).solve(seed=1).selected[0, 0]
        array([False, False,  True])
    """

    attention: Attention
    recipe: Recipe
    stages: tuple[Stage, ...]
    known_plan: Plan | None = None

    # -- the program --------------------------------------------------------------------------

    @property
    def program(self) -> Program:
        """The program after the last pass: bits only, constraints priced."""
        return self.stages[-1].program

    @property
    def placement(self) -> Placement | None:
        """Where the program sits on the machine; None without a structured target."""
        return self.stages[-1].rewrite.placement

    def lift_to(self, stage: int) -> Lift:
        """Return the way back from samples of `program` to the program after ``stage``."""
        return self.lift_between(stage, len(self.stages) - 1)

    def lift_between(self, early: int, late: int) -> Lift:
        """Return the way back from the program after stage ``late`` to that after ``early``."""
        lift = Lift.identity(len(self.stages[early].program))
        for stage in self.stages[early + 1 : late + 1]:
            lift = lift.then(stage.lift)
        return lift

    @property
    def bound(self) -> float:
        """How much all lossy passes together can raise the optimum, in energy units.

        Bounds add up. Where a pass moved energies, a later lossy pass works on those, and what was
        moved counts on both sides.
        """
        total = moved = twice = 0.0
        for stage in self.stages:
            if stage.rewrite.bound > 0:
                twice = 2.0 * moved
            total += stage.rewrite.bound
            moved += stage.rewrite.error
        return total + twice

    @cached_property
    def losses(self) -> Losses:
        """Softmax mass of keys no selection can hold any more, and the output error it bounds."""
        return losses_of(self)

    @property
    def certificates(self) -> Certificates:
        """The proofs of the penalty weights; `Certificates.recheck` proves them again.

        Raises:
            PassError: no pass left any.
        """
        for stage in self.stages:
            if stage.rewrite.certificates is not None:
                return stage.rewrite.certificates
        raise PassError("no pass of this compilation left certificates")

    @cached_property
    def capped(self) -> Bools:
        """Rows that see fewer keys than they were to keep, shape (H, Q)."""
        heads, queries, keys = self.attention.shape
        rows, endless = self.attention.rows, np.array([keys + 2**31])
        wanted = np.zeros(heads, np.int64)
        for head, select in enumerate(self.recipe.selects):
            count = int(select.counts(endless)[0])
            if select.sense == Sense.EQ and count < endless[0]:
                wanted[head] = count
        capped = np.zeros((heads, queries), bool)
        capped[rows.head, rows.query] = rows.sizes < wanted[rows.head]
        return capped

    # -- out ----------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> Plan | None:
        """Index arrays from logical to physical coefficients; None without a placement."""
        if self.placement is None:
            return None
        return self.placement.plan(self.program.total(), self.known_plan)

    @cached_property
    def coefficients(self) -> Coefficients | None:
        """Coefficients in hardware units; None without a placement."""
        if self.placement is None or self.plan is None:
            return None
        embed = self.recipe.embed
        chosen: ChainStrength = "torque" if embed is None else embed.chain_strength
        return coefficients(self.program.total(), self.placement, self.plan, chosen)

    @cached_property
    def submissions(self) -> Submissions:
        """The machine programmings, each ready to submit; none where nothing is left to choose."""
        if not len(self.program):
            return Submissions()
        if self._outgoing is None:
            return Submissions((logical_submission(self.program),))
        return Submissions(self._outgoing.submissions())

    @cached_property
    def _outgoing(self) -> Outgoing | None:
        """All programmings of a machine; None without a placement."""
        if self.placement is None or self.plan is None or self.coefficients is None:
            return None
        return Outgoing(self.program, self.placement, self.plan, self.coefficients)

    def wires(self, solver: SolverOrder | object = None) -> tuple[WireData, ...]:
        """Return every submission as a solver's client sends it; see `Submission.wire`.

        One pass from logical coefficients to the arrays sent: no model of any submission is built.
        Where things go is worked out once for a structure and a `SolverOrder`, and serves every
        batch that `rebind` makes.

        Args:
            solver: what lists qubits and couplers, or a `SolverOrder` made of one; None means the
                target's own order.

        Raises:
            TargetError: a qubit or coupler in use is not among the solver's; names it.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
            >>> compiled.wires() == tuple(part.wire() for part in compiled.submissions)
            True
        """
        return () if self._outgoing is None else self._outgoing.wires(solver)

    def hardware_arrays(self, solver: SolverOrder | object = None) -> tuple[Floats, Floats]:
        """Return the physical h and J of every submission over all qubits and couplers.

        Args:
            solver: see `wires`.

        Returns:
            Fields, shape (submissions, qubits), and couplings, shape (submissions, couplers), in
            hardware units, in the solver's order; zeros where nothing is placed.

        Raises:
            TargetError: a qubit or coupler in use is not among the solver's; names it.
        """
        if self._outgoing is None:
            return np.zeros((0, 0)), np.zeros((0, 0))
        return self._outgoing.arrays(solver)

    def schedule(self, reads: int = 1000, **options: object) -> Schedule:
        """Return how many calls of how many reads the machine takes, and for how long.

        Reads are split where one call may not take them all: the machine limits reads and run time.
        The estimate is that of the vendor's timing model.

        Args:
            reads: of each submission.
            **options: solver parameters that take time: ``annealing_time``,
                ``programming_thermalization``, ``readout_thermalization``, in microseconds.

        Raises:
            InputError: ``reads`` is no whole number of at least 1.
            TargetError: not even one read fits the machine's run duration.
        """
        return schedule(self, reads, options)

    def precision(self) -> Precision:
        """Return the signal of every row on the machine, beside the machine's errors.

        Raises:
            PassError: it was compiled without a structured target.
        """
        if self.placement is None or self.plan is None or self.coefficients is None:
            raise PassError("precision is that of a machine; compile for a structured target")
        return precision(self.program, self.placement, self.plan, self.coefficients)

    def draw(self, submission: int = 0, file: str | Path | None = None) -> Figure:
        """Draw the chip with the rows of one submission, coloured by head.

        Args:
            submission: its number.
            file: where to write the picture, e.g. ``chip.png``; nowhere when None.

        Returns:
            A matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
            InputError: there is no such submission, or no machine to draw.
        """
        from qubo_attn.report.drawing import draw

        return draw(self, submission, file)

    # -- back ---------------------------------------------------------------------------------

    def decode(
        self,
        samplesets: Sequence[dimod.SampleSet],
        decoder: str | None = None,
        *,
        chain_break_method: str = MAJORITY,
    ) -> AttentionResult:
        """Return the attention behind the samples.

        Every independent row takes its own best read, feasible ones first. Rows whose best read
        fails a constraint are repaired greedily and counted.

        Args:
            samplesets: one per submission, in order; over its variables or over its qubits.
            decoder: ``"renormalise"`` or ``"residual"``; the objective's own when None.
            chain_break_method: how samples over qubits are read, see `Submission.unembed`.

        Raises:
            DecodeError: the sample sets do not belong to the submissions, or nothing is left of
                one.
            InputError: the method is not known.
        """
        return decode(self, samplesets, decoder, chain_break_method)

    def solve(
        self,
        sampler: dimod.Sampler | None = None,
        *,
        seed: int | None = None,
        decoder: str | None = None,
        before: Callable[[Submission], None] | None = None,
        chain_break_method: str = MAJORITY,
        multiplier_steps: int = 0,
        **options: object,
    ) -> AttentionResult:
        """Sample every submission and decode.

        Args:
            sampler: any dimod sampler. One with a structure (a ``DWaveSampler``, a
                ``MockDWaveSampler``) gets embedded models, any other logical ones. None means local
                simulated annealing of the logical models.
            seed: handed to the sampler where it takes one, plus the submission's number.
            decoder: see `decode`.
            before: called with each submission before it is sampled, to show progress.
            chain_break_method: how samples of a machine are read, see `Submission.unembed`.
            multiplier_steps: rounds of sampling besides the first, between which the slopes of
                linear penalties move towards feasible reads (`InsertPenalties` with ``linear``).
            **options: further keywords of the sampler, e.g. ``num_reads=100``.
        """
        if decoder is not None:
            check_decoder(decoder)
        if not isinstance(multiplier_steps, int) or multiplier_steps < 0:
            raise InputError(
                f"multiplier_steps must be a whole number >= 0, not {multiplier_steps!r}",
                multiplier_steps=multiplier_steps,
            )
        check_method(chain_break_method)

        def sample(compiled: CompiledAttention, step: int) -> list[dimod.SampleSet]:
            samplesets = []
            for submission in compiled.submissions:
                if before is not None:
                    before(submission)
                offset = submission.index + step * len(compiled.submissions)
                own_seed = None if seed is None else seed + offset
                samplesets.append(
                    annealer.sample(submission, sampler, own_seed, options, chain_break_method)
                )
            return samplesets

        samplesets = sample(self, 0)
        if multiplier_steps:
            samplesets = multipliers.refine(self, samplesets, sample, multiplier_steps)
        return self.decode(samplesets, decoder)

    # -- again --------------------------------------------------------------------------------

    def rebind(
        self,
        scores: ArrayLike,
        *,
        values: ArrayLike | None = None,
        keys: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> CompiledAttention:
        """Compile the next batch the same way; nothing is embedded where its structure is the same.

        The result equals a fresh `qubo_attn.compile` of the batch, bit for bit.

        Args:
            scores: logits of the next batch.
            values, keys, mask: of the next batch; those of this one where None.

        Raises:
            InputError: an argument does not fit.
        """
        recipe, old = self.recipe, self.attention
        attention = Attention.check(
            scores,
            old.shape[0],
            values=old.values if values is None else values,
            keys=old.keys if keys is None else keys,
            mask=recipe.mask if mask is None else mask,
            kv_head=recipe.kv_head,
            required=old.required,
            forbidden=old.forbidden,
        )
        if mask is not None:
            recipe = dataclasses.replace(recipe, mask=np.array(mask))
        return recipe.lower(attention, self.placement, self.plan)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields; hooks stay behind, and so does a plan, which is worked out anew."""
        return super().__getstate__() | {"recipe": self.recipe.without_hooks(), "known_plan": None}

    def save(self, folder: str | Path) -> None:
        """Write everything to a folder, as npz and JSON; read it with `qubo_attn.load`."""
        from qubo_attn.compilation.storage import save

        save(self, Path(folder))

    # -- shown --------------------------------------------------------------------------------

    def report(self, reads: int = 1000) -> Report:
        """Return stages, submissions, rows, machine time and cache counts as a table of facts.

        Args:
            reads: of each submission, for the machine time.
        """
        return build_report(self, reads)

    def profile(self, repeats: int = 5) -> Profile:
        """Measure what one more batch of this shape costs, part by part, and what bounds it.

        The same attention is compiled again, to physical arrays where there is a machine, as
        `rebind` would compile the next: nothing is embedded.

        Args:
            repeats: batches that seconds are the medians of. One more before them measures memory;
                it resets the process's own mark of the most it held (``ru_maxrss``).

        Raises:
            InputError: ``repeats`` is no whole number of at least 1.

        Example:
            >>> import numpy as np, qubo_attn as qa
            >>> compiled = qa.compile(np.zeros((1, 1, 9)), 1, target=None)
            >>> [part.name for part in compiled.profile().parts][:3]
            ['checks', 'selection', 'sparsify']
        """
        from qubo_attn.report.profiling import profile_of

        if not isinstance(repeats, int) or repeats < 1:
            raise InputError(
                f"repeats must be a whole number >= 1, not {repeats!r}", repeats=repeats
            )
        return profile_of(self, repeats)

    def html(
        self,
        result: AttentionResult | None = None,
        *,
        tokens: Sequence[object] | None = None,
        reads: int = 1000,
    ) -> str:
        """Return one HTML page on what was done to the attention; it loads nothing.

        Attention as given, as left to choose from and as selected; the program before and after
        every pass; the chip, precision, machine time; and how the output came out.

        Args:
            result: what `solve` or `decode` returned; the page ends before it when None.
            tokens: a label for each key, and for each query where there are as many.
            reads: of each submission, for the machine time.

        Raises:
            InputError: there are more or fewer tokens than keys.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> compiled.html(compiled.solve(seed=1))[:15]
            '<!DOCTYPE html>'
        """
        from qubo_attn.report.page import attention_page

        return attention_page(self, result, tokens=tokens, reads=reads)

    def write_html(
        self,
        path: str | Path,
        result: AttentionResult | None = None,
        *,
        tokens: Sequence[object] | None = None,
        reads: int = 1000,
    ) -> None:
        """Write the page of `html` to a file.

        Args:
            path: the file.
            result, tokens, reads: see `html`.

        Raises:
            InputError: there are more or fewer tokens than keys.

        Example:
            >>> import pathlib, tempfile, qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     compiled.write_html(pathlib.Path(folder) / "report.html", tokens="abc")
        """
        text = self.html(result, tokens=tokens, reads=reads)
        Path(path).write_text(text, encoding="utf-8")

    def __str__(self) -> str:
        return str(self.report())

    def _repr_html_(self) -> str:
        from qubo_attn.report.notebook import compiled_html

        return compiled_html(self)


def load(folder: str | Path, cache: EmbeddingCache | None = None) -> CompiledAttention:
    """Read a compiled artifact from the folder that `CompiledAttention.save` wrote.

    Args:
        folder: the folder.
        cache: for later batches; the default cache when None.

    Raises:
        InputError: the folder holds no readable artifact; names the file.

    Example:
        >>> import tempfile
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     compiled.save(folder)
        ...     loaded = qa.load(folder)
        >>> str(loaded.program) == str(compiled.program)
        True
    """
    from qubo_attn.compilation.storage import load as read

    return read(Path(folder), cache)
