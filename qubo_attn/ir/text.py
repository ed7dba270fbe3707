"""Programs as text, and back.

::

    program   = header line*
    header    = "program variables=" int " terms=" int " constraints=" int      (optional to read)
    line      = offset | variable | term | constraint | comment
    offset    = "offset" number
    variable  = label [ "in 0.." int ] [ "mass" number ] ":" number
    term      = label "*" label ":" number
    constraint= label ":" sum ( "==" | "<=" ) number [ "price" number [ "slope" number ] ]
    sum       = [sign] [number] label { sign [number] label }
    label     = name "[" index { "," index } "]"      index = int | "*"
    comment   = "//" anything

Variables come first and in order of their ids. ``x`` selects, ``w`` is a weight, ``a`` an ancilla;
``pick`` is a row's selection, ``wall`` an encoding's order. A constraint with a price is paid for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NoReturn

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import pointers
from qubo_attn.errors import ParseError
from qubo_attn.ir.columns import Constraints, Kind, Role, Sense, Variables
from qubo_attn.ir.quadratic import Quadratic

# -- printing ---------------------------------------------------------------------------------


def print_program(
    v: Variables, o: Quadratic, c: Constraints, *, exact: bool, limit: int | None
) -> str:
    """Return a program as text; see `Program.text`."""
    number = _exact if exact else _short
    header = f"program variables={len(v)} terms={len(o)} constraints={len(c)}"
    lines = [header, f"offset {number(o.offset)}"]
    sections = (
        (len(v), (_print_variable(v, o, index, number) for index in range(len(v)))),
        (len(o), (_print_term(v, o, t, number) for t in range(len(o)))),
        (len(c), (_print_constraint(v, c, r, number) for r in range(len(c)))),
    )
    for count, section in sections:
        lines.extend(islice(section, limit))
        if limit is not None and count > limit:
            lines.append(f"// ... {count - limit} more")
    return "\n".join(lines) + "\n"


def _exact(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _short(value: float) -> str:
    return f"{value + 0.0:.6g}"  # minus zero reads as zero


def _print_variable(v: Variables, o: Quadratic, index: int, number: Callable[[float], str]) -> str:
    upper, mass = v.upper[index], v.mass[index]
    domain = f" in 0..{upper}" if upper > 1 else ""
    share = "" if np.isnan(mass) else f" mass {number(mass)}"
    return f"{v.label(index)}{domain}{share} : {number(o.linear[index])}"


def _print_term(v: Variables, o: Quadratic, t: int, number: Callable[[float], str]) -> str:
    return f"{v.label(o.i[t])} * {v.label(o.j[t])} : {number(o.bias[t])}"


def _print_constraint(v: Variables, c: Constraints, r: int, number: Callable[[float], str]) -> str:
    parts = []
    for e in range(c.ptr[r], c.ptr[r + 1]):
        sign = "-" if c.coef[e] < 0 else "+"
        size = "" if abs(c.coef[e]) == 1 else f"{number(abs(c.coef[e]))} "
        parts.append(f"{sign} {size}{v.label(c.var[e])}")
    total = " ".join(parts).removeprefix("+ ")
    total = f"-{total[2:]}" if total.startswith("- ") else total
    relation = "==" if c.sense[r] == Sense.EQ else "<="
    line = f"{c.label(r)}: {total} {relation} {number(c.rhs[r])}"
    if c.priced[r]:
        line += f" price {number(c.weight[r])}"
        if c.slope[r] != 0:
            line += f" slope {number(c.slope[r])}"
    return line


# -- parsing ----------------------------------------------------------------------------------

_LABEL = r"([a-z]+)\[((?:-?\d+|\*)(?:,(?:\d+|\*))*)\]"
_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|nan)"
_VARIABLE = re.compile(rf"{_LABEL}(?: in 0\.\.(\d+))?(?: mass ({_NUMBER}))? : ({_NUMBER})")
_TERM = re.compile(rf"({_LABEL}) \* ({_LABEL}) : ({_NUMBER})")
_ROW = re.compile(
    rf"{_LABEL}: (.+) (==|<=) ({_NUMBER})(?: price ({_NUMBER})(?: slope ({_NUMBER}))?)?"
)
_PART = re.compile(rf"([+-]?) ?(?:({_NUMBER}) )?({_LABEL}) ?")
_ROLES = {role.letter: role for role in Role}
_KINDS = {kind.name.lower(): kind for kind in Kind}


def parse_program(text: str) -> tuple[Variables, Quadratic, Constraints]:
    """Read the columns of a program from its text; see `Program.parse`."""
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.split("//")[0].rstrip()
        indent = len(content) - len(content.lstrip())
        if content.strip():
            reader.read(content.strip(), number, indent)
    return reader.columns()


class _Reader:
    def __init__(self) -> None:
        self.offset = 0.0
        self.ids: dict[str, int] = {}
        self.variables: list[tuple[float, ...]] = []
        self.linear: list[float] = []
        self.terms: list[tuple[int, int, float]] = []
        self.rows: list[tuple[tuple[float, ...], list[tuple[int, float]]]] = []
        self.place = (0, 0)

    def read(self, line: str, number: int, indent: int) -> None:
        self.place = (number, indent)
        if line.startswith("program "):
            return
        if line.startswith("offset "):
            self.offset = self._float(line[7:], 7)
        elif match := _VARIABLE.fullmatch(line):
            self._variable(match)
        elif match := _TERM.fullmatch(line):
            u, v = self._id(match[1], 0), self._id(match[4], match.start(4))
            self.terms.append((u, v, float(match[7])))
        elif match := _ROW.fullmatch(line):
            self._constraint(match)
        else:
            self._fail("expected an offset, a variable, a term or a constraint", 0)

    def _variable(self, match: re.Match[str]) -> None:
        name, index, upper, mass, bias = match.groups()
        if name not in _ROLES:
            self._fail(f"unknown kind of variable {name!r}; one of {', '.join(_ROLES)}", 0)
        label = f"{name}[{index}]"
        if label in self.ids:
            self._fail(f"{label} is named twice", 0)
        self.ids[label] = len(self.variables)
        parts = (*self._index(index, 3, 4), int(upper or 1), _ROLES[name], float(mass or "nan"))
        self.variables.append(parts)
        self.linear.append(float(bias))

    def _constraint(self, match: re.Match[str]) -> None:
        name, index, total, relation, rhs, weight, slope = match.groups()
        if name not in _KINDS:
            self._fail(f"unknown kind of constraint {name!r}; one of {', '.join(_KINDS)}", 0)
        entries, end = [], 0
        while end < len(total):
            part = _PART.match(total, end)
            if part is None or (end and not part[1]):
                self._fail("expected a sign and a variable", match.start(3) + end)
            size = float(part[2] or 1) * (-1 if part[1] == "-" else 1)
            entries.append((self._id(part[3], match.start(3) + part.start(3)), size))
            end = part.end()
        sense = Sense.EQ if relation == "==" else Sense.LE
        head = (sense, float(rhs), _KINDS[name], *self._index(index, 2, 4))
        price = (float(weight or "nan"), float(slope or 0))
        self.rows.append(((*head, *price), sorted(entries)))

    def _index(self, text: str, least: int, most: int) -> Iterator[int]:
        parts = [-1 if part == "*" else int(part) for part in text.split(",")]
        if not least <= len(parts) <= most:
            self._fail(f"a label has {least} to {most} parts here, not {len(parts)}", 0)
        return iter(parts + [-1] * (4 - len(parts)))

    def _id(self, label: str, column: int) -> int:
        if label not in self.ids:
            self._fail(f"{label} is not declared above", column)
        return self.ids[label]

    def _float(self, text: str, column: int) -> float:
        try:
            return float(text)
        except ValueError:
            self._fail(f"{text!r} is not a number", column)

    def _fail(self, message: str, column: int) -> NoReturn:
        line, indent = self.place
        place = {"line": line, "column": indent + column + 1}
        raise ParseError(f"line {line}, column {place['column']}: {message}", **place)

    def columns(self) -> tuple[Variables, Quadratic, Constraints]:
        couplers = kernels.collect_couplers(len(self.variables), *_table(self.terms, 3))
        ptr = pointers([len(entries) for _, entries in self.rows])
        var, coef = _table([entry for _, entries in self.rows for entry in entries], 2)
        return (
            Variables(*_table(self.variables, 7)),
            Quadratic(self.offset, np.array(self.linear), *couplers),
            Constraints(ptr, var, coef, *_table([row for row, _ in self.rows], 9)),
        )


def _table(rows: Iterable[tuple[float, ...]], width: int) -> np.ndarray:
    return np.array(list(rows), dtype=np.float64).reshape(-1, width).T
