"""Naive NumPy twins of kernels, and the source of a kernel run by the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations, pairwise, product
from types import FunctionType, SimpleNamespace
from typing import Any

import networkx as nx
import numba
import numpy as np

from qubo_attn.kernels.graph import WorkingGraph

Array = np.ndarray
TWINS: dict[str, Callable[..., Any]] = {}


def twin(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function as the twin of the kernel of its name."""
    TWINS[function.__name__] = function
    return function


# -- the source under the interpreter -------------------------------------------------------------


@cache
def _compiled() -> SimpleNamespace:
    """What Numba does its own way: whole random numbers, and the order of equals."""
    # Lint rules are for NumPy's generators, which compiled code does not use.
    return SimpleNamespace(
        seed=numba.njit(lambda seed: np.random.seed(seed)),  # noqa: NPY002
        random=numba.njit(lambda: np.random.random()),  # noqa: NPY002
        randint=numba.njit(lambda most: np.random.randint(most)),  # noqa: NPY002
        order=numba.njit(lambda values: np.argsort(values)),
    )


class _NumPy:
    """NumPy, with random numbers and the order of equals as compiled code has them."""

    @property
    def random(self) -> SimpleNamespace:
        return _compiled()

    @staticmethod
    def argsort(values: Array, kind: str | None = None) -> Any:
        return _compiled().order(values) if kind is None else np.argsort(values, kind="stable")

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@cache
def interpreted(kernel: Any) -> Callable[..., Any]:
    """Return a kernel's source, and that of all it calls, as plain Python over NumPy."""
    function = kernel.py_func
    names = {}
    for name, value in function.__globals__.items():
        if value is np:
            names[name] = _NumPy()
        elif hasattr(value, "py_func") and value is not kernel:
            names[name] = _late(value)
        else:
            names[name] = value
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__)


def _late(kernel: Any) -> Callable[..., Any]:
    return lambda *arguments: interpreted(kernel)(*arguments)


# -- forms ----------------------------------------------------------------------------------------


def pairs(ptr: Array) -> tuple[Array, Array]:
    """Return every pair within every row."""
    ends = [np.triu_indices(b - a, 1) for a, b in pairwise(ptr)]
    shifted = [np.stack(e) + a for e, a in zip(ends, ptr[:-1], strict=True)]
    i, j = np.concatenate([np.zeros((2, 0), np.int64), *shifted], axis=1)
    return i, j


def row_of(ptr: Array) -> Array:
    return np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))


def dense(n: int, first: Array, neighbour: Array, value: Array) -> Array:
    matrix = np.zeros((n, n))
    matrix[row_of(first), neighbour] = value
    return matrix


@twin
def count_pairs(ptr: Array) -> int:
    return len(pairs(ptr)[0])


@twin
def selection_into(
    ptr: Array, logit: Array, alpha: float, square: Array, i: Array, j: Array, bias: Array
) -> int:
    i[:], j[:] = pairs(ptr)
    bias[:] = 2 * alpha * logit[i] * logit[j] + square[row_of(ptr)[i]]
    return int((bias == 0).sum())


def _vectors(ptr: Array, key: Array, head: Array, values: Array, centred: bool) -> Array:
    row = row_of(ptr)
    own: Array = values[head[row], key].astype(float)
    for a, b in pairwise(ptr):
        if centred and b > a:
            own[a:b] -= own[a:b].mean(axis=0)
    return own


def _about(ptr: Array, key: Array, head: Array, values: Array, centre: Array) -> Array:
    """Values about a centre of each row, or about their mean."""
    if not len(centre):
        return _vectors(ptr, key, head, values, True)
    return np.asarray(_vectors(ptr, key, head, values, False) - centre[row_of(ptr)])


@twin
def row_outputs(ptr: Array, mass: Array, key: Array, head: Array, values: Array) -> Array:
    outputs = np.zeros((len(ptr) - 1, values.shape[2]))
    np.add.at(outputs, row_of(ptr), mass[:, None] * values[head[row_of(ptr)], key])
    return outputs


