"""Rules that a submission must keep; each yields the errors of what breaks it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.model import Physical, Vectors
from qubo_attn.common.arrays import Array, Longs, places_in
from qubo_attn.common.checks import whole
from qubo_attn.errors import InputError, SubmissionError
from qubo_attn.machine.anneal import anneal_schedule, too_steep
from qubo_attn.machine.ranges import coupling_totals, outside
from qubo_attn.machine.target import Target
from qubo_attn.machine.timing import Timing

# Shares of a field or coupling must sum to it up to this, in hardware units.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Case:
    """A submission beside a machine.

    Attributes:
        index: number of the submission.
        model, physical: its logical and its physical side.
        target: the machine that is to take it.
    """

    index: int
    model: Vectors
    physical: Physical
    target: Target

    def error(self, code: str, message: str, **facts: object) -> SubmissionError:
        """Return a violation of this submission."""
        text = f"submission {self.index}: {message}"
        return SubmissionError(text, code=code, submission=self.index, **facts)

    def bad_qubit(self, code: str, position: int, problem: str) -> SubmissionError:
        """Return a violation of a qubit."""
        name = self.name(position)
        return self.error(code, f"qubit {name!r} {problem}", qubit=name)

    def beyond(
        self, code: str, what: str, value: float, limits: tuple[float, float], **facts: object
    ) -> SubmissionError:
        """Return a violation of a range."""
        message = f"{what} is beyond {list(limits)}"
        return self.error(code, message, found=value, limits=limits, **facts)

    def name(self, position: int) -> Hashable:
        """Return the machine's own label of a qubit."""
        return self.physical.target.qubit_name(int(position))

    def pair(self, entry: int | np.integer[Any]) -> tuple[Hashable, Hashable]:
        """Return the labels of both qubits of a coupling."""
        return self.name(self.physical.u[entry]), self.name(self.physical.v[entry])

    @cached_property
    def place(self) -> Longs:
        """Where each of the submission's qubits sits in the machine's; -1 where it does not."""
        old, new = self.physical.target, self.target
        if old is new:
            return np.arange(len(old.qubits))
        if old.names is not None or new.names is not None:
            names = {new.qubit_name(p): p for p in range(len(new.qubits))}
            return np.array([names.get(old.qubit_name(p), -1) for p in range(len(old.qubits))])
        return places_in(new.qubits, old.qubits)

    @cached_property
    def coupler(self) -> Longs:
        """The machine's coupler of each coupling; -1 where there is none."""
        u, v = self.place[self.physical.u], self.place[self.physical.v]
        number = self.target.coupler_numbers(u, v)
        return np.where((u < 0) | (v < 0) | (u == v), -1, number)

    @cached_property
    def ends(self) -> tuple[Longs, Longs]:
        """The chains that each coupling joins."""
        chain = self.physical.chain_of
        return chain[self.physical.u], chain[self.physical.v]


def shapes(case: Case) -> Iterator[SubmissionError]:
    """Columns of equal lengths, positions within the machine."""
    p, variables = case.physical, case.model.labels
    lengths = {
        "chains": (len(p.chain_ptr) - 1, len(variables)),
        "chain strengths": (len(p.strength), len(variables)),
        "chain qubits": (len(p.chain_qubit), int(p.chain_ptr[-1])),
        "fields": (len(p.h), len(p.qubit)),
        "couplings": (len(p.j), len(p.u)),
        "ends of couplings": (len(p.v), len(p.u)),
    }
    for name, (length, wanted) in lengths.items():
        if length != wanted:
            yield case.error("shape", f"{length} {name} where there should be {wanted}")
    size = len(p.target.qubits)
    for column in (p.chain_qubit, p.qubit, p.u, p.v):
        for q in np.unique(column[(column < 0) | (column >= size)]).tolist():
            yield case.error("shape", f"position {q} among {size} qubits", qubit=q)


def qubits(case: Case) -> Iterator[SubmissionError]:
    """Every qubit works, and has one field and one chain."""
    p = case.physical
    used = np.unique(np.concatenate([p.chain_qubit, p.qubit, p.u, p.v]))
    for q in used[case.place[used] < 0]:
        text = f"does not work on {case.target.label}; compile for it anew"
        yield case.bad_qubit("dead-qubit", q, text)
    for q in _repeated(p.qubit):
        yield case.bad_qubit("field", q, "has two fields")
    for q in np.setdiff1d(np.concatenate([p.qubit, p.u, p.v]), p.chain_qubit):
        yield case.bad_qubit("stray-qubit", q, "has coefficients but lies in no chain")


