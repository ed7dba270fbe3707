"""A reader of QPLIB files, written from its public grammar: https://qplib.zib.de/doc.html."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Qplib(NamedTuple):
    """A file of QPLIB: half the sum of terms, b x and a constant; rows between two sides."""

    matrix: np.ndarray
    linear: np.ndarray
    constant: float
    rows: np.ndarray
    least: np.ndarray
    most: np.ndarray

    def energies(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(
            0.5 * np.einsum("si,ij,sj->s", x, self.matrix, x) + x @ self.linear + self.constant
        )

    def feasible(self, x: np.ndarray) -> np.ndarray:
        sums = x @ self.rows.T
        held = (sums >= self.least - 1e-9) & (sums <= self.most + 1e-9)
        return np.asarray(held.all(axis=1))


def read_qplib(text: str) -> Qplib:
    """Read a file of type QBN or QBL by the public grammar."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    lines.reverse()

    def vector(size: int) -> np.ndarray:
        values = np.full(size, float(lines.pop()))
        for _ in range(int(lines.pop())):
            i, value = lines.pop().split()
            values[int(i) - 1] = float(value)
        return values

    lines.pop()
    kind = lines.pop()
    assert kind in ("QBN", "QBL")
    assert lines.pop() == "minimize"
    size = int(lines.pop())
    count = int(lines.pop()) if kind == "QBL" else 0
    matrix = np.zeros((size, size))
    for _ in range(int(lines.pop())):
        i, j, value = lines.pop().split()
        assert int(i) >= int(j)
        matrix[int(i) - 1, int(j) - 1] = float(value)
    linear, constant = vector(size), float(lines.pop())
    rows = np.zeros((count, size))
    if count:
        for _ in range(int(lines.pop())):
            row, i, value = lines.pop().split()
            rows[int(row) - 1, int(i) - 1] = float(value)
    endless = float(lines.pop())
    least, most = (vector(count), vector(count)) if count else (np.zeros(0), np.zeros(0))
    assert endless == 1e30
    assert ((least == most) | (least == -endless)).all()
    for number in (size, count, size) if count else (size, size):
        assert not vector(number).any()
    # Names of variables and of constraints: both counts are there without constraints too.
    assert [int(lines.pop()) for _ in range(2)] == [0, 0]
    assert not lines
    return Qplib(matrix, linear, constant, rows, least, most)
