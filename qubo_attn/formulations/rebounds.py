"""Bounds for rows too large to enumerate, in plain NumPy: they share no code with the proofs.

The theorems are those of `qubo_attn.formulations.proofs` and `qubo_attn.kernels.leveled`; what is
worked out from them is worked out another way.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, Longs
from qubo_attn.formulations.component import Component

_STAGES, _NEWTON, _GRADIENT, _PAIRWISE, _TRIES = 12, 3, 200, 200, 8


def steps(part: Component, row: Longs, k: int) -> tuple[float, float]:
    """Return the most that one corrective step up, and one down, can cost; -inf without any.

    Args:
        part: the component; row: the row's variables; k: what they add up to.
    """
    n, upper = len(row), part.upper[row]
    pair = 2.0 * part.form[row]
    pair[np.arange(n), row] = 0.0
    others = np.setdiff1d(np.arange(len(part.linear)), row)
    ends = pair[:, others] * part.upper[others]
    high, low = np.maximum(ends, 0).sum(axis=1), np.minimum(ends, 0).sum(axis=1)
    inner = pair[:, row]
    room = np.tile(upper, (n, 1))
    np.fill_diagonal(room, 0.0)
    falling, rising = np.argsort(-inner, axis=1), np.argsort(inner, axis=1)
    value, size = np.take_along_axis(inner, falling, 1), np.take_along_axis(room, falling, 1)
    before = np.cumsum(size, axis=1) - size
    gain = (np.maximum(value, 0) * np.clip(k - 1 - before, 0, size)).sum(axis=1)
    value, size = np.take_along_axis(inner, rising, 1), np.take_along_axis(room, rising, 1)
    before = np.cumsum(size, axis=1) - size
    needed = np.clip((k + 1 - upper)[:, None] - before, 0, size)
    loss = (value * np.where(value < 0, size, needed)).sum(axis=1)
    square = np.diag(part.form)[row]
    steep = square * (2 * upper - 1)
    up = part.linear[row] + np.maximum(steep, square) + high + gain
    down = -part.linear[row] - np.minimum(steep, square) - low - loss
    full = int(upper.sum())
    return _beyond(up, upper, k - 1), _beyond(down, upper, full - k - 1)


def _beyond(costs: Floats, room: Floats, most: int) -> float:
    """Return the cheapest cost at which rooms of that cost or less exceed ``most``."""
    if most < 0:
        return -np.inf
    order = np.argsort(costs)
    return float(costs[order][np.argmax(np.cumsum(room[order]) > most)])


def wall_need(part: Component, row: Longs, k: int, least: Floats, most: Floats) -> float:
    """Return the weight that the walls of a grid need, without margin.

    Grids are mended first, other rows after them, so keys of other grids may be out of range.

    Args:
        part, row, k: as for `steps`.
        least, most: the range of every variable of the component while walls break.
    """
    up, down = steps(part, row, k)
    up, down = (-down if np.isinf(up) else up), (-up if np.isinf(down) else down)
    pair = 2.0 * part.form[row]
    pair[np.arange(len(row)), row] = 0.0
    ends = pair * least, pair * most
    raise_, lower = (
        part.linear[row] + np.maximum(*ends).sum(axis=1),
        -part.linear[row] - np.minimum(*ends).sum(axis=1),
    )
    high = np.float64(lower[most[row] > 1].max(initial=-np.inf))
    low = np.float64(raise_[least[row] < 0].max(initial=-np.inf))
    with np.errstate(invalid="ignore"):
        turns = np.array([up, -down, (low - high) / 2, low + down - high, low - high - up])
    turns = turns[np.isfinite(turns)]
    needs = np.maximum(high + np.maximum(up, turns), low + np.maximum(down, -turns))
    need = max(float(needs.min()), 0.0)
    if k > 1 or np.any(part.form[row]):
        return need
    cost, hill = part.linear[row], 0.0
    for e in range(1, len(row) - 1):
        hill = max(hill, float(cost[e] - max(cost[:e].min(), cost[e + 1 :].min())))
    return min(need, hill)


def count_shortfall(linear: Floats, form: Floats, k: int, best: float, paid: Floats) -> float:
    """Return by how much ``paid`` falls short of ``best`` less the least objective of m bits.

    Args:
        linear, form: of the row, see `Component`.
        k: the count that pays nothing; best: its objective at a good point.
        paid: float64, price of m = 0 .. n bits, margin taken off.
    """
    n = len(linear)
    off = np.sort(form + np.diag(np.full(n, np.inf)), axis=1)[:, : n - 1]
    shares = np.concatenate([np.zeros((n, 1)), np.cumsum(off, axis=1)], axis=1)
    floor = np.zeros(n + 1)
    for m in range(1, n + 1):
        floor[m] = np.sort(linear + shares[:, m - 1])[:m].sum()
    points, tries = np.full((n + 1, n), np.nan), np.zeros(n + 1, int)
    while True:
        short = best - floor - paid
        short[k] = -np.inf
        m = int(np.argmax(short))
        if short[m] <= 0 or tries[m] == _TRIES or m in (0, n):
            return float(short[m])
        weight = np.ones(n) if tries[m] == 0 else points[m] * (1 - points[m]) + 0.02
        tries[m] += 1
        shift = convex_diagonal(form, weight)
        points[m], constant, slopes = _tangent(linear - shift, form + np.diag(shift), m)
        minorant = constant + np.concatenate([[0.0], np.cumsum(np.sort(slopes))])
        floor = np.maximum(floor, minorant)


def convex_diagonal(form: Floats, weight: Floats) -> Floats:
    """Return a diagonal of little total weight that makes ``form`` positive semidefinite."""
    lowest, size = np.linalg.eigvalsh(form)[0], np.abs(form).max()
    if size == 0:
        return np.zeros(len(form))
    shift, t = np.full(len(form), max(-lowest, 0.0) + 0.25 * size), size * weight.mean()

    def value(d: Floats) -> float:
        try:
            root = np.linalg.cholesky(form + np.diag(d))
        except np.linalg.LinAlgError:
            return np.inf
        return float(weight @ d - 2 * t * np.log(np.diag(root)).sum())

    for _ in range(_STAGES):
        t *= 0.25
        for _ in range(_NEWTON):
            try:
                inverse = np.linalg.inv(form + np.diag(shift))
                step = np.linalg.solve(t * inverse**2, weight - t * np.diag(inverse))
            except np.linalg.LinAlgError:
                break
            now, length = value(shift), 1.0
            while length > 1e-4 and not value(shift - length * step) <= now:
                length *= 0.5
            if length <= 1e-4:
                break
            shift = shift - length * step
    lowest = float(np.linalg.eigvalsh(form + np.diag(shift))[0])
    return np.asarray(shift + max(-lowest, 0.0) + 1e-12 * size)


def _tangent(linear: Floats, form: Floats, m: int) -> tuple[Floats, float, Floats]:
    """Return a good point of m bits of a convex form, and constant and slopes of its tangent."""
    n = len(linear)
    x = np.full(n, m / n)
    y, momentum, steep = x.copy(), 1.0, 2.0 * np.linalg.eigvalsh(form)[-1]
    for _ in range(_GRADIENT):
        goal = y - (linear + 2.0 * form @ y) / steep
        low, high = goal.min() - 1.0, goal.max()
        for _ in range(30):
            middle = 0.5 * (low + high)
            if np.clip(goal - middle, 0, 1).sum() > m:
                low = middle
            else:
                high = middle
        new, later = np.clip(goal - high, 0, 1), 0.5 * (1 + np.sqrt(1 + 4 * momentum**2))
        y, x, momentum = new + (momentum - 1) / later * (new - x), new, later
    slopes = linear + 2.0 * form @ x
    return x, float(-x @ form @ x), slopes


def box_reach(part: Component, best: float) -> float:
    """Return how far the sum of all terms below zero lies below ``best``."""
    pairs = part.upper @ np.minimum(part.form, 0.0) @ part.upper
    return float(best - np.minimum(part.linear, 0.0) @ part.upper - pairs)


def convex_twin(part: Component, opener: Longs) -> tuple[Floats, Floats]:
    """Return linear part and form of a convex function nowhere above the component's on its points.

    Args:
        part: the component; opener: of each variable behind a gate its key, -1 of others.
    """
    n, form = len(opener), part.form
    shift = np.zeros(n)
    for a in np.flatnonzero(opener >= 0).tolist():
        key = int(opener[a])
        product, square = abs(form[a, key]), form[a, a]
        if product == 0:
            continue
        if square == 0:
            rest = np.setdiff1d(np.arange(n), [a, key])
            both = np.abs(form[a, rest] * form[key, rest]).sum()
            alone = (form[key, rest] ** 2).sum()
            square = product * both / alone if min(both, alone) > 0 else product
            shift[a] = square
        if square > 0:
            shift[key] = max(shift[key], product**2 / square)
    size = np.abs(form).max()
    if np.linalg.eigvalsh(form + np.diag(shift))[0] < -1e-9 * size:
        bare = form - np.diag(np.diag(form))
        shift = np.maximum(shift, convex_diagonal(bare, np.ones(n)) - np.diag(form))
    lowest = float(np.linalg.eigvalsh(form + np.diag(shift))[0])
    shift = shift + max(-2.0 * lowest, 2e-12 * size)
    return part.linear - shift * part.upper, form + np.diag(shift)


def gated_floor(
    linear: Floats, form: Floats, upper: Floats, gates: tuple[Bools, Longs], m: int, enough: float
) -> float:
    """Return a lower bound of a convex form over m counted bits and levels that their gates allow.

    A share moves from the worst corner in use to the best one, with an exact line search; where
    that is not enough, SciPy's sequential quadratic programming finishes. The tangent at any point
    is a bound, however the point was come by.

    Args:
        linear, form, upper: of the variables.
        gates: which variables are counted, and the key of each behind a gate, -1 of others.
        m: the count.
        enough: a bound that serves; no better one is looked for.
    """
    counted, opener = gates
    held = np.flatnonzero((opener >= 0) & ~counted)
    free = np.flatnonzero((opener < 0) & ~counted)
    keys = np.flatnonzero(counted)

    def corner(gradient: Floats) -> Floats:
        cost, point = gradient.copy(), np.zeros(len(linear))
        np.add.at(cost, opener[held], np.minimum(gradient[held], 0) * upper[held])
        point[keys[np.argsort(cost[keys], kind="stable")[:m]]] = 1.0
        point[held] = upper[held] * (gradient[held] < 0) * point[opener[held]]
        point[free] = upper[free] * (gradient[free] < 0)
        return point

    x = corner(linear)
    corners: dict[bytes, Floats] = {x.tobytes(): x}
    shares, floor = {x.tobytes(): 1.0}, -np.inf
    for _ in range(_PAIRWISE):
        gradient = linear + 2.0 * form @ x
        best = corner(gradient)
        gap = float(gradient @ (x - best))
        floor = max(floor, float(linear @ x + x @ form @ x) - gap)
        worst = max(shares, key=lambda name: float(gradient @ corners[name]))
        step = best - corners[worst]
        slope, curve = float(gradient @ step), float(step @ form @ step)
        if slope >= 0 or floor >= enough:
            break
        length = shares[worst] if curve <= 0 else min(shares[worst], -slope / (2 * curve))
        name = best.tobytes()
        corners[name] = best
        shares[name] = shares.get(name, 0.0) + length
        shares[worst] -= length
        if shares[worst] <= 0:
            del shares[worst]
        x = x + length * step
    if floor >= enough:
        return floor
    from scipy.optimize import minimize

    rows = np.zeros((len(held), len(linear)))
    rows[np.arange(len(held)), opener[held]] = upper[held]
    rows[np.arange(len(held)), held] = -1.0
    ones = counted.astype(np.float64)
    x = cast(Any, minimize)(
        lambda y: linear @ y + y @ form @ y,
        x,
        jac=lambda y: linear + 2.0 * form @ y,
        bounds=list(zip(np.zeros(len(upper)), upper, strict=True)),
        constraints=[
            {"type": "eq", "fun": lambda y: ones @ y - m, "jac": lambda _: ones},
            {"type": "ineq", "fun": lambda y: rows @ y, "jac": lambda _: rows},
        ],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    ).x
    gradient = linear + 2.0 * form @ x
    bound = float(-x @ form @ x + gradient @ corner(gradient))
    return max(floor, bound) if np.isfinite(bound) else floor
