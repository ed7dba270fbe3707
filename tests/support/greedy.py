"""Slow reference of the repairing decoder: dictionaries and loops, one read at a time."""

from __future__ import annotations

from itertools import product

import numpy as np

from qubo_attn.ir.columns import Kind
from qubo_attn.ir.program import Program


def objective(program: Program, x: list[int]) -> float:
    """The objective without its constant, written out term by term."""
    o = program.objective
    total = sum(a * v for a, v in zip(o.linear, x, strict=True))
    return float(total + sum(b * x[i] * x[j] for i, j, b in zip(o.i, o.j, o.bias, strict=True)))


def gates(program: Program) -> dict[int, int]:
    """The bit that opens the gate of each variable behind one."""
    c, opener = program.constraints, {}
    for r in range(len(c)):
        if c.kind[r] == Kind.GATE:
            entries = range(c.ptr[r], c.ptr[r + 1])
            bit = next(int(c.var[e]) for e in entries if c.coef[e] < 0)
            opener |= {int(c.var[e]): bit for e in entries if c.coef[e] > 0}
    return opener


def violation(program: Program, x: list[int]) -> float:
    """By how much the constraints fail, gates left out."""
    c, total = program.constraints, 0.0
    for r in range(len(c)):
        if c.kind[r] != Kind.GATE:
            left = sum(c.coef[e] * x[c.var[e]] for e in range(c.ptr[r], c.ptr[r + 1]))
            excess = left - c.rhs[r]
            total += abs(excess) if c.sense[r] == 0 else max(excess, 0.0)
    return total


def clipped(program: Program, read: list[int]) -> list[int]:
    """A read within the ranges and behind open gates."""
    opener, upper = gates(program), program.variables.upper
    inside = [min(max(v, 0), int(u)) for v, u in zip(read, upper, strict=True)]
    return [0 if v in opener and read[opener[v]] <= 0 else x for v, x in enumerate(inside)]


def moved(program: Program, x: list[int], v: int, step: int) -> list[int]:
    """A step of one variable; a gate that shuts takes what is behind it to zero."""
    after = list(x)
    after[v] += step
    if step < 0:
        for held, opener in gates(program).items():
            if opener == v:
                after[held] = 0
    return after


def repaired(program: Program, read: list[int]) -> list[int]:
    """Steps that lower the violation most, the cheapest of these, until none helps."""
    x = clipped(program, read)
    while violation(program, x) > 1e-9:
        best = None
        for step, v in product((1, -1), range(len(x))):
            if not 0 <= x[v] + step <= program.variables.upper[v]:
                continue
            after = moved(program, x, v, step)
            gain = violation(program, x) - violation(program, after)
            if gain <= 1e-9:
                continue
            cost = objective(program, after) - objective(program, x)
            if best is None or gain > best[0] + 1e-9 or (gain > best[0] - 1e-9 and cost < best[1]):
                best = gain, cost, after
        if best is None:
            break
        x = best[2]
    return x


def best_of(program: Program, reads: np.ndarray) -> tuple[float, float, float]:
    """Share of feasible reads, and the least objective as sampled and once all are repaired."""
    feasible, sampled, mended = 0, np.inf, np.inf
    for read in reads.tolist():
        x = clipped(program, read)
        if x == read and violation(program, x) <= 1e-9:
            feasible += 1
            sampled = min(sampled, objective(program, x))
        x = repaired(program, read)
        if violation(program, x) <= 1e-9:
            mended = min(mended, objective(program, x))
    return feasible / len(reads), sampled, mended


def top_k(mass: np.ndarray, visible: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the ``counts`` keys of largest mass of each row, tables of shape (H, Q, K)."""
    order = np.argsort(-np.where(visible, mass, -1.0), axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    return np.asarray((rank < np.asarray(counts)[..., None]) & visible)