def chains(case: Case) -> Iterator[SubmissionError]:
    """Chains are disjoint, not empty, and held together by their own couplings."""
    p, variables = case.physical, case.model.labels
    lengths = np.diff(p.chain_ptr)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    for q in _repeated(p.chain_qubit):
        first, second = variables[owner[p.chain_qubit == q][:2]].tolist()
        yield case.error(
            "overlap",
            f"the chains of variables {first} and {second} overlap in qubit {case.name(q)!r}",
            qubit=case.name(q),
            variables=(first, second),
        )
    for v in variables[lengths == 0].tolist():
        yield case.error("empty-chain", f"variable {v} has no qubit", variable=v)
    a, b = case.ends
    held = (a == b) & (p.j < 0) & (case.coupler >= 0)
    size = len(p.target.qubits)
    part = kernels.connected_components(size, p.u[held], p.v[held])[p.chain_qubit]
    apart = np.flatnonzero(part != part[p.chain_ptr[owner]])
    for entry in apart[np.unique(owner[apart], return_index=True)[1]]:
        c = owner[entry]
        near, far = case.name(p.chain_qubit[p.chain_ptr[c]]), case.name(p.chain_qubit[entry])
        yield case.error(
            "broken-chain",
            f"the chain of variable {variables[c]} falls apart: no couplings of its own lead from "
            f"qubit {near!r} to qubit {far!r}",
            variable=int(variables[c]),
            qubit=far,
        )
    within = np.flatnonzero((a == b) & (a >= 0))
    off = np.abs(p.j[within] + p.strength[a[within]]) > _ROUNDING
    for entry in within[off]:
        yield case.error(
            "chain-strength",
            f"coupler {case.pair(entry)} is set to {p.j[entry]:.6g} where the chain strength of "
            f"variable {variables[a[entry]]} is {p.strength[a[entry]]:.6g}",
            coupler=case.pair(entry),
        )


def couplers(case: Case) -> Iterator[SubmissionError]:
    """Every coupling has a coupler of its own on the working graph."""
    p = case.physical
    alive = (case.place[p.u] >= 0) & (case.place[p.v] >= 0)
    for entry in np.flatnonzero((case.coupler < 0) & alive):
        u, v = case.pair(entry)
        yield case.error(
            "missing-coupler",
            f"no coupler joins qubits {u!r} and {v!r} on {case.target.label}; compile for it anew",
            coupler=(u, v),
        )
    key = _pairs(p.u, p.v, len(p.target.qubits))
    for k in _repeated(key):
        pair = case.pair(int(np.flatnonzero(key == k)[0]))
        yield case.error("coupler-twice", f"coupler {pair} is set twice", coupler=pair)


def ranges(case: Case) -> Iterator[SubmissionError]:
    """Every field and coupling is within its range."""
    p, limits = case.physical, case.target.limits
    for entry in np.flatnonzero(outside(p.h, limits.h)):
        qubit, h = case.name(p.qubit[entry]), float(p.h[entry])
        what = f"the field {h:.6g} of qubit {qubit!r}"
        yield case.beyond("h-range", what, h, limits.h, qubit=qubit)
    for entry in np.flatnonzero(outside(p.j, limits.j)):
        pair, j = case.pair(entry), float(p.j[entry])
        what = f"the coupling {j:.6g} of coupler {pair}"
        yield case.beyond("j-range", what, j, limits.j, coupler=pair)