@twin
def kept_errors(
    ptr: Array, mass: Array, key: Array, head: Array, values: Array, centre: Array, kept: Array
) -> tuple[Array, Array]:
    square, held = np.full(len(centre), np.inf), np.zeros(len(centre))
    for r, (a, b) in enumerate(pairwise(ptr)):
        own = np.flatnonzero(kept[a:b]) + a
        held[r] = mass[own].sum()
        if len(own):
            weight = mass[own] / held[r] if held[r] > 0 else np.full(len(own), 1 / len(own))
            square[r] = ((weight @ values[head[r], key[own]] - centre[r]) ** 2).sum()
    return square, held


@twin
def centred_linear(
    ptr: Array, mass: Array, key: Array, head: Array, values: Array, centre: Array, *rest: Array
) -> Array:
    row, (goal, shift, scale) = row_of(ptr), rest
    u = values[head[row], key] - centre[row]
    inner = mass * ((u * u).sum(axis=1) - shift[row]) - 2 * (u * goal[row]).sum(axis=1)
    return np.asarray(scale[row] * mass * inner)


@twin
def centred_couplers(
    ptr: Array, mass: Array, key: Array, head: Array, values: Array, centre: Array, *rest: Array
) -> tuple[Array, Array, Array]:
    row, (i, j), (shift, scale) = row_of(ptr), pairs(ptr), rest
    u = values[head[row], key] - centre[row]
    product = (u[i] * u[j]).sum(axis=1) - shift[row[i]]
    return i, j, 2 * scale[row[i]] * mass[i] * mass[j] * product


@twin
def next_nearest(couplings: Any, couplers: Array) -> Array:
    ptr, neighbour, value = couplings
    table = np.zeros((len(ptr) - 1, len(ptr) - 1))
    table[row_of(ptr), neighbour] = value
    return np.asarray((table @ table)[couplers[:, 0], couplers[:, 1]])


@twin
def tied_couplers(
    rows: Any, values: Array, ptr: Array, number: Array, key: Array, place: Array
) -> tuple[Array, Array, Array]:
    i, j, bias = [], [], []
    of_row = row_of(rows.ptr)
    for group, (a, b) in enumerate(pairwise(ptr)):
        inside = rows.row[rows.group_ptr[group] : rows.group_ptr[group + 1]]
        mass = np.zeros((len(inside), b - a))
        for c, r in enumerate(inside):
            own = np.flatnonzero(of_row == r)
            own = own[place[rows.variable[own]] >= 0]
            mass[c, place[rows.variable[own]]] = rows.mass[own]
        for one, other in combinations(range(a, b), 2):
            total = 0.0
            for c, r in enumerate(inside):
                u, v = (values[rows.head[r], key[end]] - rows.centre[r] for end in (one, other))
                weight = 2 * rows.scale[r] * mass[c, one - a] * mass[c, other - a]
                total += weight * (u @ v - rows.shift[r])
            i.append(number[one])
            j.append(number[other])
            bias.append(total)
    return np.array(i, int), np.array(j, int), np.array(bias, float)


@twin
def layer_couplers(
    ptr: Array,
    variable: Array,
    mass: Array,
    key: Array,
    head: Array,
    values: Array,
    centre: Array,
    row: Array,
) -> tuple[Array, Array, Array]:
    w = mass[:, None] * (values[head, key] - centre[row])
    group = np.zeros(len(variable), np.int64)
    group[variable] = row_of(ptr)
    i, j = np.nonzero(np.triu(group[:, None] == group, 1))
    return i, j, 2 * (w[i] * w[j]).sum(axis=1)


@twin
def leveled_fields(entries: Any) -> tuple[Any, ...]:
    ptr, mass, base, step, key, head, values, centre = entries
    u, row = _about(ptr, key, head, values, centre), row_of(ptr)
    goal = np.zeros((len(ptr) - 1, values.shape[2]))
    np.add.at(goal, row, mass[:, None] * u)
    size, along = (u * u).sum(axis=1), (u * goal[row]).sum(axis=1)
    selection = base**2 * size - 2 * base * along
    return (goal**2).sum(axis=1), selection, -2 * step * along, step**2 * size


