"""Rules that every program keeps, and the rejection of one that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    groups = (
        ("variables", variables.arrays(), n),
        ("objective", {"linear": objective.linear}, n),
        ("objective", objective.terms.arrays() if terms else {}, len(objective) if terms else 0),
        ("constraints", constraints.arrays(), rows),
    )
    lengths = {"ptr": rows + 1, "var": entries, "coef": entries}
    for group, columns, size in groups:
        for name, column in columns.items():
            length = lengths.get(name, size)
            if column.shape != (length,):
                text = f"has shape {column.shape}, expected ({length},)"
                yield Diagnostic("shape", f"{group}.{name}", text)
    ptr = constraints.ptr
    if len(ptr) != rows + 1 or ptr[0] != 0 or ptr[-1] != entries or (np.diff(ptr) < 0).any():
        yield Diagnostic("row-pointer", "constraints.ptr", "does not partition the entries")


def _first(label: Callable[[int], str], code: str, bad: Bools, text: str) -> Iterator[Diagnostic]:
    if bad.any():
        yield Diagnostic(code, label(int(bad.argmax())), text)


def _variables(v: Variables, objective: Quadratic) -> Iterator[Diagnostic]:
    if len(v) and v.role.max() > max(Role):
        where = f"variable {int(np.flatnonzero(v.role > max(Role))[0])}"
        yield Diagnostic("role", where, "is no known role")
        return
    yield from _first(v.label, "upper", v.upper < 1, "has an upper value below 1; fix it instead")
    endless = ~np.isfinite(objective.linear)
    yield from _first(v.label, "finite-linear", endless, "has a bias that is not finite")
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
        t = int(outside.argmax())
        yield Diagnostic("term-range", f"term {t}", f"couples variables {i[t]}, {j[t]} of {n}")
        return
    back = np.diff(i, prepend=-1), np.diff(j, prepend=-1)
    falls = (back[0] < 0) | ((back[0] == 0) & (back[1] <= 0))
    square = (i == j) & (upper[i] == 1)

    def label(t: int) -> str:
        return f"{variables.label(i[t])} * {variables.label(j[t])}"

    yield from _first(label, "term-order", i > j, "has its larger variable first")
    yield from _first(label, "term-sorted", falls, "is out of order or twice")
    yield from _first(label, "term-zero", bias == 0, "is a structural zero")
    yield from _first(label, "finite-term", ~np.isfinite(bias), "is not finite")
    text = "is the square of a bit; fold it into the linear part"
    yield from _first(label, "bit-squared", square, text)


def _constraints(variables: Variables, c: Constraints) -> Iterator[Diagnostic]:
    n = len(variables)

    def having(bad: Bools) -> Bools:
        return np.asarray(np.bincount(c.row[bad], minlength=len(c)) > 0)

    if not kernels.rows_are_good(n, c.ptr, c.var, c.coef, c.rhs):
        falls = (np.diff(c.row, prepend=-1) == 0) & (np.diff(c.var, prepend=-1) <= 0)
        endless = having(~np.isfinite(c.coef)) | ~np.isfinite(c.rhs)
        yield from _first(c.label, "row-empty", np.diff(c.ptr) == 0, "has no variable")
        yield from _first(
            c.label, "row-range", having((c.var < 0) | (c.var >= n)), "names no variable"
        )
        yield from _first(
            c.label, "row-sorted", having(falls), "has variables out of order or twice"
        )
        yield from _first(c.label, "row-zero", having(c.coef == 0), "has a zero coefficient")
        yield from _first(c.label, "finite-row", endless, "is not finite")
    yield from _first(c.label, "sense", c.sense > max(Sense), "has an unknown sense")
    text = "is no gate: expected c.u - U v <= 0 with a bit v and U the largest c.u"
    yield from _first(c.label, "gate", _crooked_gates(variables, c), text)
    with np.errstate(invalid="ignore"):
        bad_price = c.priced & ((c.weight < 0) | ~np.isfinite(c.weight) | ~np.isfinite(c.slope))
    yield from _first(c.label, "price", bad_price, "has a price that is negative or not finite")
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
