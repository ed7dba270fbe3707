"""Rules that every program keeps, and the rejection of one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools
from qubo_attn.errors import VerifyError
from qubo_attn.ir.columns import Constraints, Kind, Role, Sense, Variables
from qubo_attn.ir.quadratic import Quadratic


@dataclass(frozen=True)
class Diagnostic:
    """One problem of a program: a stable code, the variable or constraint, and what is wrong."""

    code: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} at {self.where}: {self.text}"


def verify(
    variables: Variables, objective: Quadratic, constraints: Constraints, *, late: bool = False
) -> None:
    """Raise the first problem of a program, with the count of the rest; see `diagnose`."""
    _raise_first(list(diagnose(variables, objective, constraints, late=late)))


def verify_terms(variables: Variables, objective: Quadratic) -> None:
    """Raise the first problem of an objective; the rest of its program is in order."""
    _raise_first(list(_objective(variables, objective, True)))


def _raise_first(problems: list[Diagnostic]) -> None:
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        first = problems[0]
        raise VerifyError(f"{first}{rest}", code=first.code, where=first.where)


def diagnose(
    variables: Variables, objective: Quadratic, constraints: Constraints, *, late: bool = False
) -> Iterator[Diagnostic]:
    """Yield the problems of a program, at most one of each code.

    Shapes come first: where they are wrong, nothing else is checked.

    Args:
        variables, objective, constraints: the columns of the program.
        late: do not check couplers that are worked out late; see `Quadratic.is_late`.
    """
    terms = not (late and objective.is_late)
    shapes = list(_shapes(variables, objective, constraints, terms))
    yield from shapes
    if shapes:
        return
    yield from _variables(variables, objective)
    yield from _objective(variables, objective, terms)
    yield from _constraints(variables, constraints)


def _shapes(
    variables: Variables, objective: Quadratic, constraints: Constraints, terms: bool
) -> Iterator[Diagnostic]:
    n, rows, entries = len(variables), len(constraints), len(constraints.var)
    forms = objective.arrays() if terms else {"linear": objective.linear}
    lengths = {"linear": n} | (dict.fromkeys(("i", "j"), len(objective)) if terms else {})
    groups = (
        ("variables", variables.arrays(), dict.fromkeys(variables.arrays(), n)),
        ("objective", forms, lengths),
        (
            "constraints",
            constraints.arrays(),
            dict.fromkeys(constraints.arrays(), rows)
            | {"ptr": rows + 1, "var": entries, "coef": entries},
        ),
    )
    for group, columns, expected in groups:
        for name, length in expected.items():
            if columns[name].shape != (length,):
                text = f"has shape {columns[name].shape}, expected ({length},)"
                yield Diagnostic("shape", f"{group}.{name}", text)
    ptr = constraints.ptr
    if len(ptr) != rows + 1 or ptr[0] != 0 or ptr[-1] != entries or (np.diff(ptr) < 0).any():
        yield Diagnostic("row-pointer", "constraints.ptr", "does not partition the entries")


def _variables(v: Variables, objective: Quadratic) -> Iterator[Diagnostic]:

    def first(code: str, bad: Bools, text: str) -> Iterator[Diagnostic]:
        if bad.any():
            yield Diagnostic(code, v.label(int(np.flatnonzero(bad)[0])), text)

    if len(v) and v.role.max() > max(Role):
        where = f"variable {int(np.flatnonzero(v.role > max(Role))[0])}"
        yield Diagnostic("role", where, "is no known role")
        return
    yield from first("upper", v.upper < 1, "has an upper value below 1; fix it instead")
    yield from first(
        "finite-linear", ~np.isfinite(objective.linear), "has a bias that is not finite"
    )
    twin = _duplicate(v.role, v.head, v.query, v.key, v.bit)
    if twin is not None:
        yield Diagnostic("label-twice", v.label(twin), "names two variables")


def _objective(variables: Variables, o: Quadratic, terms: bool) -> Iterator[Diagnostic]:
    n = len(variables)
    if not np.isfinite(o.offset):
        yield Diagnostic("finite-offset", "objective", f"has offset {o.offset}")
    if not terms:
        return
    i, j, bias, upper = o.i, o.j, o.bias, variables.upper
    if kernels.terms_are_good(n, upper, i, j, bias):
        return
    outside = (np.minimum(i, j) < 0) | (np.maximum(i, j) >= n)
    if outside.any():
        t = int(np.flatnonzero(outside)[0])
        yield Diagnostic("term-range", f"term {t}", f"couples variables {i[t]}, {j[t]} of {n}")
        return
    back = np.diff(i, prepend=-1), np.diff(j, prepend=-1)
    for code, bad, text in (
        ("term-order", i > j, "has its larger variable first"),
        (
            "term-sorted",
            (back[0] < 0) | ((back[0] == 0) & (back[1] <= 0)),
            "is out of order or twice",
        ),
        ("term-zero", bias == 0, "is a structural zero"),
        ("finite-term", ~np.isfinite(bias), "is not finite"),
        (
            "bit-squared",
            (i == j) & (upper[i] == 1),
            "is the square of a bit; fold it into the linear part",
        ),
    ):
        if bad.any():
            t = int(np.flatnonzero(bad)[0])
            yield Diagnostic(code, f"{variables.label(i[t])} * {variables.label(j[t])}", text)


def _constraints(variables: Variables, c: Constraints) -> Iterator[Diagnostic]:
    n, row = len(variables), c.row

    def first(code: str, bad: Bools, text: str) -> Iterator[Diagnostic]:
        if bad.any():
            yield Diagnostic(code, c.label(int(np.flatnonzero(bad)[0])), text)

    def having(bad: Bools) -> Bools:
        return np.asarray(np.bincount(row[bad], minlength=len(c)) > 0)

    if not kernels.rows_are_good(n, c.ptr, c.var, c.coef, c.rhs):
        falls = (np.diff(row, prepend=-1) == 0) & (np.diff(c.var, prepend=-1) <= 0)
        endless = having(~np.isfinite(c.coef)) | ~np.isfinite(c.rhs)
        yield from first("row-empty", np.diff(c.ptr) == 0, "has no variable")
        yield from first("row-range", having((c.var < 0) | (c.var >= n)), "names no variable")
        yield from first("row-sorted", having(falls), "has variables out of order or twice")
        yield from first("row-zero", having(c.coef == 0), "has a zero coefficient")
        yield from first("finite-row", endless, "is not finite")
    yield from first("sense", c.sense > max(Sense), "has an unknown sense")
    text = "is no gate: expected c.u - U v <= 0 with a bit v and U the largest c.u"
    yield from first("gate", _crooked_gates(variables, c), text)
    with np.errstate(invalid="ignore"):
        bad_price = c.priced & ((c.weight < 0) | ~np.isfinite(c.weight) | ~np.isfinite(c.slope))
    yield from first("price", bad_price, "has a price that is negative or not finite")
    twin = _duplicate(c.kind, c.head, c.query, c.key, c.bit)
    if twin is not None:
        yield Diagnostic("label-twice", c.label(twin), "names two constraints")


def _crooked_gates(variables: Variables, c: Constraints) -> Bools:
    """Return which constraints are called gates and are none."""
    if not c.gated or (c.var < 0).any() or (c.var >= len(variables)).any():
        return np.zeros(len(c), bool)
    row, upper = c.row, variables.upper[c.var]
    balance = np.bincount(row, weights=c.coef * upper, minlength=len(c))
    opens = np.bincount(row, weights=(c.coef < 0) & (upper == 1), minlength=len(c))
    falling = np.bincount(row, weights=c.coef < 0, minlength=len(c))
    good = (opens == 1) & (falling == 1) & (np.abs(balance) <= 1e-9)
    good &= (c.sense == Sense.LE) & (c.rhs == 0) & (np.diff(c.ptr) > 1)
    return np.asarray((c.kind == Kind.GATE) & ~good)


def _duplicate(*columns: Array) -> int | None:
    """Return a row of the table of labels that stands in it twice, or None."""
    if kernels.ascending(*columns):
        return None
    key = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        low, high = int(column.min()), int(column.max())
        key = key * (high - low + 1) + (column.astype(np.int64) - low)
    order = np.argsort(key, kind="stable")
    twins = np.flatnonzero(np.diff(key[order]) == 0)
    return int(order[twins[0] + 1]) if len(twins) else None