@twin
def leveled_couplers(entries: Any, chosen: Any, squares: bool) -> tuple[Any, ...]:
    ptr, _, base, step, key, head, values, centre = entries
    u, row = _about(ptr, key, head, values, centre), row_of(ptr)
    variables = [(chosen.selection, base), (chosen.level, step)]
    entry = np.concatenate([chosen.entry[number >= 0] for number, _ in variables])
    factor = np.concatenate([by[chosen.entry[number >= 0]] for number, by in variables])
    g, n = factor[:, None] * u[entry], len(entry)
    i, j = np.nonzero(np.triu(row[entry][:, None] == row[entry]))
    is_level = np.arange(n) >= (chosen.selection >= 0).sum()
    keep = (i < j) | (is_level[i] & squares)
    i, j = i[keep], j[keep]
    bias = np.where(i == j, 1.0, 2.0) * (g @ g.T)[i, j]
    late = is_level[i]
    return i[~late], j[~late], bias[~late], i[late], j[late], bias[late]


@twin
def spread_terms(
    ptr: Array,
    var: Array,
    coef: Array,
    first: Array,
    i: Array,
    j: Array,
    bias: Array,
    squares: Array,
) -> tuple[Any, ...]:
    n, bits = len(ptr) - 1, len(squares)
    spread, form = np.zeros((n, bits)), np.zeros((n, n))
    spread[row_of(ptr), var] = coef
    form[i, j] = bias
    whole = spread.T @ form @ spread
    squares += np.diag(whole)
    # Couplers there are where the variables behind two bits have a term.
    there = (spread != 0).T.astype(float) @ (form != 0) @ (spread != 0)
    u, v = np.nonzero(np.triu(there + there.T, 1))
    return u, v, (whole + whole.T)[u, v]


@twin
def distance_coefficients(
    ptr: Array, mass: Array, key: Array, head: Array, values: Array
) -> tuple[Any, ...]:
    v, row = _vectors(ptr, key, head, values, False), row_of(ptr)
    goal = np.zeros((len(ptr) - 1, values.shape[2]))
    np.add.at(goal, row, mass[:, None] * v)
    i, j = np.nonzero(np.triu(row[:, None] == row[None, :]))
    bias = np.where(i == j, 1.0, 2.0) * (v @ v.T)[i, j]
    return (goal**2).sum(), -2 * (v * goal[row]).sum(axis=1), i, j, bias


@twin
def quadratic_energies(
    points: Array, offset: float, linear: Array, i: Array, j: Array, bias: Array
) -> Array:
    return np.asarray(offset + points @ linear + (points[:, i] * points[:, j]) @ bias)


@twin
def disjoint_squares(
    first: Array,
    j: Array,
    bias: Array,
    row: Array,
    position: Array,
    ptr: Array,
    var: Array,
    coef: Array,
    weight: Array,
    count: int,
) -> tuple[Any, ...]:
    n = len(row)
    matrix, there = np.zeros((n, n)), np.zeros((n, n), bool)
    matrix[row_of(first), j], there[row_of(first), j] = bias, True
    for r, (a, b) in enumerate(pairwise(ptr)):
        for p, q in combinations(range(a, b), 2):
            matrix[var[p], var[q]] += 2 * weight[r] * coef[p] * coef[q]
            there[var[p], var[q]] = True
    u, v = np.nonzero(there)
    assert len(u) == count
    return u, v, matrix[u, v]


@twin
def squares_on(
    i: Array, j: Array, bias: Array, row: Array, position: Array, coef: Array, weight: Array
) -> tuple[int, Array]:
    within = (row[i] >= 0) & (row[i] == row[j]) & (i != j)
    added = 2 * weight[row[i]] * coef[position[i]] * coef[position[j]]
    return int(within.sum()), bias + np.where(within, added, 0)


