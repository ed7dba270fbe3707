"""Compiled attention: what can be done with a compilation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from qubo_attn.backend.submission import Submission
from qubo_attn.backend.unembed import MAJORITY
from qubo_attn.common.checks import flag
from qubo_attn.common.files import path_of, writing
from qubo_attn.common.keywords import named, names_of
from qubo_attn.compilation import storage
from qubo_attn.compilation.again import lower_again
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.decode import Decoding, decode
from qubo_attn.decoding.lost_mass import Losses, losses_of
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.decoding.sampling import Sampling
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.frontend.scores import Scores
from qubo_attn.jobs.memory import MemorySampling, solve_with
from qubo_attn.jobs.submits import Submits

if TYPE_CHECKING:
    import dimod
    from matplotlib.figure import Figure

    from qubo_attn.decoding.block_rounds import BlockRound
    from qubo_attn.report.facts import Report
    from qubo_attn.report.schedule import Schedule
    from qubo_attn.solving.local import LocalSolver


@dataclass(frozen=True, eq=False)
class CompiledAttention(Submits):
    """Compiled attention; made by `qubo_attn.compile`.

    Its data (attention, recipe, stages, and what is read off them) are those of `Compilation`.

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

    @classmethod
    def of(cls, compilation: Compilation) -> CompiledAttention:
        """Return a compilation with its verbs."""
        return cls(
            compilation.attention,
            compilation.recipe,
            compilation.stages,
            compilation.structures,
            compilation.copies,
        )

    @cached_property
    def losses(self) -> Losses:
        """Softmax mass of keys no selection can hold any more, and the output error it bounds."""
        return losses_of(self)

    def schedule(self, reads: int = 1000, **options: object) -> Schedule:
        """Return how many calls of how many reads the machine takes, and for how long.

        Reads are split where one call may not take them all: the machine limits reads and run time.
        The estimate is that of the vendor's timing model.

        Args:
            reads: of each submission.
            **options: solver parameters that take time: ``annealing_time``,
                ``programming_thermalization``, ``readout_thermalization``, in microseconds, or an
                ``anneal_schedule``, and ``reinitialize_state`` of a reverse one.

        Raises:
            InputError: ``reads`` is no whole number from 1 to a million, an option is not known, or
                a time is no number of at least 0; names it.
            TargetError: not even one read fits the machine's run duration.
        """
        from qubo_attn.report.schedule import schedule

        return schedule(self, reads, options)

    @named
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

    @named
    def decode(
        self,
        samplesets: Iterable[dimod.SampleSet],
        decoder: str | None = None,
        *,
        chain_break_method: str = MAJORITY,
        repair: str = "every",
        descend: bool = True,
    ) -> AttentionResult:
        """Return the attention behind the samples.

        Every independent row takes its own best read, once all of them are repaired greedily to the
        row's constraints. ``result.reads`` says what the sampler alone gave, and what was added.

        Args:
            samplesets: one per submission, in order; over its variables or over its qubits.
            decoder: ``"renormalise"`` or ``"residual"``; the objective's own when None.
            chain_break_method: how samples over qubits are read, see `Submission.unembed`.
            repair: ``"every"`` read is repaired and the best one taken; ``"best"``: the best
                feasible read is taken, repaired ones only in rows without any; ``"none"``: the
                same, and nothing is repaired.
            descend: let the best read descend by single steps and exchanges of two.

        Raises:
            DecodeError: the sample sets do not belong to the submissions, hold what no sampler
                answers, or nothing is left of one; names the submission.
            InputError: the decoder, the method or the repair is not known.
        """
        return decode(self, samplesets, decoder, chain_break_method, repair, descend)

    def solve(
        self,
        sampler: dimod.Sampler | LocalSolver | str | None = None,
        *,
        seed: int | None = None,
        decoder: str | None = None,
        before: Callable[[Submission], None] | None = None,
        chain_break_method: str = MAJORITY,
        multiplier_steps: int = 0,
        repair: str = "every",
        descend: bool = True,
        gauges: int = 0,
        rounds: int | None = None,
        after: Callable[[BlockRound], None] | None = None,
        restarts: int = 0,
        **options: object,
    ) -> AttentionResult:
        """Solve here, or sample every submission, and decode.

        Args:
            sampler: a `LocalSolver`, or the name of one of its methods; None means ``"auto"``:
                rows at their proven optimum. Or any dimod sampler: one with a structure (a
                ``DWaveSampler``, a ``MockDWaveSampler``), or a composite around one that does not
                embed itself, gets embedded models, any other logical ones.
            seed: handed to the sampler where it takes one, plus the submission's number.
            decoder: see `decode`.
            before: called with each submission before it is sampled, to show progress.
            chain_break_method: how samples of a machine are read, see `Submission.unembed`.
            multiplier_steps: rounds of sampling besides the first, between which the slopes of
                linear penalties move towards feasible reads (`InsertPenalties` with ``linear``).
            repair, descend: see `decode`.
            gauges: spin reversals that the reads of a machine are spread over; none when 0.
            rounds: most rounds of `Renormalised`, each a rebind from the best selection so far; as
                many as the objective says when None. ``result.rounds`` says what they proved. Of
                rows that are split (``decompose``), most rounds over blocks; as many as help when
                None. ``result.blocks`` says what they did.
            after: called with each round over blocks, to show progress.
            restarts: see `BlockSearch`.
            **options: further keywords of the sampler, e.g. ``num_reads=100``; a sampler that takes
                ``num_reads`` is told 32 without it.

        Raises:
            InputError: an argument does not fit, or is none that the sampler takes; names it.
            SubmissionError: the sampler is a machine, and this was compiled for none, or for one
                with qubits or couplers that are gone; names the first.
            DecodeError: the sampler's answer does not belong to a submission; names it.
        """
        calls = sampler, seed, options, chain_break_method, before, gauges
        names = names_of(CompiledAttention.solve)
        way = Sampling(MemorySampling(), *calls, multiplier_steps, names)
        return solve_with(self, way, Decoding(decoder, repair, descend), rounds, after, restarts)

    # -- again --------------------------------------------------------------------------------

    @named
    def rebind(
        self,
        scores: Scores,
        *,
        values: ArrayLike | None = None,
        keys: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        required: ArrayLike | None = None,
        forbidden: ArrayLike | None = None,
    ) -> CompiledAttention:
        """Compile the next batch the same way; nothing is embedded where its structure was met.

        Queries and keys may be more or fewer: rows with as many slots are one structure. The result
        equals a fresh `qubo_attn.compile` of the batch, bit for bit (docs/reuse_embeddings.md);
        where backgrounds are carried, one that is given this one's ``carried``.

        Args:
            scores: logits of the next batch, of as many heads; an array or an `AttentionGraph`.
            values, keys, mask, required, forbidden: of the next batch, as `qubo_attn.compile` takes
                them; those of this one where None.

        Raises:
            InputError: an argument does not fit.
        """
        given = {"values": values, "keys": keys, "mask": mask}
        given |= {"required": required, "forbidden": forbidden}
        return CompiledAttention.of(lower_again(self, scores, **given))

    def save(self, folder: str | Path) -> None:
        """Write everything to a folder, as npz and JSON; read it with `qubo_attn.load`.

        An artifact that is there is replaced as one, whatever happens (docs/artifacts.md).

        Raises:
            InputError: the folder cannot be written to, or a choice could not be read back.
        """
        storage.save(self, path_of("folder", folder))

    # -- shown --------------------------------------------------------------------------------

    @named
    def report(self, reads: int = 1000, *, prove: bool = False) -> Report:
        """Return stages, submissions, rows, machine time and cache counts as a table of facts.

        Args:
            reads: of each submission, for the machine time.
            prove: first prove the bounds that are still to be proved, as `bound` does.
        """
        from qubo_attn.report.facts import build_report

        return build_report(self, reads, flag("prove", prove))

    @named
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

    @named
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
            InputError: there are more or fewer tokens than keys, or the file cannot be written.

        Example:
            >>> import pathlib, tempfile, qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     compiled.write_html(pathlib.Path(folder) / "report.html", tokens="abc")
        """
        file, text = path_of("path", path), self.html(result, tokens=tokens, reads=reads)
        with writing(file):
            file.write_text(text, encoding="utf-8")

    def __str__(self) -> str:
        return str(self.report())

    def _repr_html_(self) -> str:
        from qubo_attn.report.notebook import compiled_html

        return compiled_html(self)


@named
def load(folder: str | Path, cache: EmbeddingCache | None = None) -> CompiledAttention:
    """Read a compiled artifact from the folder that `CompiledAttention.save` wrote.

    All that it holds is checked before any use; docs/artifacts.md says how, and bounds the memory.

    Args:
        folder: the folder.
        cache: for later batches; the default cache when None.

    Raises:
        InputError: the folder holds no readable artifact; ``file`` and, as the case is, ``array``
            say where.
        PassError: a pass is not installed here.

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
    return CompiledAttention.of(storage.load(path_of("folder", folder), cache))
