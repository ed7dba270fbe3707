"""Patterns of attention, and logits of their edges alone, from query and key vectors.

Queries are worked on in tiles of 64, which always begin at the same queries. So the result of a
block of queries is the same, bit for bit, as that of all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Bools, Floats, Longs, own_array, pointers
from qubo_attn.common.checks import flag, number, numbers, whole
from qubo_attn.errors import InputError
from qubo_attn.frontend.hidden import read_array, read_flags
from qubo_attn.frontend.pattern import Pattern
from qubo_attn.frontend.vectors import read_owners

_TILE = 64


@dataclass(frozen=True, eq=False)
class Attends:
    """Which keys a query attends to; a key that any of the three names, and that is not ahead.

    Attributes:
        queries, keys: how many there are. Query i stands at key ``i + keys - queries``: queries
            are the latest tokens where there are fewer of them.
        window: keys less than so far away; none by this when None.
        everywhere: int64, ascending: keys that all queries see, and tokens that see all keys.
        blocks: bool, shape (m, n): which blocks of keys each block of queries sees; none when None.
        size: queries, and keys, of a block.
        causal: whether keys ahead of a query are hidden.
    """

    queries: int
    keys: int
    window: int | None
    everywhere: Longs
    blocks: Bools | None
    size: int
    causal: bool

    def tile(self, first: int, last: int) -> tuple[Longs, Bools]:
        """Return the keys that some queries may see, ascending, and which of them each sees.

        Args:
            first, last: the queries, the last one left out.
        """
        position = np.arange(first, last) + self.keys - self.queries
        low, high = int(position[0]), int(position[-1])
        free = self.window is None and self.blocks is None and not len(self.everywhere)
        wide = free or bool(np.isin(position, self.everywhere).any())
        near = np.zeros(self.keys, bool)
        if wide:
            near[:] = True
        if self.window is not None:
            near[max(low - self.window + 1, 0) : high + self.window] = True
        near[self.everywhere] = True
        mask = self._blocks(first, last)
        if mask is not None:
            near |= mask.any(axis=0)
        if self.causal:
            near[high + 1 :] = False
        key = np.flatnonzero(near)
        away = position[:, None] - key
        sees = np.isin(position, self.everywhere)[:, None] | np.isin(key, self.everywhere)
        if free:
            sees[:] = True
        if self.window is not None:
            sees |= np.abs(away) < self.window
        if mask is not None:
            sees |= mask[:, key]
        return key, sees & (away >= 0) if self.causal else sees

    def _blocks(self, first: int, last: int) -> Bools | None:
        """Return which keys some queries see by their blocks, shape (queries, keys)."""
        if self.blocks is None:
            return None
        rows = self.blocks[np.arange(first, last) // self.size]
        return np.asarray(np.repeat(rows, self.size, axis=1)[:, : self.keys])


@dataclass(frozen=True, eq=False)
class Vectors:
    """Query and key vectors, and the pattern in which they meet.

    Attributes:
        queries: float64, shape (H, Q, d); keys: float64, shape (H or key/value heads, K, d).
        owner: int64, shape (H,): of each head its place among the keys'.
        pattern: which keys each query attends to.
        scale: factor of the products.
    """

    queries: Floats
    keys: Floats
    owner: Longs
    pattern: Attends
    scale: float

    def edges(self, first: int, last: int) -> tuple[Pattern, Floats]:
        """Return the edges of some queries, and their logits.

        Args:
            first, last: the queries, the last one left out.
        """
        tiles = []
        for begin in range(first - first % _TILE, last, _TILE):
            end = min(begin + _TILE, self.pattern.queries)
            tiles.append((begin, end, *self.pattern.tile(begin, end)))
        sees = [t[3][max(first - t[0], 0) : last - t[0]] for t in tiles]
        sizes = np.concatenate([part.sum(axis=1) for part in sees])
        key = np.concatenate(
            [
                np.broadcast_to(t[2].astype(np.int32), part.shape)[part]
                for t, part in zip(tiles, sees, strict=True)
            ]
        )
        scores = np.empty((len(self.queries), len(key)))
        at = 0
        for (begin, end, near, _), part in zip(tiles, sees, strict=True):
            own, count = slice(max(first - begin, 0), last - begin), int(part.sum())
            for head, column in enumerate(scores):
                # One product a tile, whatever part of it is asked for: its bits are the same.
                product = self._product(head, begin, end, near)[own]
                column[at : at + count] = product[part]
            at += count
        scores *= self.scale
        heads, shape = len(scores), (len(scores), last - first, self.pattern.keys)
        ptr = pointers(np.tile(sizes, heads))
        pattern = Pattern(*shape, ptr, np.tile(key, heads), None, len(key), shared=True)
        return pattern, own_array(scores.reshape(-1))

    def _product(self, head: int, first: int, last: int, near: Longs) -> Floats:
        """Return products of a tile's queries with the keys that any of them may see."""
        owner, query = self.owner[head], self.queries[head, first:last]
        if len(near) and len(near) == near[-1] + 1 - near[0]:
            return np.asarray(query @ self.keys[owner, near[0] : near[-1] + 1].T)
        return np.asarray(query @ self.keys[owner, near].T)


