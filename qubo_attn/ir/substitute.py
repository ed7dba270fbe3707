"""Change of variables: a program over the variables that a lift leads back from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import (
    Array,
    Bools,
    Floats,
    Longs,
    csr_rows,
    digest_of,
    own_array,
    pointers,
    segment_ids,
)
from qubo_attn.ir.columns import Constraints, Kind, Sense, Variables
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic, Terms
from qubo_attn.ir.rows import cannot_hold

if TYPE_CHECKING:
    from scipy import sparse


def substitute(program: Program, lift: Lift, variables: Variables) -> Program:
    """Return ``program`` with each variable replaced by its affine expression in ``variables``.

    Constraints that become equal are merged, those that hold for every assignment are dropped.

    Args:
        program: the program before.
        lift: the change of variables, x_before = A x_after + b.
        variables: the table of the variables after.

    Raises:
        InfeasibleError: a constraint cannot hold any more, or two contradict each other.
    """
    source = lift.sources
    # The sources of the variables that have one, in order.
    if source is not None and not (lift.indices[1:] > lift.indices[:-1]).all():
        source = None
    if source is not None:
        source = np.asarray(source, np.int64)
        objective = _drop(program.objective, source, lift.constant, len(variables))
    else:
        merged = _merge(program.objective, lift)
        objective = _change(program.objective, lift, variables) if merged is None else merged
    return Program(variables, objective, _change_constraints(program, lift, source, variables))


def fix(program: Program, fixed: Bools, value: Floats) -> tuple[Program, Lift]:
    """Return ``program`` with some variables fixed, and the way back.

    Args:
        program: the program before.
        fixed: which variables.
        value: what each is fixed at; of others it does not matter.

    Raises:
        InfeasibleError: a constraint cannot hold any more, or two contradict each other.
    """
    stays = np.flatnonzero(~fixed)
    source = np.full(len(program), -1, np.int64)
    source[stays] = np.arange(len(stays))
    lift = Lift.select(source, len(stays), own_array(np.where(fixed, value, 0.0)))
    return substitute(program, lift, program.variables.take(stays)), lift


def _drop(form: Quadratic, source: Longs, constant: Floats, n: int) -> Quadratic:
    """Fix some variables at ``constant`` and renumber the others, which keep their order."""
    if len(source) == n:
        return form
    kept = source >= 0
    # Nothing is fixed at one but by required keys and full rows.
    offset = form.offset + (float(form.linear @ constant) if constant.any() else 0.0)
    linear = form.linear[kept]
    if form.is_late:
        # Couplers matter between variables that stay or are fixed at other than zero.
        index = np.flatnonzero(kept | (constant != 0))
        part = form.among(index)
        if len(index) == n:
            return Quadratic(offset, linear, couplers=part)
        i, j = index[part.i].astype(np.int32), index[part.j].astype(np.int32)
        bias = part.bias
    else:
        i, j, bias = form.i, form.j, form.bias
    if constant.any():
        added, first, second = kernels.fixed_terms(source, constant, n, i, j, bias)
        offset += added
        linear = (linear + first) + second
    terms = kernels.terms_among(source, i, j, bias)
    return Quadratic(offset, linear, *(own_array(column) for column in terms))


def _spread(form: Quadratic, lift: Lift) -> Quadratic:
    """Give each variable of a form bits of its own; see `kernels.spread_terms`."""
    n, squares = lift.n_after, np.zeros(lift.n_after)
    own = np.repeat(np.arange(lift.n_before), np.diff(lift.indptr))
    linear = np.zeros(n)
    linear[lift.indices] = lift.data * form.linear[own]
    first = pointers(np.bincount(form.i, minlength=lift.n_before))
    terms = kernels.spread_terms(
        lift.indptr, lift.indices, lift.data, first, form.i, form.j, form.bias, squares
    )
    couplers = Terms.nonzero(*terms, zeros=not terms[2].all())
    return Quadratic(form.offset, own_array(linear + squares), couplers=couplers)


def _merge(form: Quadratic, lift: Lift) -> Quadratic | None:
    """Make variables equal where late couplers stay late; None where they do not."""
    source = lift.sources
    if isinstance(form.couplers, Terms) or source is None or lift.constant.any():
        return None
    if (source < 0).any():
        return None
    couplers = form.couplers.merged(source, lift.n_after)
    if couplers is None:
        return None
    linear = np.bincount(source, form.linear, lift.n_after)
    return Quadratic(form.offset, own_array(linear), couplers=couplers)


def _change(form: Quadratic, lift: Lift, variables: Variables) -> Quadratic:
    """Change variables in a quadratic form; squares of bits fold into the linear part."""
    disjoint = not lift.constant.any() and (lift.indices[1:] > lift.indices[:-1]).all()
    if disjoint and (variables.upper == 1).all():
        return _spread(form, lift)
    from scipy import sparse

    n_before, n_after = lift.n_before, lift.n_after
    matrix, constant = lift.matrix, lift.constant
    couplers = sparse.csr_array((form.bias, (form.i, form.j)), shape=(n_before, n_before))
    half = couplers @ constant
    offset = form.offset + float(form.linear @ constant + constant @ half)
    linear = matrix.T @ (form.linear + half + couplers.T @ constant)
    product = (matrix.T @ (couplers @ matrix)).tocoo()
    i, j, bias = kernels.collect_couplers(n_after, product.row, product.col, product.data)
    square = (i == j) & (variables.upper[i] == 1)
    linear = linear + np.bincount(i[square], weights=bias[square], minlength=n_after)
    return Quadratic(offset, linear, i[~square], j[~square], bias[~square])


def _change_constraints(
    program: Program, lift: Lift, source: Longs | None, variables: Variables
) -> Constraints:
    """Change variables in the constraints; merge equal ones, drop those that always hold.

    ``source`` is that of a lift that keeps the order of variables, else None.
    """
    old = program.constraints
    if not len(old):
        return old
    rhs = old.rhs
    if lift.constant.any():
        shift = np.bincount(old.row, weights=old.coef * lift.constant[old.var], minlength=len(old))
        rhs = rhs - shift + 0.0
    if source is not None:
        entries: tuple[Array, ...] = kernels.entries_among(old.ptr, old.var, old.coef, source)
        for column in entries:
            own_array(column)
    else:
        entries = _renamed(old, lift) or _product(old.matrix(len(program)), lift.matrix)
    columns = dict(zip(("ptr", "var", "coef"), entries, strict=True))
    changed = Constraints(**(old.arrays() | columns | {"rhs": rhs}))
    return changed.take(_needed(program, changed) & ~_open_gates(changed, variables))


def _renamed(constraints: Constraints, lift: Lift) -> tuple[Array, Array, Array] | None:
    """Return pointer, column and value of constraints whose variables have other names alone.

    None where names are lost, or where those of one constraint do not ascend.
    """
    source, ptr = lift.sources, constraints.ptr
    if source is None or (source < 0).any():
        return None
    var = source[constraints.var]
    ascends = np.empty(len(var) + 1, bool)
    ascends[1:-1] = var[1:] > var[:-1]
    ascends[ptr] = True
    return (ptr, own_array(var), constraints.coef) if ascends.all() else None


def _product(before: sparse.csr_array, matrix: sparse.csr_array) -> tuple[Array, Array, Array]:
    """Return pointer, column and value of ``before @ matrix``, sorted, without zeros."""
    after = (before @ matrix).tocsr()
    after.eliminate_zeros()
    after.sort_indices()
    return after.indptr, after.indices, after.data


def _open_gates(constraints: Constraints, variables: Variables) -> Bools:
    """Return which gates are open for good, as their bit is fixed at one."""
    if not constraints.gated:
        return np.zeros(len(constraints), bool)
    row = constraints.row
    most = np.maximum(constraints.coef, 0) * variables.upper[constraints.var]
    reach = np.bincount(row, weights=most, minlength=len(constraints))
    return np.asarray((constraints.kind == Kind.GATE) & (reach <= constraints.rhs + 1e-9))


def _needed(program: Program, constraints: Constraints) -> Bools:
    """Return which constraints still say something that no earlier one says."""
    needed = np.ones(len(constraints), bool)
    empty = np.diff(constraints.ptr) == 0
    broken = empty & np.where(
        constraints.sense == Sense.EQ, np.abs(constraints.rhs) > 1e-9, constraints.rhs < -1e-9
    )
    if broken.any():
        r = int(np.flatnonzero(broken)[0])
        raise cannot_hold(
            program.constraints,
            [r],
            "cannot hold: all its variables are fixed and miss its right-hand side",
        )
    needed[empty] = False
    if np.bincount(constraints.var).max(initial=0) <= 1:
        return needed
    seen: dict[str, list[int]] = {}
    alike = _alike(constraints, np.flatnonzero(needed))
    repeats = _repeats(constraints, alike)
    needed[alike[repeats]] = False
    for r in np.sort(alike[~repeats]).tolist():
        entries = slice(constraints.ptr[r], constraints.ptr[r + 1])
        key = digest_of({"var": constraints.var[entries], "coef": constraints.coef[entries]})
        twins = seen.setdefault(key, [])
        for twin in twins:
            if not needed[twin]:
                continue
            _check_agreement(program.constraints, constraints, twin, r)
            if _follows(constraints, twin, r):
                needed[r] = False
                break
            if _follows(constraints, r, twin):
                needed[twin] = False
        twins.append(r)
    return needed


def _alike(constraints: Constraints, index: Longs) -> Longs:
    """Return those of some constraints that have size, first and last variable with another.

    Only these can be double. Those that share them follow each other, in rising order.
    """
    start, stop = constraints.ptr[index], constraints.ptr[index + 1]
    first, last = constraints.var[start].astype(np.int64), constraints.var[stop - 1]
    order = np.lexsort((stop - start, last, first))
    columns = first[order], last[order], (stop - start)[order]
    same = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    alike = np.zeros(len(index), bool)
    alike[1:] |= same
    alike[:-1] |= same
    return index[order[alike]]


def _repeats(constraints: Constraints, index: Longs) -> Bools:
    """Return which of some constraints say just what the one before says, as tied rows do."""
    c, repeats = constraints, np.zeros(len(index), bool)
    before, after = index[:-1], index[1:]
    same = (c.ptr[after + 1] - c.ptr[after]) == (c.ptr[before + 1] - c.ptr[before])
    same &= (c.sense[after] == c.sense[before]) & (c.rhs[after] == c.rhs[before])
    weight = c.weight[after], c.weight[before]
    same &= (weight[0] == weight[1]) | (np.isnan(weight[0]) & np.isnan(weight[1]))
    same &= c.slope[after] == c.slope[before]
    pairs = np.flatnonzero(same)
    ptr, entries = csr_rows(c.ptr, after[pairs])
    pair = segment_ids(ptr)
    twins = entries + (c.ptr[before] - c.ptr[after])[pairs][pair]
    differs = (c.var[entries] != c.var[twins]) | (c.coef[entries] != c.coef[twins])
    same[pairs[pair[differs]]] = False
    repeats[1:] = same
    return repeats


def _check_agreement(named: Constraints, changed: Constraints, a: int, b: int) -> None:
    """Reject two constraints on one sum of which only one can hold.

    Args:
        named: constraints as they were, for their names; changed: as they are now.
        a, b: two of them, over the same variables with the same coefficients.
    """
    rhs, equal = changed.rhs, changed.sense == Sense.EQ
    if not (equal[a] or equal[b]) or rhs[a] == rhs[b]:
        return
    if equal[a] and equal[b]:
        wanted = f"{rhs[a]:g} and {rhs[b]:g}"
    else:
        exact, most = (a, b) if equal[a] else (b, a)
        if rhs[exact] <= rhs[most]:
            return
        wanted = f"{rhs[exact]:g} and at most {rhs[most]:g}"
    raise cannot_hold(
        named,
        [a, b],
        f"contradict each other: one sum of the same variables is to be {wanted}",
    )


def _follows(c: Constraints, a: int, b: int) -> bool:
    """Return whether ``a`` makes ``b``, on the same sum, say nothing more.

    What is priced is paid for, so only a price like it may stand for another.
    """
    alike = np.array_equal(c.weight[[a, b]], c.weight[[b, a]], equal_nan=True)
    if not alike or c.slope[a] != c.slope[b]:
        return False
    if c.sense[b] == Sense.EQ or c.priced[b]:
        return bool(c.sense[a] == c.sense[b] and c.rhs[a] == c.rhs[b])
    return bool(c.rhs[a] <= c.rhs[b])