@twin
def fixed_terms(
    source: Array, constant: Array, n: int, i: Array, j: Array, bias: Array
) -> tuple[Any, ...]:
    fixed, second, first = source < 0, np.zeros(n), np.zeros(n)
    both, left, right = fixed[i] & fixed[j], fixed[i] & ~fixed[j], ~fixed[i] & fixed[j]
    np.add.at(second, source[j[left]], (constant[i] * bias)[left])
    np.add.at(first, source[i[right]], (constant[j] * bias)[right])
    return (constant[i] * bias * constant[j])[both].sum(), second, first


# -- rows -----------------------------------------------------------------------------------------


@twin
def plain_counts(
    ptr: Array, var: Array, coef: Array, uses: Array, upper: Array
) -> tuple[Array, Array]:
    parts = [slice(a, b) for a, b in pairwise(ptr)]
    plain = [bool(((coef[p] == 1) & (uses[var[p]] == 1)).all()) for p in parts]
    return np.array(plain, bool), np.array([float(upper[var[p]].sum()) for p in parts])


@twin
def heaviest(ptr: Array, first: Array, mass: Array, room: Array) -> Array:
    order = np.lexsort((np.arange(len(mass)), -mass, -first.astype(int), row_of(ptr)))
    rank = np.empty(len(mass), np.int64)
    rank[order] = np.arange(len(mass)) - ptr[row_of(ptr)]
    return np.asarray(rank < room[row_of(ptr)])


def _exchange(matrix: Array, linear: Array, weight: Array, u: int, v: int) -> float:
    """The most that taking v for u can cost, others at most at ``weight``."""
    change = (matrix[v] - matrix[u]) * weight
    change[[u, v]] = 0
    return float(linear[v] - linear[u] + np.maximum(change, 0).sum())


@twin
def swap_costs(
    rows: Any, kept: Array, linear: Array, upper: Array, couplers: tuple[Array, Array, Array]
) -> Array:
    (ptr, var, count), matrix, bounds = rows, dense(len(linear), *couplers), []
    for r, (a, b) in enumerate(pairwise(ptr)):
        weight = upper.astype(float)
        weight[var[a:b]] = 1
        stay, gone = var[a:b][kept[a:b]], var[a:b][~kept[a:b]]
        if count[r] == 0 or not len(gone):
            bounds.append(0.0)
            continue
        costs = [sorted(_exchange(matrix, linear, weight, u, v) for v in stay) for u in gone]
        worst = sorted(max(own[count[r] - 1], 0.0) for own in costs)
        bounds.append(sum(worst[max(len(worst) - count[r], 0) :]))
    return np.array(bounds)


@twin
def dominated_keys(
    rows: Any, linear: Array, upper: Array, couplers: tuple[Array, Array, Array]
) -> Array:
    ptr, var, count = rows
    matrix, found = dense(len(linear), *couplers), np.zeros(len(var), np.int8)
    for r, (a, b) in enumerate(pairwise(ptr)):
        fields, weight = linear.copy(), upper.astype(float)
        weight[var[a:b]] = 1
        state = dict.fromkeys(var[a:b].tolist(), 0)
        k, changed = int(count[r]), True
        while changed:
            live = [u for u, s in state.items() if s == 0]
            if not 0 < k < len(live):
                break
            beats = np.array(
                [
                    [u != v and _exchange(matrix, fields, weight, u, v) < 0 for v in live]
                    for u in live
                ]
            )
            news = {
                u: -1 if beats[at].sum() >= k else 1
                for at, u in enumerate(live)
                if beats[at].sum() >= k or beats[:, at].sum() >= len(live) - k
            }
            changed = bool(news)
            for u, s in news.items():
                state[u], weight[u] = s, 0
                if s == 1:
                    k -= 1
                    fields += matrix[u]
        live = [u for u, s in state.items() if s == 0]
        if k in (0, len(live)):
            state |= dict.fromkeys(live, 1 if k else -1)
        found[a:b] = [state[u] for u in var[a:b].tolist()]
    return found


@twin
def ascending(kind: Array, head: Array, query: Array, key: Array, bit: Array) -> bool:
    labels = list(zip(kind, head, query, key, bit, strict=True))
    return labels == sorted(set(labels))


