"""Physical coefficients as a solver's client sends them.

A machine lists its qubits and couplers in an order of its own. The client sends one field for every
qubit listed, NaN for idle ones, and one coupling for every coupler listed between qubits in use, as
little-endian doubles in base64 (dwave-cloud-client, ``encode_problem_as_qp``). Which entry goes
where depends on the plan and the order alone: it is worked out once and serves every later batch.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Longs, own_array
from qubo_attn.embedding.placement import Plan
from qubo_attn.errors import TargetError
from qubo_attn.machine.target import Target


class WireData(TypedDict):
    """The ``data`` of a problem submission, as ``encode_problem_as_qp`` returns it."""

    format: str
    lin: str
    quad: str
    offset: float


@dataclass(frozen=True, eq=False)
class SolverOrder:
    """The order in which a solver lists its qubits and couplers.

    Build one with `of`; keep it, as layouts are kept with it.

    Attributes:
        target: the machine compiled for.
        qubit: int64, position in the target's ``qubits`` of each qubit listed; -1 where it has
            none.
        ends: int64, shape (couplers, 2), the same for both qubits of each coupler listed.
        place: int64, number in the solver's list of each coupler of the target; -1 where it has
            none.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
        >>> order = qa.SolverOrder.of(compiled.recipe.target)  # or of a solver, as second argument
        >>> h, j = compiled.hardware_arrays(order)
        >>> h.shape, j.shape
        ((1, 160), (1, 1224))
    """

    target: Target
    qubit: Longs
    ends: Array
    place: Longs

    @classmethod
    def of(cls, target: Target, solver: Any = None) -> SolverOrder:
        """Return the order of a solver, or the target's own: ascending qubits, sorted couplers.

        Args:
            target: the machine compiled for.
            solver: anything whose ``properties`` list ``"qubits"`` and ``"couplers"``, for example
                a ``DWaveSampler`` or a client's solver.

        Raises:
            TargetError: the solver lists neither, or the target's qubits have names.

        Example:
            >>> from qubo_attn import SolverOrder, Target
            >>> len(SolverOrder.of(Target.zephyr(1)).place)
            280
        """
        if solver is None:
            return _own_order(target)
        if isinstance(solver, SolverOrder):
            return solver
        listed = getattr(solver, "properties", {})
        if "qubits" not in listed or "couplers" not in listed or target.names is not None:
            raise TargetError(
                f"{type(solver).__name__} does not list its qubits and couplers by number; leave "
                "it out for the target's own order",
                solver=repr(solver),
            )
        qubit = _positions(target, np.asarray(listed["qubits"], np.int64))
        pairs = np.asarray(listed["couplers"], np.int64).reshape(-1, 2)
        ends = _positions(target, pairs)
        count = len(target.qubits)
        low, high = ends.min(axis=1), ends.max(axis=1)
        known = np.flatnonzero(low >= 0)
        keys = target.couplers[:, 0] * count + target.couplers[:, 1]
        wanted = low[known] * count + high[known]
        found = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        same = keys[found] == wanted if len(keys) else np.zeros(0, bool)
        place = np.full(len(keys), -1, np.int64)
        place[found[same]] = known[same]
        return cls(target, own_array(qubit), own_array(ends), own_array(place))


@lru_cache(maxsize=8)
def _own_order(target: Target) -> SolverOrder:
    return SolverOrder(
        target, np.arange(len(target.qubits)), target.couplers, np.arange(len(target.couplers))
    )


def _positions(target: Target, qubits: Array) -> Longs:
    """Return the position of each qubit in the target's ``qubits``, -1 where it has none."""
    found = np.minimum(np.searchsorted(target.qubits, qubits), len(target.qubits) - 1)
    return np.where(target.qubits[found] == qubits, found, -1)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the entries of a plan stand in whole arrays, one submission after another.

    Attributes:
        plan: the plan.
        field_at, coupling_at, chain_at: int64, place of each physical field and coupling.
        h_ptr, j_ptr: int64, where the arrays of each submission start.
        idle: what fields of idle qubits are: NaN on the wire, else 0.
    """

    plan: Plan
    field_at: Longs
    coupling_at: Longs
    chain_at: Longs
    h_ptr: Longs
    j_ptr: Longs
    idle: float

    def fill(self, h: Floats, coupling: Floats, strength: Floats) -> tuple[Floats, Floats]:
        """Return the fields and couplings of all submissions, each in one array.

        Args:
            h, coupling, strength: logical, in hardware units; see `Plan.fill`.
        """
        plan = self.plan
        fields, couplings = np.full(self.h_ptr[-1], self.idle), np.zeros(self.j_ptr[-1])
        kernels.fill_layout(
            plan.field_of,
            plan.field_parts,
            self.field_at,
            plan.coupling_of,
            plan.coupling_parts,
            self.coupling_at,
            plan.chain_of,
            self.chain_at,
            h,
            coupling,
            strength,
            fields,
            couplings,
        )
        return fields, couplings

    def place(self, s: int, h: Floats, j: Floats) -> tuple[Floats, Floats]:
        """Return the arrays of submission ``s`` from its own coefficients, in the plan's order."""
        plan = self.plan
        fields = np.full(self.h_ptr[s + 1] - self.h_ptr[s], self.idle)
        couplings = np.zeros(self.j_ptr[s + 1] - self.j_ptr[s])
        between = slice(plan.coupling_ptr[s], plan.coupling_ptr[s + 1])
        within = slice(plan.chain_ptr[s], plan.chain_ptr[s + 1])
        at = np.concatenate([self.coupling_at[between], self.chain_at[within]])
        # A zero of either sign goes out as a plain one, as from the sums of a model.
        fields[self.field_at[plan.field_ptr[s] : plan.field_ptr[s + 1]] - self.h_ptr[s]] = h + 0.0
        couplings[at - self.j_ptr[s]] = j + 0.0
        return fields, couplings


