"""A machine as far as the stand-in of `solver_api` knows it: working graph, ranges, timing.

What it takes is worked out here from the bytes of a problem. Neither the client's coders nor the
compiler under test are used, so that agreement with them says something.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PARAMETERS = [
    "anneal_offsets",
    "anneal_schedule",
    "annealing_time",
    "answer_mode",
    "auto_scale",
    "fast_anneal",
    "flux_biases",
    "flux_drift_compensation",
    "h_gain_schedule",
    "initial_state",
    "max_answers",
    "num_reads",
    "programming_thermalization",
    "readout_thermalization",
    "reduce_intersample_correlation",
    "reinitialize_state",
]
# What machines of a family state; ideal graphs have nothing else.
_STATED: dict[str, dict[str, Any]] = {
    "zephyr": {"h_range": [-6.0, 6.0], "per_group_coupling_range": [-13.0, 10.0]},
    "pegasus": {"h_range": [-4.0, 4.0], "per_qubit_coupling_range": [-18.0, 15.0]},
}
_COMMON: dict[str, Any] = {
    "j_range": [-1.0, 1.0],
    "extended_j_range": [-2.0, 1.0],
    "num_reads_range": [1, 10000],
    "annealing_time_range": [0.5, 2000.0],
    "fast_anneal_time_range": [0.005, 2000.0],
    "problem_run_duration_range": [0.0, 1e6],
    "default_annealing_time": 20.0,
    "default_programming_thermalization": 1000.0,
    "default_readout_thermalization": 0.0,
    "problem_timing_data": {
        "version": "1.0.0",
        "typical_programming_time": 8000.0,
        "reverse_annealing_with_reinit_prog_time_delta": 0.0,
        "reverse_annealing_without_reinit_prog_time_delta": 22.0,
        "default_programming_thermalization": 1000.0,
        "default_annealing_time": 20.0,
        "readout_time_model": "pwl_log_log",
        "readout_time_model_parameters": [0.0, 3.0, 1.3, 1.6],
        "qpu_delay_time_per_sample": 20.0,
        "reverse_annealing_with_reinit_delay_time_delta": -4.5,
        "reverse_annealing_without_reinit_delay_time_delta": -1.5,
        "default_readout_thermalization": 0.0,
        "decorrelation_max_nominal_anneal_time": 2000.0,
        "decorrelation_time_range": [0.0, 0.0],
    },
}


class Refused(Exception):
    """A problem that the machine does not take; its text goes back as ``error_msg``."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """A problem over spins, read from its bytes.

    Attributes:
        active: qubits in use, in the machine's order.
        h: their fields.
        carried: numbers of the couplers between qubits in use.
        ends: positions in ``active`` of both ends of each.
        j: their couplings.
        constant: what a model over bits leaves over.
    """

    active: np.ndarray
    h: np.ndarray
    carried: np.ndarray
    ends: np.ndarray
    j: np.ndarray
    constant: float

    def energies(self, spins: np.ndarray) -> np.ndarray:
        """Energy of each row of ``spins``."""
        pairs = spins[:, self.ends[:, 0]] * spins[:, self.ends[:, 1]]
        energies: np.ndarray = spins @ self.h + pairs @ self.j + self.constant
        return energies


class Machine:
    """A working graph with ranges and a timing model: what it takes, and how long that takes."""

    def __init__(
        self,
        name: str,
        topology: tuple[str, list[int]],
        qubits: np.ndarray,
        couplers: np.ndarray,
        properties: dict[str, Any],
    ) -> None:
        self.name, self.family, self.shape = name, *topology
        self.size = int(_lattice(self.family, self.shape)[2])
        self.limits, self.online = properties, True
        self._set_graph(qubits, couplers)

    @classmethod
    def of(cls, what: str | Path, name: str | None = None) -> Machine:
        """Return the machine of a working graph's file, or an ideal one such as "zephyr:2"."""
        text = str(what)
        if not text.endswith(".json"):
            family, size = text.split(":")
            shape = [int(size), 4] if family == "zephyr" else [int(size)]
            qubits, couplers, _ = _lattice(family, shape)
            limits = _COMMON | _STATED[family]
            return cls(name or f"Ideal_{family}_{size}", (family, shape), qubits, couplers, limits)
        facts = json.loads(Path(text).read_text())
        family, shape = facts["topology"]["type"], facts["topology"]["shape"]
        qubits, couplers, _ = _lattice(family, shape)
        qubits = qubits[~np.isin(qubits, facts["missing_qubits"])]
        gone = {tuple(sorted(pair)) for pair in facts["missing_couplers"]}
        live = couplers[np.isin(couplers, qubits).all(axis=1)].tolist()
        kept = np.array([pair for pair in live if tuple(pair) not in gone])
        name = name or str(facts["solver"]).split(".")[0]
        return cls(name, (family, shape), qubits, kept, facts["properties"])

    def _set_graph(self, qubits: np.ndarray, couplers: np.ndarray) -> None:
        """Take a working graph; its id is a hash of it."""
        self.qubits, self.couplers = qubits, couplers
        digest = hashlib.sha256(qubits.tobytes() + couplers.tobytes()).hexdigest()
        self.graph_id = f"01{digest[:8]}"
        self.groups = self._groups()

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "version": {"graph_id": self.graph_id}}

    def lose_qubit(self, qubit: int) -> str:
        """Calibrate anew without a qubit; return the new graph id."""
        keep = (self.couplers != qubit).all(axis=1)
        self._set_graph(self.qubits[self.qubits != qubit], self.couplers[keep])
        return self.graph_id

    def _groups(self) -> np.ndarray:
        """Number of the sum that each coupler enters at either end: a qubit's, or half of it."""
        groups: np.ndarray = 2 * self.couplers
        if "per_group_coupling_range" not in self.limits:
            return groups
        from dwave.graphs import zephyr_coordinates

        place = zephyr_coordinates(*self.shape).linear_to_zephyr
        where = np.array([place(q) for q in range(self.size)])
        for end in (0, 1):
            near, far = where[self.couplers[:, end]], where[self.couplers[:, 1 - end]]
            # A qubit's couplers fall into two halves along its length.
            crossing = 2 * near[:, 4] + near[:, 3] + 1 - far[:, 1]
            odd = near[:, 4] + near[:, 3] - far[:, 4]
            along = (far[:, 4] - near[:, 4]) // 2
            inline = np.where(near[:, 3] != far[:, 3], odd, along)
            half = np.where(near[:, 0] != far[:, 0], crossing, inline) % 2
            groups[:, end] += half
        return groups

    def definition(self) -> dict[str, Any]:
        """Return the solver definition, as the service publishes it."""
        properties = self.limits | {
            "category": "qpu",
            "chip_id": self.name,
            "topology": {"type": self.family, "shape": self.shape},
            "num_qubits": self.size,
            "qubits": self.qubits.tolist(),
            "couplers": self.couplers.tolist(),
            "supported_problem_types": ["ising", "qubo"],
            "parameters": dict.fromkeys(PARAMETERS, ""),
            "max_anneal_schedule_points": 12,
            "programming_thermalization_range": [0.0, 10000.0],
            "readout_thermalization_range": [0.0, 10000.0],
            "h_gain_schedule_range": [-3.0, 3.0],
            "anneal_offset_ranges": [[-0.05, 0.05]] * self.size,
            "tags": [],
            "quota_conversion_rate": 1,
        }
        return {
            "identity": self.identity,
            "status": "ONLINE" if self.online else "OFFLINE",
            "description": "a stand-in, no machine",
            "properties": properties,
            "avg_load": 0.01,
        }

    # -- problems ------------------------------------------------------------------------------

    def decode(self, data: dict[str, Any], kind: str) -> Decoded:
        """Return a problem in the format that clients send, as a model over spins."""
        if data.get("format") != "qp":
            raise Refused(f"problem data format {data.get('format')!r} is not supported")
        lin, quad = (np.frombuffer(base64.b64decode(data[key]), "<f8") for key in ("lin", "quad"))
        if len(lin) != len(self.qubits):
            raise Refused(f"lin has {len(lin)} values for {len(self.qubits)} working qubits")
        used = ~np.isnan(lin)
        active, h, j = self.qubits[used], lin[used], quad
        carried = np.flatnonzero(np.isin(self.couplers, active).all(axis=1))
        if len(j) != len(carried):
            raise Refused(f"quad has {len(j)} values for {len(carried)} couplers in use")
        if not (np.isfinite(j).all() and np.isfinite(h).all()):
            raise Refused("a coefficient is not finite")
        ends, constant = np.searchsorted(active, self.couplers[carried]), 0.0
        if kind == "qubo":
            constant, h, j = h.sum() / 2.0 + j.sum() / 4.0, h / 2.0, j / 4.0
            np.add.at(h, ends.ravel(), np.repeat(j, 2))
        return Decoded(active, h, carried, ends, j, float(constant))

    def range_use(self, problem: Decoded) -> float:
        """Return what auto-scaling divides by; above 1 where something is out of range."""
        limits, totals = self.limits, np.zeros(2 * self.size)
        np.add.at(totals, self.groups[problem.carried].ravel(), np.repeat(problem.j, 2))
        total = limits.get("per_group_coupling_range") or limits["per_qubit_coupling_range"]
        wide, use = limits.get("extended_j_range", limits["j_range"]), [0.0]
        for values, (low, high) in (
            (problem.h, limits["h_range"]),
            (problem.j, wide),
            (totals, total),
        ):
            use += [values.max(initial=0.0) / high, values.min(initial=0.0) / low]
        return float(max(use))

    def check(self, problem: Decoded, params: dict[str, Any]) -> None:
        """Refuse parameters, and coefficients that do not go with them."""
        for name in params:
            if name not in PARAMETERS and not name.startswith("x_"):
                raise Refused(f"unknown parameter {name}")
        for name in ("flux_biases", "anneal_offsets"):
            if len(params.get(name) or self.size * [0]) != self.size:
                raise Refused(f"{name} must have {self.size} values")
        use = self.range_use(problem)
        # Flux biases and auto-scaling exclude each other; rounding alone is no reason.
        fixed = "flux_biases" in params or params.get("auto_scale", True) is False
        if fixed and use > 1.0 + 1e-9:
            raise Refused(f"h, J or a coupling total exceeds its range {use:.4f} times")
        if params.get("fast_anneal") and problem.h.any():
            raise Refused("h must be zero where fast_anneal is set")
        schedule = params.get("anneal_schedule")
        if schedule and "annealing_time" in params:
            raise Refused("anneal_schedule and annealing_time exclude each other")
        if schedule and schedule[0][1] == 1 and not params.get("initial_state"):
            raise Refused("reverse annealing needs an initial_state")
        if state := params.get("initial_state"):
            self._check_state(problem, state)

    def _check_state(self, problem: Decoded, state: object) -> None:
        """Refuse a state that does not set each qubit in use, and those alone."""
        values = np.array(state)
        wanted = np.isin(np.arange(self.size), problem.active)
        if values.shape != (self.size,) or (np.isin(values, (-1, 1)) != wanted).any():
            raise Refused("initial_state must be -1 or 1 for each qubit in use, and 3 elsewhere")

    def timing(self, qubits: int, params: dict[str, Any]) -> dict[str, float]:
        """Return the timing of an answer, in microseconds; refuse what is out of range."""
        limits, model = self.limits, self.limits["problem_timing_data"]
        reads = params.get("num_reads", 1)
        low, high = limits["num_reads_range"]
        if not isinstance(reads, int) or not low <= reads <= high:
            raise Refused(f"num_reads must be an integer from {low} to {high}, not {reads!r}")
        schedule = params.get("anneal_schedule")
        given = params.get("annealing_time", model["default_annealing_time"])
        each = schedule[-1][0] if schedule else given
        fast = "fast_anneal_time_range" if params.get("fast_anneal") else "annealing_time_range"
        low, high = limits[fast]
        if not low <= each <= high:
            raise Refused(f"annealing time {each} us is out of range [{low}, {high}]")
        points = model["readout_time_model_parameters"]
        sizes, times = points[: len(points) // 2], points[len(points) // 2 :]
        readout = float(10 ** np.interp(np.log10(max(qubits, 1)), sizes, times))
        wait = params.get("readout_thermalization", model["default_readout_thermalization"])
        before = params.get(
            "programming_thermalization", model["default_programming_thermalization"]
        )
        duration = (each + wait + readout) * reads + before
        most = limits["problem_run_duration_range"][1]
        if duration > most:
            raise Refused(f"problem run duration {duration:.0f} us exceeds {most:.0f} us")
        programming, delay = (
            model["typical_programming_time"] + before,
            model["qpu_delay_time_per_sample"],
        )
        if schedule and schedule[0][1] == 1:
            how = "with" if params.get("reinitialize_state", True) else "without"
            programming += model[f"reverse_annealing_{how}_reinit_prog_time_delta"]
            delay += model[f"reverse_annealing_{how}_reinit_delay_time_delta"]
        sampling = reads * (each + readout + delay + wait)
        return {
            "qpu_sampling_time": sampling,
            "qpu_anneal_time_per_sample": each,
            "qpu_readout_time_per_sample": readout,
            "qpu_delay_time_per_sample": delay,
            "qpu_programming_time": programming,
            "qpu_access_time": programming + sampling,
            "qpu_access_overhead_time": 6500.0,
            "total_post_processing_time": 300.0,
        }


def _lattice(family: str, shape: list[int]) -> tuple[np.ndarray, np.ndarray, int]:
    """Return qubits, couplers, and how many numbers a client's arrays have."""
    import dwave.graphs

    if family == "zephyr":
        (m, t), graph = shape, dwave.graphs.zephyr_graph(*shape)
        size = 4 * t * m * (2 * m + 1)
    else:
        (m,), graph = shape, dwave.graphs.pegasus_graph(*shape)
        size = 24 * m * (m - 1)
    ends = np.sort(np.array(list(graph.edges), np.int64), axis=1)
    return np.array(sorted(graph.nodes), np.int64), np.unique(ends, axis=0), size
