"""Structures that compilations have met: their placements and wirings, for the next batch.

A structure is what a placement depends on: which variables make a component, in their order. The
numbers of queries and keys are no part of it. Rows with equally many slots are the same components,
whichever keys the slots hold and however many keys there were to choose from.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from qubo_attn.backend.wiring import Wiring
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.room import Room
from qubo_attn.ir.quadratic import Quadratic

# A thousand rows of 16 slots on a machine take about 25 MB.
CAPACITY = 256 * 2**20


@dataclass(eq=False)
class _Entry:
    """A structure: where it is placed, what was said of that, its wiring, bytes of all arrays.

    Room is what its last submission leaves, where that was asked for.
    """

    placement: Placement
    notes: tuple[str, ...]
    wiring: Wiring | None = None
    size: int = 0
    room: Room | None = None


@dataclass(frozen=True, eq=False)
class Structures:
    """The structures used latest, of one recipe.

    Attributes:
        capacity: bytes that their arrays may take together; those not used for longest go first,
            but never the last.

    Example:
        >>> import qubo_attn as qa
        >>> options = dict(select=qa.ExactlyK(1), slots=2, target="zephyr:2")
        >>> step = qa.compile([[[2.0, 1.0, 0.5]]], 1, **options)
        >>> longer = step.rebind([[[2.0, 1.0, 0.5, 0.0]]])
        >>> longer.structures is step.structures, longer.plan is step.plan
        (True, True)
    """

    capacity: int = CAPACITY
    _entries: OrderedDict[str, _Entry] = field(default_factory=OrderedDict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __len__(self) -> int:
        return len(self._entries)

    def __reduce__(self) -> tuple[type[Structures], tuple[int]]:
        """Copies and what goes to other processes are empty: structures are met anew."""
        return Structures, (self.capacity,)

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(entry.size for entry in tuple(self._entries.values()))

    @property
    def placements(self) -> dict[str, Placement]:
        """The placement of each structure, those used latest last."""
        with self._lock:
            return {name: entry.placement for name, entry in self._entries.items()}

    def notes(self, placement: Placement) -> tuple[str, ...]:
        """Return what was said when a placement was made; nothing of one that is not kept."""
        entry = self._entries.get(placement.structure)
        return () if entry is None else entry.notes

    def keep(
        self,
        placement: Placement | None,
        notes: tuple[str, ...] = (),
        wiring: Wiring | None = None,
    ) -> None:
        """Keep a placement, as the one used latest.

        Args:
            placement: of any structure; another of the same structure stays.
            notes: what was said when it was made.
            wiring: its wiring, where there is one; it takes the place of an earlier one.
        """
        if placement is None:
            return
        with self._lock:
            entry = self._entries.setdefault(placement.structure, _Entry(placement, notes))
            if wiring is not None and wiring.placement is entry.placement:
                entry.wiring = wiring
            entry.size = _size(entry)
            self._entries.move_to_end(placement.structure)
            while len(self._entries) > 1 and self.size > self.capacity:
                self._entries.popitem(last=False)

    def room(self, placement: Placement, find: Callable[[], Room]) -> Room:
        """Return the room that a placement leaves, found once for every batch of a structure.

        Args:
            placement: where the program sits.
            find: finds the room.
        """
        entry = self._entries.get(placement.structure)
        if entry is None or entry.placement is not placement:
            return find()
        if entry.room is None:
            entry.room = find()
        return entry.room

    def wiring(self, placement: Placement, form: Quadratic) -> Wiring:
        """Return the wiring of a placed program: that of an earlier one where it fits.

        Args:
            placement: where the program sits.
            form: the program as one quadratic form.

        Raises:
            EmbeddingError: a coupler of the form has no coupler on the machine.
        """
        entry = self._entries.get(placement.structure)
        wiring = Wiring.of(placement, form, None if entry is None else entry.wiring)
        self.keep(placement, wiring=wiring)
        return wiring


def _size(entry: _Entry) -> int:
    """Return the bytes of all arrays of a structure; those that two of its parts share count twice.

    A wiring works out more as it is used; it is weighed as it is now.
    """
    parts: list[object] = [entry.placement, *([] if entry.room is None else [entry.room])]
    if entry.wiring is not None:
        parts += [entry.wiring, entry.wiring.plan, *entry.wiring.layouts.values()]
    size = 0
    for part in parts:
        for value in vars(part).values():
            arrays = value if isinstance(value, tuple) else (value,)
            size += sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
    return size
