"""Machines that take constraints as they are, beside the quadratic form.

Digital annealers read one-hot groups or linear constraints and keep them themselves. For these,
constraints need no price: ``Target.all_to_all(native={"linear"})``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from qubo_attn.common.checks import one_of, several, whole
from qubo_attn.common.vocabulary import NATIVE
from qubo_attn.errors import InputError, TargetError
from qubo_attn.machine.readers import Machine


def unstructured(bits: int | None, native: Iterable[str]) -> Machine:
    """Return a machine without a topology; see `Target.all_to_all`.

    Raises:
        InputError: ``bits`` is no whole number of at least 1, there is no such constraint, or both
            are given.
    """
    kinds = sorted({one_of("native", kind, NATIVE) for kind in several("native", native)})
    empty, none = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
    if not kinds:
        size = 8 if bits is None else whole("bits", bits, 1)
        label = f"all-to-all, {size} bits"
        return Machine("all-to-all", (), empty, none, {"bits": size}, label)
    if bits is not None:
        raise InputError(
            "give bits or native, not both: coefficients are rounded together with the penalties, "
            "which native constraints do without",
            argument="bits",
        )
    label = f"all-to-all, with {' and '.join(kinds)} constraints"
    return Machine("all-to-all", (), empty, none, {"native": kinds}, label)


class Native:
    """What keeps constraints itself, read from a machine's ``properties``."""

    topology: str
    properties: Mapping[str, Any]

    @cached_property
    def native(self) -> frozenset[str]:
        """Constraints that the machine takes as they are, stated as ``native``.

        Raises:
            TargetError: what it states does not read, or the machine has a working graph.

        Example:
            >>> from qubo_attn import Target
            >>> Target.all_to_all(native={"linear"}).native
            frozenset({'linear'})
        """
        stated = self.properties.get("native", ())
        if isinstance(stated, str) or not set(stated) <= set(NATIVE):
            raise TargetError(
                f"the machine's property native must list some of {', '.join(NATIVE)}", found=stated
            )
        if stated and self.topology != "all-to-all":
            raise TargetError("a machine with a working graph takes no constraints", found=stated)
        return frozenset(stated)
