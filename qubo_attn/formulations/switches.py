"""Exactly k of n keys as a network of switches (divide and conquer, arXiv 2601.18108).

A switch passes two bits on, straight or crossed: ``a + b = c + d``. The wires of a block of 2m are
paired, i with i + m; of each pair, one goes to the left half and one to the right. The k ones start
next to each other, so every block gets its ones as a cyclic interval of its wires, of any length. A
pair then holds two ones only if no pair holds none. So any share of the ones may go left, and each
half gets a cyclic interval again. One layer of switches per level therefore reaches every selection
of k keys.

Wires whose value is certain are left out: the zeros beside the ones at the start, and the keys that
are missing to a power of two. A selection may have several settings of the switches, which is
harmless for the best selection and biases samples of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qubo_attn.common.arrays import Longs, own_array, pointers
from qubo_attn.formulations.slack import with_ancillas
from qubo_attn.ir.columns import Constraints, Kind, Sense
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.rows import row_classes


@dataclass(frozen=True, eq=False)
class Network:
    """The switches of one n and k.

    Attributes:
        size: wires besides the keys; wire w is variable n + w.
        ptr, var, coef: the switches ``c + d - a - b = rhs``, by variable of the row, ascending.
        rhs: float64, one per switch.
    """

    size: int
    ptr: Longs
    var: Longs
    coef: Longs
    rhs: Longs


# Wires that are certain; other wires count from 0, keys first.
_OFF, _ON = -1, -2


@lru_cache(maxsize=256)
def network_of(n: int, k: int) -> Network:
    """Return the network of exactly ``k`` of ``n`` keys.

    Example:
        >>> network = network_of(64, 8)
        >>> 64 + network.size, len(network.rhs)
        (304, 152)
    """
    width = 1
    while width < n:
        width *= 2
    blocks = [[_ON] * k + [_OFF] * (width - k)]
    layers: list[list[tuple[int, int, int, int]]] = []
    fresh = n
    while width > 1:
        half, layer = width // 2, list[tuple[int, int, int, int]]()
        halves: list[list[int]] = []
        for number, block in enumerate(blocks):
            sides: tuple[list[int], list[int]] = ([], [])
            for i in range(half):
                a, b = block[i], block[i + half]
                if half == 1:
                    keys = (2 * number, 2 * number + 1)
                    out = [key if key < n else _OFF for key in keys]
                elif a == b and a < 0:
                    out = [a, a]
                else:
                    out = [fresh, fresh + 1]
                    fresh += 2
                if out != [a, b]:
                    layer.append((a, b, out[0], out[1]))
                for side, wire in zip(sides, out, strict=True):
                    side.append(wire)
            halves += sides
        layers.append(layer)
        blocks, width = halves, half
    return _settled(n, layers)


def _settled(n: int, layers: list[list[tuple[int, int, int, int]]]) -> Network:
    """Leave out certain wires, from the keys up, and number the others."""
    alias: dict[int, int] = {}
    rows: list[tuple[list[tuple[int, int]], int]] = []
    for layer in reversed(layers):
        for a, b, c, d in reversed(layer):
            ins = [w for w in (a, b) if w != _OFF]
            outs = [w for w in (alias.get(c, c), alias.get(d, d)) if w != _OFF]
            free = [w for w in ins if w >= 0]
            if not outs or (len(outs) == 1 and ins == free and len(ins) == 1):
                alias |= dict.fromkeys(free, outs[0] if outs else _OFF)
                continue
            signs = [(w, -1) for w in free] + [(w, 1) for w in outs]
            rows.append((signs, len(ins) - len(free)))
    rows.reverse()
    used = sorted({w for signs, _ in rows for w, _ in signs if w >= n})
    number = dict(zip(used, range(n, n + len(used)), strict=True))
    entries = [sorted((number.get(w, w), sign) for w, sign in signs) for signs, _ in rows]
    return Network(
        len(used),
        own_array(pointers([len(row) for row in entries])),
        own_array(np.array([w for row in entries for w, _ in row], np.int64)),
        own_array(np.array([sign for row in entries for _, sign in row], np.int64)),
        own_array(np.array([ones for _, ones in rows], np.int64)),
    )


def to_networks(program: Program, index: Longs) -> tuple[Program, Lift]:
    """Return the program with the rows ``index`` as networks, and the way back.

    Args:
        program: with bits in these rows, which stand in no other constraint.
        index: int64, rows that keep exactly k; each switch takes over their weight and slope: the
            excesses of the switches add up to that of the row.
    """
    c, n = program.constraints, len(program)
    switches, owners, start = [], [], n
    for keys, k, rows, var in row_classes(program, index):
        network = network_of(keys, k)
        wires = start + np.arange(network.size * len(rows)).reshape(len(rows), network.size)
        switches.append(_switches(c, rows, network, np.concatenate([var, wires], axis=1)))
        owners.append(np.repeat(rows, network.size))
        start += wires.size
    others = np.ones(len(c), bool)
    others[index] = False
    networked = with_ancillas(program, np.concatenate(owners)).replace(
        constraints=Constraints.concatenate([c.take(others), *switches])
    )
    return networked, Lift.select(np.arange(n), start)


def _switches(c: Constraints, rows: Longs, network: Network, table: Longs) -> Constraints:
    """Return the switches of rows whose variables are listed in ``table``."""
    count = len(network.rhs)
    owner = np.repeat(rows, count)
    return Constraints.over(
        pointers(np.tile(np.diff(network.ptr), len(rows))),
        table[:, network.var].ravel(),
        np.tile(network.coef, len(rows)),
        sense=Sense.EQ,
        rhs=np.tile(network.rhs, len(rows)),
        kind=Kind.SWITCH,
        head=c.head[owner],
        query=c.query[owner],
        bit=np.tile(np.arange(count), len(rows)),
        weight=c.weight[owner],
        slope=c.slope[owner],
    )