def totals(case: Case) -> Iterator[SubmissionError]:
    """The couplings of every qubit, or of every coupling group, total no more than they may."""
    limits, there = case.target.limits, case.coupler >= 0
    if limits.total is None:
        return
    group, totals = coupling_totals(case.target, case.coupler[there], case.physical.j[there])
    for index in np.flatnonzero(outside(totals, limits.total)):
        qubit = case.target.qubit_name(int(group[index]) // 2)
        what = f"group {group[index] % 2} of qubit" if limits.per == "group" else "qubit"
        total = float(totals[index])
        what = f"the total {total:.6g} of the couplings of {what} {qubit!r}"
        yield case.beyond(f"{limits.per}-total", what, total, limits.total, qubit=qubit)


def carried(case: Case) -> Iterator[SubmissionError]:
    """The physical coefficients add up to the logical model's."""
    p, model, variables = case.physical, case.model, case.model.labels
    i, j, bias = model.quadratic
    count = len(variables)
    chain = p.chain_of[p.qubit]
    fields = np.bincount(chain[chain >= 0], p.h[chain >= 0], minlength=count)
    for v in np.flatnonzero(~(np.abs(fields - model.linear) <= _ROUNDING)):
        yield case.error(
            "field-sum",
            f"the fields of the chain of variable {variables[v]} add up to {fields[v]:.6g}, the "
            f"model's is {model.linear[v]:.6g}",
            variable=int(variables[v]),
            qubit=case.name(p.chain_qubit[p.chain_ptr[v]]) if fields[v] else None,
        )
    a, b = case.ends
    between = np.flatnonzero((a != b) & (a >= 0) & (b >= 0))
    carriers = _pairs(a[between], b[between], count)
    keys, place = np.unique(np.concatenate([carriers, _pairs(i, j, count)]), return_inverse=True)
    total = np.bincount(place[: len(carriers)], p.j[between], minlength=len(keys))
    wanted = np.bincount(place[len(carriers) :], bias, minlength=len(keys))
    for k in np.flatnonzero(~(np.abs(total - wanted) <= _ROUNDING)):
        pair = tuple(variables[list(divmod(int(keys[k]), count))].tolist())
        couplers = [case.pair(entry) for entry in between[carriers == keys[k]][:1]]
        some = f"couplers such as {couplers[0]}" if couplers else "no couplers"
        yield case.error(
            "coupling-sum",
            f"between the chains of variables {pair[0]} and {pair[1]} {some} carry "
            f"{total[k]:.6g}, the model's coupling is {wanted[k]:.6g}",
            variables=pair,
            coupler=couplers[0] if couplers else None,
        )


def run(case: Case, reads: int, options: Mapping[str, Any]) -> Iterator[SubmissionError]:
    """Reads, annealing time and run time of one call are within what the machine takes."""
    limits, timing = case.target.limits, case.target.timing
    try:
        reads = whole("reads", reads, least=1)
    except InputError as error:
        yield case.error("reads", str(error))
        return
    if limits.reads is not None and not limits.reads[0] <= reads <= limits.reads[1]:
        yield case.error(
            "reads",
            f"{reads} reads in one call, where {case.target.label} takes {limits.reads[0]} to "
            f"{limits.reads[1]}; split them as compiled.schedule(reads=) does",
            found=reads,
            limits=limits.reads,
        )
    yield from _anneal(case, options)
    if timing is None or limits.run_duration is None:
        return
    used = len(case.physical.qubit)
    duration = timing.given(options).run_duration(used, reads)
    if duration > limits.run_duration:
        yield case.error(
            "run-duration",
            f"{reads} reads of {used} qubits run {duration / 1000:.1f} ms, "
            f"beyond {limits.run_duration / 1000:.1f} ms; split them as compiled.schedule(reads=) "
            "does",
            found=duration,
            limits=(0.0, limits.run_duration),
        )


def _anneal(case: Case, options: Mapping[str, Any]) -> Iterator[SubmissionError]:
    """One anneal is as long, and as steep, as the machine takes it."""
    limits, schedule = case.target.limits, options.get("anneal_schedule")
    span, time = limits.annealing, Timing.times_of(options).get("annealing")
    if time is not None and span is not None and not span[0] <= time <= span[1]:
        what = f"an annealing time of {time:g} microseconds"
        yield case.beyond("annealing-time", what, time, span)
    if schedule is None:
        return
    points, most = anneal_schedule(schedule), limits.schedule_points
    if most is not None and len(points) > most:
        message = f"an anneal schedule of {len(points)} points, where {most} are taken"
        yield case.error("anneal-schedule", message, found=len(points), limits=(2, most))
    if span is None:
        return
    for start, slope in too_steep(points, span[0]):
        message = f"the anneal schedule's change of {slope:g} a microsecond, at {start:g},"
        limits_of = (-1.0 / span[0], 1.0 / span[0])
        yield case.beyond("anneal-schedule", message, slope, limits_of)


def _repeated(values: Array) -> Array:
    distinct, counts = np.unique(values, return_counts=True)
    return distinct[counts > 1]


def _pairs(i: Array, j: Array, count: int) -> Longs:
    """Return one number for each pair of positions below ``count``, whichever comes first."""
    low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
    return low * count + high
