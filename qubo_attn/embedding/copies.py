"""Copies: rows of the last submission that sit once more in the room that it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qubo_attn.common.arrays import Longs, csr_rows, digest_of, pointers
from qubo_attn.common.frozen import Columns
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.room import Room
from qubo_attn.ir.components import places_within
from qubo_attn.ir.quadratic import Quadratic


@dataclass(frozen=True, eq=False)
class Copies(Columns):
    """Further chains of components that are in the last submission already.

    The variables of copies are numbered behind those of the program, copy after copy.

    Attributes:
        component: int64, shape (copies,), the component that each is a copy of.
        chain_ptr, chain_qubit: int64, the chain of each variable of each copy, as positions in the
            target's ``qubits``.
    """

    component: Longs
    chain_ptr: Longs
    chain_qubit: Longs

    @classmethod
    def seated(cls, component: Longs, sizes: Longs, room: Room, seats: Longs) -> Copies:
        """Return copies in some seats.

        Args:
            component: of each copy; sizes: its variables, no more than its seat has chains.
            room: the seats; seats: the number of each copy's seat there.
        """
        starts = pointers(sizes)
        chain = np.arange(starts[-1]) + np.repeat(room.first[seats] - starts[:-1], sizes)
        ptr, entries = csr_rows(room.ptr, chain)
        return cls(component, ptr, room.qubit[entries])

    def __len__(self) -> int:
        return len(self.component)

    @cached_property
    def digest(self) -> str:
        """A hash of all columns."""
        return digest_of(self.arrays())

    def originals(self, component: Longs) -> Longs:
        """Return the program's variable behind each variable of the copies.

        Args:
            component: of each variable of the program.
        """
        ptr = pointers(np.bincount(component))
        order = np.argsort(component, kind="stable")
        return np.asarray(order[csr_rows(ptr, self.component)[1]], np.int64)

    def placed(self, placement: Placement) -> Placement:
        """Return a placement with the copies behind it, each a component of its own.

        Args:
            placement: of the program.
        """
        sizes, last = np.bincount(placement.component), placement.submissions - 1
        own = len(sizes) + np.repeat(np.arange(len(self)), sizes[self.component])
        return Placement(
            placement.target,
            np.concatenate([placement.submission, np.full(len(own), last)]),
            np.concatenate([placement.component, own]),
            np.concatenate([placement.chain_ptr, placement.chain_ptr[-1] + self.chain_ptr[1:]]),
            np.concatenate([placement.chain_qubit, self.chain_qubit]),
            f"{placement.structure}+{self.digest}",
        )

    def form(self, form: Quadratic, component: Longs) -> Quadratic:
        """Return a form with the terms of the copies behind it.

        Args:
            form: the program as one quadratic form.
            component: of each of its variables.
        """
        n, sizes = len(component), np.bincount(component)
        edge = component[form.i]
        ptr = pointers(np.bincount(edge, minlength=len(sizes)))
        counts, entries = csr_rows(ptr, self.component)
        term = np.argsort(edge, kind="stable")[entries]
        first = n + pointers(sizes[self.component])[:-1]
        place, start = places_within(component), np.repeat(first, np.diff(counts))
        return Quadratic(
            form.offset,
            np.concatenate([form.linear, form.linear[self.originals(component)]]),
            np.concatenate([form.i, start + place[form.i[term]]]),
            np.concatenate([form.j, start + place[form.j[term]]]),
            np.concatenate([form.bias, form.bias[term]]),
        )

    def layers(self, placement: Placement) -> Iterator[tuple[Longs, Placement]]:
        """Yield the components that have a first copy, a second one and so on.

        Args:
            placement: of the program.

        Yields:
            Components, ascending, and the placement in which these sit where that copy does.
        """
        placed, component = self.placed(placement), placement.component
        ptr, originals = pointers(np.bincount(component)), self.originals(component)
        rank, starts = places_within(self.component), pointers(np.diff(ptr)[self.component])
        for number in range(int(rank.max(initial=-1)) + 1):
            chosen = np.flatnonzero(rank == number)
            variables = csr_rows(starts, chosen)[1]
            chain = np.arange(len(component))
            chain[originals[variables]] = len(component) + variables
            chain_ptr, entries = csr_rows(placed.chain_ptr, chain)
            yield (
                np.sort(self.component[chosen]),
                Placement(
                    placement.target,
                    placement.submission,
                    component,
                    chain_ptr,
                    placed.chain_qubit[entries],
                    f"{placed.structure}/{number}",
                ),
            )


class Seated(NamedTuple):
    """What sits on a machine: a program, and behind it the variables of copies.

    Attributes:
        placement: of all of them; None without a machine.
        form: their terms; those of the objective alone without a machine.
        source: int64, the program's variable that each is, or is a copy of.
    """

    placement: Placement | None
    form: Quadratic
    source: Longs
