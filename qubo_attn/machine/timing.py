"""Timing of a machine: the vendor's model, in microseconds.

The model is that of ``estimate_qpu_access_time`` in dwave-cloud-client (timing model 1.0): one
programming, then for each read an anneal, a readout, a delay and thermalization. The readout time
grows with the qubits in use, linear between given points on logarithmic axes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qubo_attn.common.checks import flag, number
from qubo_attn.common.keywords import check_names
from qubo_attn.errors import InputError, TargetError
from qubo_attn.machine.anneal import anneal_schedule, is_reverse
from qubo_attn.machine.known import known

_READOUT = "readout_time_model_parameters"
# Published by Advantage_system4.1 and Advantage2_system1, rounded; points are powers of ten.
_FAMILIES: dict[str, dict[str, Any]] = {
    "pegasus": {
        "typical_programming_time": 14770.0,
        "qpu_delay_time_per_sample": 20.6,
        _READOUT: (0.0, 1.59, 2.84, 3.18, 3.75, 1.60, 2.13, 2.35, 2.37, 2.37),
    },
    "zephyr": {
        "typical_programming_time": 33640.0,
        "qpu_delay_time_per_sample": 60.6,
        _READOUT: (0.0, 0.91, 1.45, 2.54, 3.66, 1.37, 1.67, 1.75, 1.99, 1.99),
    },
}
_DEFAULTS: dict[str, Any] = {
    "version": "1.0.0",
    "readout_time_model": "pwl_log_log",
    "default_annealing_time": 20.0,
    "default_programming_thermalization": 1000.0,
    "default_readout_thermalization": 0.0,
}


def check_times(owner: str, options: Mapping[str, object]) -> None:
    """Reject solver parameters that take no time, or are no numbers.

    Args:
        owner: what takes them, for the message.
        options: by name: times in microseconds, points of an ``anneal_schedule``, whether each read
            of a reverse anneal starts anew; None stands for the machine's own.

    Raises:
        InputError: names the parameter, and the nearest that there is.

    Example:
        >>> check_times("schedule", {"annealing_time": -1})
        Traceback (most recent call last):
        qubo_attn.errors.InputError: annealing_time must be a finite number of at least 0, not -1
    """
    check_names(owner, options, CALL_TIMES)
    Timing.times_of(options)


@dataclass(frozen=True)
class Timing:
    """The timing model of a machine; all times in microseconds.

    Attributes:
        programming: typical time to program the machine.
        delay: between two reads.
        annealing: of one read.
        programming_thermalization: wait after programming.
        readout_thermalization: wait after each readout.
        points: qubits in use and readout time at some sizes, as the machine states them.
        logarithmic: whether ``points`` holds powers of ten.
        reverse: what a reverse anneal adds to ``programming`` and to ``delay``: where each read
            starts anew from the given state, and where it starts from the read before.
        stated: whether the machine stated all this; else it is a typical machine of its family.

    Example:
        >>> from qubo_attn import Target
        >>> timing = Target.zephyr(12).timing
        >>> round(timing.access(qubits=2806, reads=1000) / 1000)  # milliseconds
        213
        >>> timing.most_reads(qubits=2806, duration=1e6)
        8485
    """

    programming: float
    delay: float
    annealing: float
    programming_thermalization: float
    readout_thermalization: float
    points: tuple[tuple[float, ...], tuple[float, ...]]
    logarithmic: bool
    stated: bool
    reverse: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))

    @classmethod
    def of(cls, family: str, properties: Mapping[str, Any], name: str = "") -> Timing | None:
        """Read the model from solver properties, or take the family's; None where neither is.

        Args:
            family: ``"pegasus"``, ``"zephyr"`` or another.
            properties: of the solver.
            name: of the machine; what `qubo_attn.machine.known` has of it goes before the family's.

        Raises:
            TargetError: the machine states a model of another kind, or what is no time.
        """
        measured = properties.get("problem_timing_data") or {}
        if not measured and family not in _FAMILIES:
            return None
        if not isinstance(measured, Mapping):
            raise TargetError(
                f"the machine's problem_timing_data must be a dict, not {measured!r}",
                property="problem_timing_data",
            )
        data = _DEFAULTS | {k: v for k, v in properties.items() if k in _DEFAULTS}
        data |= measured or _FAMILIES[family]
        facts = known(name)
        if not measured and facts is not None:
            data |= {
                "typical_programming_time": facts.programming,
                "qpu_delay_time_per_sample": facts.delay,
            }
        version, model = str(data["version"]), data["readout_time_model"]
        listed = data.get(_READOUT, ())
        parameters = tuple(listed) if isinstance(listed, Iterable) else ()
        half = len(parameters) // 2
        readable = version.startswith("1.0.") and model in ("pwl_log_log", "pwl_linear")
        if not readable or not half or len(parameters) % 2 or not set(data) >= _NEEDED:
            raise TargetError(
                f"the machine's problem_timing_data (version {version}, readout model {model}) is "
                "of no kind known here: version 1.0, pwl_log_log or pwl_linear, with "
                f"{', '.join(sorted(_NEEDED))} and an even number of parameters",
                property="problem_timing_data",
            )
        points = [_time(_READOUT, value) for value in parameters]
        times = {field: _time(name, data[name], least=0.0) for field, name in _TIMES.items()}
        return cls(
            **times,
            points=(tuple(points[:half]), tuple(points[half:])),
            logarithmic=model == "pwl_log_log",
            stated=bool(measured),
            reverse=(_reverse(data, "with"), _reverse(data, "without")),
        )

    def given(self, options: Mapping[str, Any]) -> Timing:
        """Return the model of a call that sets some solver parameters itself.

        Args:
            options: ``annealing_time``, ``anneal_schedule``, ``programming_thermalization``,
                ``readout_thermalization``, ``reinitialize_state``; whatever else it holds is passed
                over.

        Raises:
            InputError: a time is no number of at least 0, or a schedule is none; names it.
        """
        schedule, times = options.get("anneal_schedule"), self.times_of(options)
        if schedule is not None and is_reverse(anneal_schedule(schedule)):
            anew = options.get("reinitialize_state")
            programming, delay = self.reverse[0 if anew is None or anew else 1]
            times |= {"programming": self.programming + programming, "delay": self.delay + delay}
        return dataclasses.replace(self, **times)  # type: ignore[arg-type]  # floats all of them

    @staticmethod
    def times_of(options: Mapping[str, Any]) -> dict[str, float]:
        """Return the times that solver parameters set, by the names of the fields.

        Raises:
            InputError: one is no time, or two state the same; names it.
        """
        stated = {k: v for k, v in options.items() if k in CALL_TIMES and v is not None}
        if {"annealing_time", "anneal_schedule"} <= set(stated):
            raise InputError(
                "anneal_schedule states the annealing time itself: leave annealing_time out",
                argument="annealing_time",
            )
        names = {"annealing_time": "annealing"} | {n: n for n in _WAITS}
        times = {names[k]: number(k, v, least=0) for k, v in stated.items() if k in names}
        if "anneal_schedule" in stated:
            times["annealing"] = anneal_schedule(stated["anneal_schedule"])[-1][0]
        if "reinitialize_state" in stated:
            flag("reinitialize_state", stated["reinitialize_state"])
        return times

    def readout(self, qubits: int) -> float:
        """Return the time to read ``qubits`` qubits once."""
        sizes, times = self.points
        if self.logarithmic:
            return float(10.0 ** np.interp(np.log10(max(qubits, 1)), sizes, times))
        return float(np.interp(qubits, sizes, times))

    def access(self, qubits: int, reads: int) -> float:
        """Return the machine time of one call, programming included."""
        read = self.annealing + self.readout(qubits) + self.delay + self.readout_thermalization
        return self.programming + self.programming_thermalization + reads * read

    def run_duration(self, qubits: int, reads: int) -> float:
        """Return the time that a machine's ``problem_run_duration_range`` limits.

        ``(annealing + readout thermalization + readout) * reads + programming thermalization``, as
        the vendor documents it.
        """
        return self._counted(qubits) * reads + self.programming_thermalization

    def most_reads(self, qubits: int, duration: float) -> int:
        """Return how many reads one call may take within a run duration; 0 where not even one."""
        left = duration - self.programming_thermalization
        most = max(int(left // self._counted(qubits)), 0)
        # The division rounds; the limit is on the sum.
        return most if most == 0 or self.run_duration(qubits, most) <= duration else most - 1

    def _counted(self, qubits: int) -> float:
        return self.annealing + self.readout_thermalization + self.readout(qubits)


_WAITS = ("programming_thermalization", "readout_thermalization")
# Solver parameters that take time.
CALL_TIMES = ("annealing_time", "anneal_schedule", *_WAITS, "reinitialize_state")
_NEEDED = frozenset({"typical_programming_time", "qpu_delay_time_per_sample"})
# What the machine calls the times of `Timing`.
_TIMES = {
    "programming": "typical_programming_time",
    "delay": "qpu_delay_time_per_sample",
    "annealing": "default_annealing_time",
    "programming_thermalization": "default_programming_thermalization",
    "readout_thermalization": "default_readout_thermalization",
}


def _reverse(data: Mapping[str, Any], how: str) -> tuple[float, float]:
    """Return what a reverse anneal adds to programming and delay; 0 where nothing is stated."""
    names = [f"reverse_annealing_{how}_reinit_{what}_time_delta" for what in ("prog", "delay")]
    programming, delay = (_time(name, data.get(name) or 0.0) for name in names)
    return programming, delay


def _time(name: str, value: object, least: float | None = None) -> float:
    """Return a number of the timing model.

    Raises:
        TargetError: it is none; names it.
    """
    try:
        return number(name, value, least)
    except InputError as error:
        raise TargetError(f"the machine's {error}", property=name, found=value) from None
