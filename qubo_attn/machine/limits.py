"""Limits of a machine: ranges of coefficients, totals, reads and run time.

Read from the properties that a solver publishes. What a Pegasus or Zephyr machine leaves unsaid is
taken from the machines of its family (Advantage_system4.1 and 6.4, Advantage2_system1 and 4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np

from qubo_attn.common.checks import whole
from qubo_attn.errors import InputError, TargetError

# Standard deviations of what a machine sets fields and couplings to, in hardware units: the middle
# of 0.01 to 0.025, and of 0.01 to 0.015 the end, as read off the vendor's figures for Advantage.
FIELD_ERROR = 0.02
COUPLING_ERROR = 0.015

_LARGEST = float(np.finfo(np.float64).max)

Range: TypeAlias = tuple[float, float]

_COMMON: dict[str, Any] = {
    "j_range": (-1.0, 1.0),
    "extended_j_range": (-2.0, 1.0),
    "num_reads_range": (1, 10000),
    "annealing_time_range": (0.5, 2000.0),
    "problem_run_duration_range": (0.0, 1e6),
    "default_annealing_time": 20.0,
    "default_programming_thermalization": 1000.0,
    "default_readout_thermalization": 0.0,
}
_FAMILIES: dict[str, dict[str, Any]] = {
    "pegasus": {**_COMMON, "h_range": (-4.0, 4.0), "per_qubit_coupling_range": (-18.0, 15.0)},
    "zephyr": {**_COMMON, "h_range": (-6.0, 6.0), "per_group_coupling_range": (-13.0, 10.0)},
}
_OPEN = dict.fromkeys(("h_range", "j_range", "extended_j_range"), (-1.0, 1.0))
# A target holds qubits and couplers in columns; these lists would only swell what is saved.
_BULKY = ("qubits", "couplers", "anneal_offset_ranges")


def stated(family: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return a machine's properties; what it does not state is taken from its family.

    A machine that states both kinds of coupling total keeps the per-group one: the per-qubit limit
    is what simulated samplers leave behind from an older machine.
    """
    listed = {k: v for k, v in properties.items() if k not in _BULKY and v is not None}
    merged: dict[str, Any] = _FAMILIES.get(family, _OPEN) | listed
    if "extended_j_range" not in listed and "j_range" in listed and family not in _FAMILIES:
        merged["extended_j_range"] = listed["j_range"]
    if "per_group_coupling_range" in merged and "per_qubit_coupling_range" in merged:
        del merged["per_qubit_coupling_range"]
    return merged


@dataclass(frozen=True)
class Limits:
    """The limits of a machine, in hardware units; times in microseconds.

    Attributes:
        h: range of a field.
        j: range of a coupling, the extended one where the machine states it.
        total: range of the sum of a qubit's couplings, or of a group of them; None without.
        per: what ``total`` is a limit of, ``"qubit"`` or ``"group"``.
        reads: fewest and most reads of one call; None where the machine does not say.
        annealing: range of the annealing time; None where the machine does not say.
        run_duration: longest run of one call; None where the machine does not say.
        schedule_points: most points of an anneal schedule; None where the machine does not say.

    Example:
        >>> from qubo_attn import Target
        >>> limits = Target.zephyr(2).limits
        >>> limits.h, limits.j, limits.total, limits.per
        ((-6.0, 6.0), (-2.0, 1.0), (-13.0, 10.0), 'group')
    """

    h: Range
    j: Range
    total: Range | None = None
    per: Literal["qubit", "group"] = "qubit"
    reads: tuple[int, int] | None = None
    annealing: Range | None = None
    run_duration: float | None = None
    schedule_points: int | None = None

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> Limits:
        """Read the limits from solver properties.

        Raises:
            TargetError: names the property that does not read.
        """
        per: Literal["qubit", "group"]
        per = "group" if "per_group_coupling_range" in properties else "qubit"
        total = f"per_{per}_coupling_range"
        coupling = "extended_j_range" if "extended_j_range" in properties else "j_range"
        reads = _range(properties, "num_reads_range", least=1)
        duration = _range(properties, "problem_run_duration_range", least=0)
        return cls(
            _signed(properties, "h_range"),
            _signed(properties, coupling),
            _signed(properties, total) if total in properties else None,
            per,
            None if reads is None else (int(reads[0]), int(reads[1])),
            _range(properties, "annealing_time_range", least=0),
            None if duration is None else duration[1],
            _count(properties, "max_anneal_schedule_points"),
        )


def _count(properties: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number of at least 2 that a machine states; None where it does not."""
    if properties.get(name) is None:
        return None
    try:
        return whole(name, properties[name], least=2)
    except InputError as error:
        raise TargetError(
            f"the machine's property {error}", property=name, found=properties[name]
        ) from None


def _range(properties: Mapping[str, Any], name: str, least: float) -> Range | None:
    if properties.get(name) is None:
        return None
    wanted = f"two numbers, {least} <= low <= high"
    return _pair(properties, name, wanted, lambda low, high: least <= low <= high)


def _signed(properties: Mapping[str, Any], name: str) -> Range:
    """Return a range with zero inside; coefficients could not be scaled into any other."""
    wanted = "a number below zero and one above"
    return _pair(properties, name, wanted, lambda low, high: low < 0 < high)


def _pair(
    properties: Mapping[str, Any], name: str, wanted: str, fits: Callable[[float, float], bool]
) -> Range:
    value = properties.get(name)
    pair = tuple(value) if isinstance(value, Iterable) else ()
    finite = len(pair) == 2 and all(map(_is_finite, pair))
    if not finite or not fits(*map(float, pair)):
        raise TargetError(
            f"the machine's property {name} must be {wanted if finite else 'two finite numbers'}, "
            f"not {value!r}",
            property=name,
            found=value,
        )
    return float(pair[0]), float(pair[1])


def _is_finite(value: object) -> bool:
    """Return whether a value is a real number that float64 holds."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        return False
    # Comparing, not converting: a whole number may be larger than any float.
    return bool(-_LARGEST <= value <= _LARGEST)  # type: ignore[operator]