def meet(
    queries: ArrayLike,
    keys: ArrayLike,
    *,
    window: int | None = None,
    everywhere: ArrayLike | None = None,
    blocks: ArrayLike | None = None,
    block_size: int = 64,
    causal: bool = False,
    kv_head: ArrayLike | None = None,
    scale: float | None = None,
) -> Vectors:
    """Return the arguments of `AttentionGraph.from_vectors`, checked.

    Raises:
        InputError: an argument does not fit; names it.
    """
    query, key = _vectors("queries", queries), _vectors("keys", keys)
    heads, count, width = query.shape
    if key.shape[2] != width or (kv_head is None and len(key) != heads):
        raise InputError(
            f"keys have shape {key.shape}; expected ({heads}, keys, {width}), or key/value heads "
            "with kv_head=",
            argument="keys",
        )
    owner = np.arange(heads) if kv_head is None else read_owners(kv_head, heads)
    if len(owner) and owner.max() >= len(key):
        raise InputError(
            f"kv_head names key/value head {owner.max()}, but keys hold {len(key)}",
            argument="kv_head",
        )
    if key.shape[1] < count:
        raise InputError(
            f"queries are {count} and keys {key.shape[1]}: queries are the latest tokens, and each "
            "token has a key",
            argument="queries",
        )
    size = whole("block_size", block_size, least=1)
    pattern = Attends(
        count,
        key.shape[1],
        None if window is None else whole("window", window, least=1),
        _tokens(everywhere, key.shape[1]),
        None if blocks is None else _blocks(blocks, count, key.shape[1], size),
        size,
        flag("causal", causal),
    )
    factor = width**-0.5 if scale is None else number("scale", scale)
    return Vectors(query, key, owner, pattern, factor)


def _vectors(name: str, given: ArrayLike) -> Floats:
    array = numbers(name, given)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or not array.shape[2]:
        raise InputError(
            f"{name} have shape {array.shape}; expected (heads, tokens, d), or (tokens, d) of one "
            "head",
            argument=name,
        )
    if not np.isfinite(array).all():
        raise InputError(f"{name} hold numbers that are not finite", argument=name)
    return array


def _tokens(given: ArrayLike | None, count: int) -> Longs:
    """Return the tokens that see and are seen everywhere, ascending."""
    if given is None:
        return np.zeros(0, np.int64)
    array = read_array("globals", given)
    if array.ndim == 0 and array.dtype.kind in "iu":
        array = np.arange(whole("globals", array.item(), most=count))
    good = array.ndim == 1 and (array.dtype.kind in "iu" or not array.size)
    if not good or (array.size and (array.min() < 0 or array.max() >= count)):
        raise InputError(
            f"globals must be how many of the first tokens, or numbers of tokens below {count}",
            argument="globals",
        )
    return np.unique(array).astype(np.int64)


def _blocks(given: ArrayLike, queries: int, keys: int, size: int) -> Bools:
    wanted = -(-queries // size), -(-keys // size)
    array = read_array("blocks", given)
    if array.shape != wanted:
        raise InputError(
            f"blocks have shape {array.shape}; expected {wanted}: blocks of {size} queries by "
            f"blocks of {size} keys",
            argument="blocks",
        )
    flags = read_flags("blocks", array, (1, *wanted))
    assert flags is not None
    return np.asarray(flags[0])
