"""Slow references for programs: every point, term by term, in loops."""

from __future__ import annotations

from itertools import product

import numpy as np

from qubo_attn.ir.program import Program


def energy(program: Program, point: tuple[int, ...]) -> float:
    """The objective and the priced constraints, written out term by term."""
    o, c = program.objective, program.constraints
    total = o.offset + sum(a * x for a, x in zip(o.linear, point, strict=True))
    for i, j, b in zip(o.i, o.j, o.bias, strict=True):
        total += b * point[i] * point[j]
    for r in range(len(c)):
        if np.isnan(c.weight[r]):
            continue
        entries = range(c.ptr[r], c.ptr[r + 1])
        excess = sum(c.coef[e] * point[c.var[e]] for e in entries) - c.rhs[r]
        coefs = sorted(c.coef[e] for e in entries)
        if c.sense[r] == 1 and c.rhs[r] == 0 and coefs == [-1.0, 1.0]:
            u = next(point[c.var[e]] for e in entries if c.coef[e] == 1)
            v = next(point[c.var[e]] for e in entries if c.coef[e] == -1)
            total += c.weight[r] * u * (1 - v)
        elif c.kind[r] == 5:
            v = next(point[c.var[e]] for e in entries if c.coef[e] < 0)
            u = sum(c.coef[e] * point[c.var[e]] for e in entries if c.coef[e] > 0)
            total += c.weight[r] * u * (1 - v)
        else:
            total += c.weight[r] * excess**2 + c.slope[r] * excess
    return float(total)


def holds(program: Program, point: tuple[int, ...]) -> bool:
    """Whether every constraint is satisfied."""
    c = program.constraints
    for r in range(len(c)):
        left = sum(c.coef[e] * point[c.var[e]] for e in range(c.ptr[r], c.ptr[r + 1]))
        good = abs(left - c.rhs[r]) < 1e-9 if c.sense[r] == 0 else left <= c.rhs[r] + 1e-9
        if not good:
            return False
    return True


def points(program: Program) -> list[tuple[int, ...]]:
    return list(product(*(range(int(u) + 1) for u in program.variables.upper)))


def optimum(program: Program) -> float:
    """Smallest energy of a point that satisfies every constraint."""
    return min(energy(program, p) for p in points(program) if holds(program, p))


def ground_states(program: Program) -> list[tuple[int, ...]]:
    """All points of least energy, constraints not imposed."""
    energies = {p: energy(program, p) for p in points(program)}
    least = min(energies.values())
    scale = 1e-9 * max(1.0, *(abs(e) for e in energies.values()))
    return [p for p, e in energies.items() if e <= least + scale]
