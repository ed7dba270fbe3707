"""Rules that every program keeps, and the rejection of one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Bools
from qubo_attn.errors import VerifyError
from qubo_attn.ir.program import Kind, Role, Sense

if TYPE_CHECKING:
    from qubo_attn.ir.program import Program


@dataclass(frozen=True)
class Diagnostic:
    """One problem of a program: a stable code, the variable or constraint, and what is wrong."""

    code: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} at {self.where}: {self.text}"


def verify(program: Program, *, late: bool = False) -> None:
    """Raise the first problem of ``program``, with the count of the rest; see `diagnose`."""
    _raise_first(list(diagnose(program, late=late)))


def verify_terms(program: Program) -> None:
    """Raise the first problem of the objective of ``program``, the rest of which is in order."""
    _raise_first(list(_objective(program, True)))


def _raise_first(problems: list[Diagnostic]) -> None:
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        first = problems[0]
        raise VerifyError(f"{first}{rest}", code=first.code, where=first.where)


def diagnose(program: Program, *, late: bool = False) -> Iterator[Diagnostic]:
    """Yield the problems of ``program``, at most one of each code.

    Shapes come first: where they are wrong, nothing else is looked at.

    Args:
        program: to be looked at.
        late: leave couplers that are not worked out yet as they are.
    """
    terms = program.objective.made or not late
    shapes = list(_shapes(program, terms))
    yield from shapes
    if shapes:
        return
    yield from _variables(program)
    yield from _objective(program, terms)
    yield from _constraints(program)


def _shapes(program: Program, terms: bool) -> Iterator[Diagnostic]:
    n, rows, o = len(program), len(program.constraints), program.objective
    entries = len(program.constraints.var)
    groups = (
        ("variables", program.variables.arrays(), dict.fromkeys(program.variables.arrays(), n)),
        (
            "objective",
            o.arrays() if terms else {"linear": o.linear},
            {"linear": n} | (dict.fromkeys(("i", "j"), len(o)) if terms else {}),
        ),
        (
            "constraints",
            program.constraints.arrays(),
            dict.fromkeys(program.constraints.arrays(), rows)
            | {"ptr": rows + 1, "var": entries, "coef": entries},
        ),
    )
    for group, columns, lengths in groups:
        for name, length in lengths.items():
            if columns[name].shape != (length,):
                text = f"has shape {columns[name].shape}, expected ({length},)"
                yield Diagnostic("shape", f"{group}.{name}", text)
    ptr = program.constraints.ptr
    if len(ptr) != rows + 1 or ptr[0] != 0 or ptr[-1] != entries or (np.diff(ptr) < 0).any():
        yield Diagnostic("row-pointer", "constraints.ptr", "does not partition the entries")


def _variables(program: Program) -> Iterator[Diagnostic]:
    v = program.variables

    def first(code: str, bad: Bools, text: str) -> Iterator[Diagnostic]:
        if bad.any():
            yield Diagnostic(code, program.label(int(np.flatnonzero(bad)[0])), text)

    if len(v) and v.role.max() > max(Role):
        where = f"variable {int(np.flatnonzero(v.role > max(Role))[0])}"
        yield Diagnostic("role", where, "is no known role")
        return
    yield from first("upper", v.upper < 1, "has an upper value below 1; fix it instead")
    yield from first(
        "finite-linear", ~np.isfinite(program.objective.linear), "has a bias that is not finite"
    )
    twin = _duplicate(v.role, v.head, v.query, v.key, v.bit)
    if twin is not None:
        yield Diagnostic("label-twice", program.label(twin), "names two variables")


def _objective(program: Program, terms: bool) -> Iterator[Diagnostic]:
    o, n = program.objective, len(program)
    if not np.isfinite(o.offset):
        yield Diagnostic("finite-offset", "objective", f"has offset {o.offset}")
    if not terms:
        return
    outside, *bad = kernels.first_bad_terms(n, program.variables.upper, o.i, o.j, o.bias).tolist()
    if outside >= 0:
        ends = f"{o.i[outside]}, {o.j[outside]}"
        yield Diagnostic("term-range", f"term {outside}", f"couples variables {ends} of {n}")
        return
    for t, (code, text) in zip(bad, _TERMS, strict=True):
        if t >= 0:
            yield Diagnostic(code, f"{program.label(o.i[t])} * {program.label(o.j[t])}", text)


_TERMS = (
    ("term-order", "has its larger variable first"),
    ("term-sorted", "is out of order or twice"),
    ("term-zero", "is a structural zero"),
    ("finite-term", "is not finite"),
    ("bit-squared", "is the square of a bit; fold it into the linear part"),
)


_ROWS = (
    ("row-empty", "has no variable"),
    ("row-range", "names no variable"),
    ("row-sorted", "has variables out of order or twice"),
    ("row-zero", "has a zero coefficient"),
    ("finite-row", "is not finite"),
)


def _constraints(program: Program) -> Iterator[Diagnostic]:
    c = program.constraints

    def first(code: str, bad: Bools, text: str) -> Iterator[Diagnostic]:
        if bad.any():
            yield Diagnostic(code, program.constraint_label(int(np.flatnonzero(bad)[0])), text)

    for r, (code, text) in zip(
        kernels.first_bad_rows(len(program), c.ptr, c.var, c.coef, c.rhs).tolist(),
        _ROWS,
        strict=True,
    ):
        if r >= 0:
            yield Diagnostic(code, program.constraint_label(r), text)
    yield from first("sense", c.sense > max(Sense), "has an unknown sense")
    text = "is no gate: expected c.u - U v <= 0 with a bit v and U the largest c.u"
    yield from first("gate", _crooked_gates(program), text)
    with np.errstate(invalid="ignore"):
        bad_price = c.priced & ((c.weight < 0) | ~np.isfinite(c.weight) | ~np.isfinite(c.slope))
    yield from first("price", bad_price, "has a price that is negative or not finite")
    twin = _duplicate(c.kind, c.head, c.query, c.key, c.bit)
    if twin is not None:
        yield Diagnostic("label-twice", program.constraint_label(twin), "names two constraints")


def _crooked_gates(program: Program) -> Bools:
    """Return which constraints are called gates and are none."""
    c, row = program.constraints, program.constraints.row
    if not c.gated or (c.var < 0).any() or (c.var >= len(program)).any():
        return np.zeros(len(c), bool)
    upper = program.variables.upper[c.var]
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