@lru_cache(maxsize=8)
def layout_of(plan: Plan, order: SolverOrder, wire: bool) -> Layout:
    """Return the places of a plan's entries in a solver's order.

    Args:
        plan: which qubit and coupler each entry belongs to.
        order: of the solver's qubits and couplers.
        wire: leave out couplers with an idle qubit and mark idle qubits by NaN, as the client does;
            otherwise every submission has an entry for every qubit and coupler listed.

    Raises:
        TargetError: a qubit or coupler in use is not among the solver's; names it.
    """
    count = len(order.target.qubits)
    at = np.full(count, -1, np.int64)
    known = np.flatnonzero(order.qubit >= 0)
    at[order.qubit[known]] = known
    submissions = len(plan.field_ptr) - 1
    field_at: list[Longs] = []
    coupling_at: list[Longs] = []
    chain_at: list[Longs] = []
    h_ptr, j_ptr = [0], [0]
    for s in range(submissions):
        used = plan.field_qubit[plan.field_ptr[s] : plan.field_ptr[s + 1]]
        field_at.append(_found(at[used], used[:, None], order) + h_ptr[-1])
        number = np.arange(len(order.ends))
        sent = len(number)
        if wire:
            active = np.zeros(count + 1, bool)  # one more: unknown qubits are -1
            active[used] = True
            carried = active[order.ends].all(axis=1)
            number, sent = np.cumsum(carried) - 1, int(carried.sum())
        for parts, couplers, ptr in (
            (coupling_at, plan.coupling_coupler, plan.coupling_ptr),
            (chain_at, plan.chain_coupler, plan.chain_ptr),
        ):
            mine = couplers[ptr[s] : ptr[s + 1]]
            place = _found(order.place[mine], order.target.couplers[mine], order)
            parts.append(number[place] + j_ptr[-1])
        h_ptr.append(h_ptr[-1] + len(order.qubit))
        j_ptr.append(j_ptr[-1] + sent)
    return Layout(
        plan,
        _joined(field_at),
        _joined(coupling_at),
        _joined(chain_at),
        own_array(np.array(h_ptr)),
        own_array(np.array(j_ptr)),
        np.nan if wire else 0.0,
    )


def _joined(parts: list[Longs]) -> Longs:
    return own_array(np.concatenate([np.zeros(0, np.int64), *parts]))


def _found(place: Longs, named: Array, order: SolverOrder) -> Longs:
    """Return ``place``, or say which qubit or coupler the solver does not list."""
    lost = np.flatnonzero(place < 0)
    if len(lost):
        qubits = [order.target.qubit_name(int(q)) for q in named[lost[0]]]
        what = "qubit" if len(qubits) == 1 else "coupler"
        raise TargetError(
            f"the solver does not list {what} {', '.join(map(str, qubits))}, which is in use: "
            "compile for the solver's own working graph",
            qubits=tuple(qubits),
        )
    return place


def wire_data(fields: Floats, couplings: Floats, offset: float) -> WireData:
    """Return whole arrays of one submission as the client sends them.

    Args:
        fields: one entry per qubit listed, NaN for idle ones.
        couplings: one entry per coupler listed between qubits in use.
        offset: constant of the embedded model.
    """
    return {
        "format": "qp",
        "lin": _encoded(fields),
        "quad": _encoded(couplings),
        "offset": offset,
    }


def _encoded(values: Floats) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f8").data).decode("ascii")