@twin
def rows_are_good(n: int, ptr: Array, var: Array, coef: Array, rhs: Array) -> bool:
    rows = [var[a:b].tolist() for a, b in pairwise(ptr)]
    numbers = np.isfinite(coef).all() and np.isfinite(rhs).all() and coef.all()
    ascend = all(row and row == sorted(set(row)) for row in rows)
    return bool(numbers and ascend and all(0 <= v < n for row in rows for v in row))


@twin
def entries_among(ptr: Array, var: Array, coef: Array, source: Array) -> tuple[Array, Array, Array]:
    kept = (source[var] >= 0) & (coef != 0)
    before = np.r_[0, np.cumsum(kept)]
    return before[ptr], source[var[kept]].astype(np.int32), coef[kept]


@twin
def lost_shares(ptr: Array, var: Array, kept: Array, mass: Array) -> Array:
    total, lost = (
        np.bincount(row_of(ptr), weights, len(ptr) - 1)
        for weights in (mass[var], np.where(kept, 0, mass[var]))
    )
    return np.divide(lost, total, out=np.zeros(len(total)), where=total != 0)


@twin
def squared_fields(
    linear: Array,
    ptr: Array,
    var: Array,
    coef: Array,
    rhs: Array,
    weight: Array,
    slope: Array,
) -> Array:
    row, fields = row_of(ptr), linear.copy()
    np.add.at(fields, var, weight[row] * coef * (coef - 2 * rhs[row]) + slope[row] * coef)
    return fields


@twin
def gram_matrices(values: Array) -> Array:
    return np.asarray(values @ values.transpose(0, 2, 1))


@twin
def gram_couplers(
    mass: Array, key: Array, head: Array, gram: Array, ptr: Array
) -> tuple[Array, Array, Array]:
    row = row_of(ptr)
    i, j = np.nonzero(np.triu(row[:, None] == row, 1))
    bias = 2 * mass[i] * mass[j] * gram[head[row[i]], key[i], key[j]]
    return i.astype(np.int32), j.astype(np.int32), bias


