"""Attention solved here, without reads of a sampler."""

from __future__ import annotations

import dataclasses

import numpy as np

from qubo_attn.backend.sampler_options import check_options
from qubo_attn.common.arrays import Bools
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.decoding.decode import (
    Best,
    Decoding,
    Ways,
    best_reads,
    check_decoding,
    decoded,
    needs_reads,
)
from qubo_attn.decoding.mended import Mended, mend
from qubo_attn.decoding.reads import read_parts
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.decoding.sampling import Sampling, check_sampling, samples_of
from qubo_attn.errors import InputError
from qubo_attn.solving.local import LocalSolver
from qubo_attn.solving.solution import Solution, Way


def local_solver(sampler: object) -> LocalSolver | None:
    """Return the local solver that is asked for, by None or a method's name too; None for others.

    Raises:
        InputError: there is no such method.
    """
    if sampler is None or isinstance(sampler, str):
        return LocalSolver(sampler or "auto")
    return sampler if isinstance(sampler, LocalSolver) else None


def method_of(solver: LocalSolver, options: dict[str, object], reads: bool) -> str:
    """Return how a local solver works: by annealing where reads are needed, and it may.

    Raises:
        InputError: it draws no reads, and they are needed or options are about them.
    """
    method = solver.method
    if method == "anneal":
        return method
    given = [name for name, value in options.items() if value is not None]
    if given:
        name = given[0]
        raise InputError(
            f"{name} is an option of annealing, and method {method!r} of the local solver draws no "
            f"reads: solve('anneal', {name}=...) anneals",
            argument=name,
        )
    if reads and method != "auto":
        raise InputError(
            f"method {method!r} of the local solver draws no reads, which multiplier steps and the "
            "decoder 'marginals' are about: solve('anneal') does",
            argument="sampler",
        )
    return "anneal" if reads else method


def solve(compiled: Compilation, way: Sampling, how: Decoding) -> AttentionResult:
    """Solve here, or sample and decode; see `CompiledAttention.solve`.

    Args:
        compiled: what to solve.
        way: the sampler, and how it is called.
        how: the decoder and its help.
    """
    return decoded(compiled, best_of(compiled, way, how), how.decoder)


def best_of(compiled: Compilation, way: Sampling, how: Decoding) -> Best:
    """Return the best point of a compilation, solved here or sampled; see `solve`."""
    check_decoding(*how)
    solver = local_solver(way.sampler)
    called = way.sampler if solver is None else None
    check_options(called, way.options, way.names, len(compiled.program))
    seed = check_sampling(way)[2]

    def sampled(way: Sampling, solved: Way) -> Best:
        samplesets = samples_of(compiled, way)
        parts = list(read_parts(compiled.submissions, samplesets, ordered=True))
        return best_reads(compiled, parts, how.repair, how.descend, solved)

    if solver is None:
        return sampled(way, Way.SAMPLER)
    reads = way.multiplier_steps > 0 or needs_reads(compiled, how.decoder)
    method = method_of(solver, way.options, reads)
    way = way._replace(sampler=None, seed=solver.seed if seed is None else seed)
    if method == "anneal":
        return sampled(way, Way.ANNEAL)
    solver = dataclasses.replace(solver, seed=way.seed)
    solution = solver.solve(compiled.stages[compiled.unpriced].program)
    left = solution.way == Way.SETTLED
    best = _unread(solution)
    if left.any():
        best = _annealed(compiled, way, best, left, how.descend)
        solution.way[left] = Way.ANNEAL
    return Best(best, Ways(solution.way, solution.proven), None)


def _unread(solution: Solution) -> Mended:
    """Return a solution as what is decoded, without any reads."""
    point, endless = solution.point[None], np.full(len(solution.way), np.inf)
    none = np.zeros(len(endless), np.int64)
    return Mended(point, point, np.full(len(endless), np.nan), endless, endless, endless, none)


def _annealed(
    compiled: Compilation, way: Sampling, best: Mended, left: Bools, descend: bool
) -> Mended:
    """Return what is decoded once blocks that are left have been annealed."""
    number = compiled.unpriced
    program, lift = compiled.stages[number].program, compiled.lift_to(number)
    samplesets = samples_of(compiled, way._replace(multiplier_steps=0))
    parts = list(read_parts(compiled.submissions, samplesets, ordered=True))
    read = mend(program, lift, parts, every=True, descends=descend)
    var = left[program.components]
    points = [np.where(var, new, old) for new, old in zip(read[:2], best[:2], strict=True)]
    figures = [np.where(left, new, old) for new, old in zip(read[2:], best[2:], strict=True)]
    return Mended(*points, *figures)
