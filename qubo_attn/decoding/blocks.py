"""Rounds over blocks of rows that are larger than the machine.

Every round is the pass `SplitRows` at the point where the rows stand. The same number of keys of
each row is left open, and the others are held. So all rounds have one structure, and the first
round's placement serves all others. A component takes what a round gave where its true energy
falls: the objective of the whole row or, of `Renormalised`, the squared relative errors of its rows
added up. So energies never rise, whoever sampled, and every count holds in every round.

A component is done when each of its keys was in a block since it was last bettered, or when a lower
bound on its objective says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from qubo_attn.backend.sampler_options import check_seed
from qubo_attn.common.arrays import Bools, Floats
from qubo_attn.common.checks import instance, shown, whole
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.compilation.split import Split
from qubo_attn.decoding.block_gains import Gave
from qubo_attn.decoding.block_rounds import BlockRound, BlockRounds
from qubo_attn.decoding.decode import (
    Best,
    Decoding,
    Ways,
    attention_of,
    best_reads,
    check_decoding,
    needs_reads,
)
from qubo_attn.decoding.mended import Mended
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.decoding.sampling import Sampling
from qubo_attn.decoding.solve import best_of
from qubo_attn.decoding.true_energy import TrueEnergy
from qubo_attn.errors import InputError
from qubo_attn.formulations.held import Held, SplitPlan, component_energies
from qubo_attn.frontend.objectives.renormalised import MOST_ROUNDS
from qubo_attn.solving.exact import solve_exactly
from qubo_attn.solving.solution import Way

# Energies that differ by a smaller share are equal: what rounding makes of two sums.
_ROUNDING = 1e-12
# Choices of the search that gives lower bounds: small blocks are proven within a round anyway.
_BOUND_STEPS = 1000

AfterRound = Callable[[BlockRound], None]


class BlockSearch:
    """Rounds over blocks of large rows, one at a time; see docs/larger.md.

    `CompiledAttention.solve` takes all rounds. This is for whoever takes them one by one, as with
    a job for each.

    Args:
        compiled: compiled with ``decompose``.
        restarts: how often a component of split rows that no block improves starts again, from
            its best selection with a third of the keys exchanged at random. The best one counts.
        seed: of these exchanges.

    Raises:
        InputError: no row of it was split, or an argument is none that it takes.

    Example:
        >>> import qubo_attn as qa
        >>> machine = qa.SimulatedMachine("zephyr:2", seed=1)
        >>> scores = [[[2.0, 1.9, 0.5, 0.4, 0.3, 0.2]]]
        >>> options = {"keys": [[[1.0], [1.0], [0.9], [0.1], [0.0], [0.0]]], "target": machine}
        >>> compiled = qa.compile(
        ...     scores, objective="redundancy", select=qa.ExactlyK(2), decompose=4, **options
        ... )
        >>> search = qa.BlockSearch(compiled)
        >>> while search.round is not None:
        ...     search.take(search.round.submit(machine, reads=20, seed=2).result())
        >>> search.result().selected[0, 0]
        array([ True, False, False,  True, False, False])
    """

    def __init__(self, compiled: Compilation, *, restarts: int = 0, seed: int = 0) -> None:
        split = Split.of(instance("compiled", compiled, Compilation))
        if split is None:
            raise InputError(
                "no row was split: compile with decompose= less than the keys of a row",
                argument="compiled",
            )
        self._split, self._true = split, TrueEnergy(split.whole)
        program = split.whole.stages[-1].program
        self._plan = SplitPlan.of(program, split.splitter.block)
        self._held = self._plan.start(program)
        self._best = self._raw = self._held.point
        self._now = energy = self._energies(self._held.point)
        count = len(energy)
        self._restarts = np.where(self._plan.split, whole("restarts", restarts, 0, MOST_ROUNDS), 0)
        self._random = np.random.default_rng(check_seed(seed) or 0)
        self._ways, self._proven = np.full(count, Way.SETTLED, np.uint8), np.zeros(count, bool)
        self._figures, self._number = np.full((3, count), np.inf), np.zeros(count, np.int64)
        self._shares: list[Floats] = []
        self._accepted: list[Bools] = []
        # Bounds on what stands for a ratio say nothing of the ratio.
        self._bound = np.full(count, -np.inf)
        if not self._true.is_ratio:
            self._bound = solve_exactly(program, _BOUND_STEPS).bound
        self._table = [energy]
        self._reused, self._searched = 0, _searches(compiled)
        self._round: Compilation | None = compiled

    @property
    def round(self) -> Compilation | None:
        """What is to be solved or sampled next; None where nothing is left to better."""
        return self._round

    @property
    def last(self) -> BlockRound:
        """The latest round."""
        left, accepted = self._left(), self._accepted[-1].sum() if self._accepted else 0
        energy = float(self._table[-1].sum())
        return BlockRound(len(self._accepted), energy, int(accepted), int(left.sum()))

    def take(self, result: AttentionResult) -> None:
        """Let every component take what a result gave, where its true energy falls.

        Args:
            result: of `round`, as `solve`, `decode` or a job returned it.

        Raises:
            InputError: it is that of another compilation.
        """
        step, behind = self._round, instance("result", result, AttentionResult).behind
        if step is None or behind is None or not behind.compiled.program.same(step.program):
            raise InputError("result must be that of BlockSearch.round", argument="result")
        program = step.stages[step.unpriced].program
        count = int(program.components.max(initial=-1)) + 1
        if behind.parts:
            read = best_reads(step, behind.parts, "none", descend=False)
            energy = component_energies(program, behind.point[0])
            self.take_best(
                read._replace(
                    point=read.point._replace(point=behind.point, mended=energy, descended=energy)
                )
            )
            return
        nothing = np.full(count, np.inf)
        point = Mended(
            *(behind.point, behind.point, nothing * np.nan, nothing, nothing, nothing),
            np.zeros(count, np.int64),
        )
        ways = Ways(np.full(count, Way.SWAP, np.uint8), np.zeros(count, bool))
        self.take_best(Best(point, ways, None))

    def take_best(self, best: Best) -> None:
        """Let every component take what a round gave, where its true energy falls."""
        step, true, point = self._round, self._true, self._held.point
        assert step is not None
        self._reused += step.placement is not None and step.placement is (
            self._split.compiled.placement
        )
        number = len(true.whole.stages) - 1
        component = true.whole.stages[number].program.components
        lift = step.lift_between(number, step.unpriced)
        open_ = np.diff(lift.indptr) > 0
        new = lift.lift(best.point.point)[0]
        old, least, energy = self._now, self._table[-1], self._energies(new)
        better = energy < old - _slack(old)
        best_yet = better & (energy < least - _slack(least))
        moves, gave = better[component], Gave.of(step, best, component, lift)
        # Another multiplier, or what no search has proven, may give more with the same block.
        optimal = gave.proven & (not true.is_ratio)
        again = np.where(optimal, 2, 1)[component]
        turn = np.where(open_, np.where(moves, again, 2), np.where(moves, 0, self._held.turn))
        base = component_energies(true.whole.stages[number].program, point)
        seen = best_yet | (self._ways == Way.SETTLED)
        figures = base + gave.figures - gave.before(point, lift)
        self._figures = np.where(seen, figures, self._figures)
        self._ways = np.where(seen, gave.ways, self._ways)
        self._shares.append(gave.share)
        self._number = self._number + gave.number
        self._raw = np.where(best_yet[component], lift.lift(best.point.raw)[0], self._raw)
        self._best = np.where(best_yet[component], new, self._best)
        self._held = Held(np.where(moves, new, point), turn.astype(np.uint8))
        self._now = np.where(better, energy, old)
        self._table.append(np.where(best_yet, energy, least))
        self._accepted.append(better)
        self._proven |= optimal & (np.bincount(component[~open_], minlength=len(better)) == 0)
        self._proven |= self._table[-1] <= self._bound + _slack(self._bound)
        # One move of the multipliers serves a better point and a restart.
        if self._start_again() or better.any():
            self._true = true.moved(self._held.point)
        self._round = None
        if self._left().any():
            self._round = self._split.round(self._true.whole, self._held)

    def result(self, decoder: str | None = None) -> AttentionResult:
        """Return the attention behind the best selection so far.

        Args:
            decoder: see `CompiledAttention.decode`.

        Raises:
            InputError: the decoder is not known, or is about reads of whole rows; or there was no
                round yet.
        """
        whole = self._split.whole
        _check_decoder(whole, decoder)
        if not self._accepted:
            raise InputError("there was no round yet", argument="result")
        stop = "rounds"
        if self._round is None:
            stop = "optimal" if self._proven.all() else "no block improves"
        report = BlockRounds(
            np.array(self._table),
            np.array(self._accepted),
            self._bound,
            stop,
            self._reused,
            _searches(self._split.compiled) - self._searched,
        )
        share = np.mean(self._shares, axis=0)
        points = self._best[None], self._raw[None]
        sampled, mended, descended = self._figures
        best = Mended(*points, share, sampled, mended, descended, self._number)
        result = attention_of(whole, best, Ways(self._ways, self._proven), decoder)
        return dataclasses.replace(result, blocks=report)

    def _start_again(self) -> bool:
        """Start components again that no block improves; return whether any had a restart left."""
        done = ~self._left() & ~self._proven & (self._restarts > 0)
        if not done.any():
            return False
        self._restarts = self._restarts - done
        program = self._true.whole.stages[-1].program
        again = done[program.components]
        start = self._plan.shaken(program, self._best, self._random)
        point = np.where(again, start, self._held.point)
        self._held = Held(point, np.where(again, 0, self._held.turn).astype(np.uint8))
        self._now = np.where(done, self._energies(point), self._now)
        return True

    def _left(self) -> Bools:
        """Return which components are not done."""
        component = self._true.whole.stages[-1].program.components
        open_ = np.bincount(component[self._held.turn < 2], minlength=len(self._proven)) > 0
        return np.asarray(open_ & ~self._proven)

    def _energies(self, point: Floats) -> Floats:
        """Return true energies of components, infinite where a constraint does not hold."""
        program = self._true.whole.stages[-1].program
        c, energy = program.constraints, self._true.of(point)
        broken = np.flatnonzero(program.violations(point[None])[0] > 1e-9)
        energy[program.components[c.var[c.ptr[broken]]]] = np.inf
        return energy


def in_blocks(
    compiled: Compilation,
    way: Sampling,
    how: Decoding,
    rounds: int | None,
    after: AfterRound | None,
    restarts: int,
) -> AttentionResult:
    """Return the best of several rounds over blocks; see `CompiledAttention.solve`.

    Args:
        compiled: what was compiled: the first round.
        way: the sampler, and how it is called.
        how: the decoder and its help.
        rounds: most rounds; a thousand when None.
        after: called with every round.
        restarts: see `BlockSearch`.
    """
    most = MOST_ROUNDS if rounds is None else whole("rounds", rounds, 1, MOST_ROUNDS)
    if after is not None and not callable(after):
        raise InputError(f"after must be a function, not {shown(after)}", argument="after")
    _check_decoder(compiled, how.decoder)
    search = BlockSearch(compiled, restarts=restarts, seed=way.seed or 0)
    for number in range(most):
        if search.round is None:
            break
        search.take_best(best_of(search.round, way.later(number, compiled), how))
        if after is not None:
            after(search.last)
    return search.result(how.decoder)


def _check_decoder(compiled: Compilation, decoder: str | None) -> None:
    """Reject a decoder that is not known, or asks for reads of whole rows."""
    check_decoding(decoder, "every", True)
    if needs_reads(compiled, decoder):
        raise InputError(
            "the decoder 'marginals' is about reads of whole rows, and reads of rows that are "
            "split are of blocks",
            argument="decoder",
        )


def _slack(energy: Floats) -> Floats:
    """Return by how much energies differ that are equal up to rounding."""
    return _ROUNDING * np.where(np.isfinite(energy), np.abs(energy), 0.0)


def _searches(compiled: Compilation) -> int:
    """Return how many embeddings the cache did not hold so far."""
    embed = compiled.recipe.embed
    return 0 if embed is None else embed.cache.counts.misses