@twin
def step_costs(
    rows: Any, linear: Array, upper: Array, square: Array, couplers: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    (ptr, var, count), matrix = rows, dense(len(linear), *couplers)
    results = []
    for r, (a, b) in enumerate(pairwise(ptr)):
        members, k = var[a:b], int(count[r])
        rooms = upper[members].astype(float)
        ups, downs = [], []
        for at, v in enumerate(members):
            rest = np.delete(members, at)
            outer = np.delete(np.arange(len(linear)), members)
            points = np.array(list(product(*(range(upper[u] + 1) for u in rest))))
            points = points.reshape(len(points), len(rest))
            sums, costs = points.sum(axis=1), points @ matrix[v, rest]
            few, many = costs[sums <= k - 1], costs[sums >= k + 1 - rooms[at]]
            most = few.max() if len(few) else 0.0
            least = many.min() if len(many) else matrix[v, rest] @ upper[rest]
            beside = matrix[v, outer] * upper[outer]
            steep, flat = square[v] * (2 * rooms[at] - 1), square[v]
            ups.append(linear[v] + max(steep, flat) + np.maximum(beside, 0).sum() + most)
            downs.append(-linear[v] - min(steep, flat) - np.minimum(beside, 0).sum() - least)
        pair = []
        for costs, full, wanted in (
            (np.array(ups), k - 1.0, k > 0),
            (np.array(downs), rooms.sum() - k - 1.0, k < rooms.sum()),
        ):
            order = np.argsort(costs)
            passed = np.cumsum(rooms[order])
            last = int(np.argmax(passed > full)) if (passed > full).any() else len(order) - 1
            pair.append(costs[order][last] if wanted and len(order) else -np.inf)
        results.append(pair)
    up, down = np.array(results).reshape(-1, 2).T
    return up, down


@twin
def step_costs_of_few(*arguments: Any) -> Any:
    return step_costs(*arguments)


@twin
def sums_before(ptr: Array, values: Array) -> Array:
    rows = [values[a:b] for a, b in pairwise(ptr)]
    return np.concatenate([np.cumsum(np.r_[0.0, row])[:-1] for row in rows] or [values])


# -- whole numbers, bytes -------------------------------------------------------------------------


@twin
def common_steps(value: Array, block: Array, largest: Array, smallest: float) -> Array:
    # Cases are whole multiples of a quarter.
    whole = np.rint(4 * np.abs(value)).astype(np.int64)
    return np.array([np.gcd.reduce(whole[block == b]) / 4 for b in range(len(largest))])


@twin
def rounding_errors(value: Array, block: Array, largest: Array, divisors: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        step = largest[block][:, None] / divisors[block]
        error = np.abs(value[:, None] - step * np.rint(value[:, None] / step))
    errors = np.zeros(divisors.shape)
    np.add.at(errors, block, np.nan_to_num(error))
    return errors


@twin
def binary_table(linear: Array, i: Array, j: Array, bias: Array) -> Array:
    points = (np.arange(2 ** len(linear))[:, None] >> np.arange(len(linear))) & 1
    return np.asarray(points @ linear + (points[:, i] * points[:, j]) @ bias)


@twin
def compare_tables(
    before: Array, after: Array, shift: float, step: float, feasible: Array
) -> tuple[Any, ...]:
    inside, low = after[feasible], before[feasible].min()
    worst = before[feasible][inside == inside.min()].max()
    worst_all = before[after == after.min()].max()
    rest = after[~feasible].min() if (~feasible).any() else np.inf
    error = np.abs(before - step * (after + shift))[feasible].max()
    return worst - low, worst_all - before.min(), step * (rest - inside.min()), error


# -- machines -------------------------------------------------------------------------------------


@twin
def place_values(values: Array, place: Array, whole: Array) -> None:
    whole[place] = values


@twin
def match_couplers(
    chain_ptr: Array,
    chain_qubit: Array,
    order: Array,
    first: Array,
    j: Array,
    graph: WorkingGraph,
    owner: Array,
) -> tuple[set[Any], set[Any]]:
    held = {q: v for v in order.tolist() for q in chain_qubit[chain_ptr[v] : chain_ptr[v + 1]]}
    logical = {(u, v): t for t, (u, v) in enumerate(zip(row_of(first), j, strict=True))}
    between, within = set(), set()
    for q, other, c in zip(row_of(graph.first), graph.neighbour, graph.coupler, strict=True):
        if q < other and q in held and other in held:
            u, v = sorted((held[q], held[other]))
            if u == v:
                within.add((u, int(c)))
            elif (u, v) in logical:
                between.add((logical[u, v], int(c)))
    return between, within


@twin
def outside_couplings(ends: Array, coupling: Array, size: int) -> Array:
    sums = np.zeros(size)
    np.add.at(sums, ends, np.abs(coupling)[:, None])
    return sums


@twin
def range_shares(
    owner: Array,
    owners: int,
    place: Array,
    h: Array,
    ends: Array,
    groups: Array,
    j: Array,
    scales: Array,
    summed: bool,
) -> Array:
    use, totals = np.zeros(owners), np.zeros((2, 2 * len(owner)))
    np.maximum.at(use, owner[place], (h[:, None] * scales[0]).max(axis=1))
    np.maximum.at(use, owner[ends[:, 0]], (j[:, None] * scales[1]).max(axis=1))
    sides = np.zeros(len(j), int) if summed else (j >= 0).astype(int)
    for end in range(2):
        np.add.at(totals, (sides, groups[:, end]), j)
    low, high = totals[0], totals[0 if summed else 1]
    share = np.maximum(low * scales[2, 0], high * scales[2, 1])
    np.maximum.at(use, np.repeat(owner, 2), share)
    return use


@twin
def chain_bounds(
    ptr: Array,
    field: Array,
    outside: Array,
    link_ptr: Array,
    link_u: Array,
    link_v: Array,
    exact: int,
) -> Array:
    bounds = []
    for c, (a, b) in enumerate(pairwise(ptr)):
        own = slice(link_ptr[c], link_ptr[c + 1])
        links = list(zip(link_u[own] - a, link_v[own] - a, strict=True))
        graph = nx.MultiGraph()
        graph.add_nodes_from(range(b - a))
        graph.add_edges_from(links)
        x, h = outside[a:b], field[a:b]
        if b - a < 2:
            bounds.append(0.0)
        elif not nx.is_connected(graph):
            bounds.append(np.inf)
        elif b - a > exact:
            bounds.append((x.sum() + np.abs(h).sum()) / 2)
        else:
            best = 0.0
            for bits in product((False, True), repeat=b - a):
                side = np.array(bits)
                if side.all() or not side.any():
                    continue
                cut = sum(side[u] != side[v] for u, v in links)
                xs, hs, xr, hr = x[side].sum(), h[side].sum(), x[~side].sum(), h[~side].sum()
                flips = min(xs - hs, xr + hr), min(xs + hs, xr - hr)
                best = max(best, max(flips) / cut)
            bounds.append(best)
    return np.array(bounds)


def _graph(first: Array, neighbour: Array) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(len(first) - 1))
    graph.add_edges_from(zip(row_of(first).tolist(), neighbour.tolist(), strict=True))
    return graph


def _met(graph: nx.Graph, one: Array, other: Array) -> bool:
    return any(graph.has_edge(q, r) for q in one.tolist() for r in other.tolist())


def _joined(graph: nx.Graph, chain: Array) -> bool:
    return bool(nx.is_connected(graph.subgraph(chain.tolist())))


@twin
def whole_copies(ptr: Array, qubit: Array, chains: int, edges: Array, graph: WorkingGraph) -> Array:
    parts, qubits = [qubit[a:b] for a, b in pairwise(ptr)], len(graph.first) - 1
    working = _graph(graph.first, graph.neighbour)
    taken: set[int] = set()
    whole = []
    for copy in range(len(parts) // chains):
        own_parts = parts[copy * chains : (copy + 1) * chains]
        good = True
        for part in own_parts:
            good &= len(part) > 0
            for q in part.tolist():
                good &= 0 <= q < qubits and q not in taken
                taken |= {q} if 0 <= q < qubits else set()
        good = good and all(_joined(working, part) for part in own_parts)
        whole.append(good and all(_met(working, own_parts[u], own_parts[v]) for u, v in edges.T))
    return np.array(whole, bool)


# -- reads ----------------------------------------------------------------------------------------


@twin
def chain_votes(samples: Array, chains: Any, low: int) -> tuple[Array, Array]:
    parts = [samples[:, chains.column[a:b]] for a, b in pairwise(chains.ptr)]
    sums = np.stack([part.sum(axis=1) for part in parts], axis=1)
    return np.where(sums >= 0, 1, low), (np.abs(sums) != np.diff(chains.ptr)).sum(axis=1)


@twin
def spin_energies(spins: Array, model: Any) -> Array:
    pairs_of = spins[:, row_of(model.first)].astype(float) * spins[:, model.other]
    return np.asarray(model.offset + spins @ model.h + pairs_of @ model.coupling)


@twin
def unembed_majority(samples: Array, chains: Any, model: Any) -> tuple[Array, Array, Array]:
    spins, broken = chain_votes(samples, chains, -1)
    return spins, spin_energies(spins, model), broken


@twin
def descend_breaks(
    samples: Array, chains: Any, member: Array, member_ptr: Array, model: Any
) -> tuple[Array, Array]:
    h, matrix = model.h, dense(len(model.h), model.first, model.other, model.coupling)
    spins = np.empty((len(samples), len(h)), int)
    broken = np.empty(len(samples), int)
    for m, read in enumerate(samples):
        parts = [read[chains.column[a:b]] for a, b in pairwise(chains.ptr)]
        spins[m] = [part[0] if (part == part[0]).all() else 0 for part in parts]
        open_ = np.flatnonzero(spins[m] == 0)
        broken[m] = len(open_)
        # Components do not feel each other, so all may be settled together.
        while len(open_):
            fields = (h + matrix @ spins[m])[open_]
            order = np.lexsort((open_, fields, -np.abs(fields)))
            spins[m, open_[order[0]]] = -1 if fields[order[0]] > 0 else 1
            open_ = np.delete(open_, order[0])
    return spins, broken
