"""Wire data: physical coefficients as a solver's client sends them.

A machine lists its qubits and couplers in an order of its own. The client sends one field for every
qubit listed, NaN for idle ones, and one coupling for every coupler listed between qubits in use, as
little-endian doubles in base64 (dwave-cloud-client, ``encode_problem_as_qp``). Which entry goes
where depends on the structure and the order alone: a `Layout` serves every batch.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.model import Physical
from qubo_attn.common.arrays import Array, Floats, Longs, own_array, places_in, pointers
from qubo_attn.errors import TargetError
from qubo_attn.machine.readers import coupler_ends, qubit_numbers
from qubo_attn.machine.sampler import machine_behind
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

    Build one with `of` and pass the same one again: a layout is kept for the order used last.

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
            TargetError: the solver lists neither, or what is no number, or the target's qubits
                have names.

        Example:
            >>> from qubo_attn import SolverOrder, Target
            >>> len(SolverOrder.of(Target.zephyr(1)).place)
            280
        """
        if solver is None:
            qubits, couplers = len(target.qubits), len(target.couplers)
            return cls(target, np.arange(qubits), target.couplers, np.arange(couplers))
        if isinstance(solver, SolverOrder):
            return solver
        stated = getattr(machine_behind(solver) or solver, "properties", None)
        properties = stated if isinstance(stated, Mapping) else {}
        if "qubits" not in properties or "couplers" not in properties or target.names is not None:
            raise TargetError(
                f"{type(solver).__name__} does not list its qubits and couplers by number; leave "
                "it out for the target's own order",
                solver=repr(solver),
            )
        qubit = places_in(target.qubits, qubit_numbers("qubits", properties["qubits"]))
        pairs = coupler_ends("couplers", properties["couplers"])
        ends = places_in(target.qubits, pairs)
        coupler = np.where(ends.min(axis=1) < 0, -1, target.coupler_numbers(*ends.T))
        listed = np.flatnonzero(coupler >= 0)
        place = np.full(len(target.couplers), -1, np.int64)
        place[coupler[listed]] = listed
        return cls(target, own_array(qubit), own_array(ends), own_array(place))


class InUse(NamedTuple):
    """Qubits and couplers that carry a coefficient, of one submission or of several.

    Attributes:
        qubit: int64, position in the target's ``qubits`` of each field.
        field_of: int64, submission of each field.
        coupler: int64, position in the target's ``couplers`` of each coupling.
        coupling_of: int64, submission of each coupling.
    """

    qubit: Longs
    field_of: Longs
    coupler: Longs
    coupling_of: Longs


@dataclass(frozen=True, eq=False)
class Layout:
    """Places of physical coefficients in whole arrays, one submission after another.

    Attributes:
        order: of the solver's qubits and couplers.
        field_at, coupling_at: int64, place of each physical field and coupling.
        h_ptr, j_ptr: int64, shape (submissions + 1,), where the arrays of each submission start.
        idle: the field of an idle qubit: NaN on the wire, else 0.
    """

    order: SolverOrder
    field_at: Longs
    coupling_at: Longs
    h_ptr: Longs
    j_ptr: Longs
    idle: float

    def place(self, fields: Floats, couplings: Floats) -> tuple[Floats, Floats]:
        """Return the fields and couplings of all submissions, each in one array.

        Args:
            fields, couplings: float64, physical, in the order of ``field_at``, ``coupling_at``.
        """
        h, j = np.full(self.h_ptr[-1], self.idle), np.zeros(self.j_ptr[-1])
        kernels.place_values(fields, self.field_at, h)
        kernels.place_values(couplings, self.coupling_at, j)
        return h, j


def layout_of(order: SolverOrder, in_use: InUse, submissions: int, *, wire: bool) -> Layout:
    """Return the places of coefficients in a solver's order.

    Args:
        order: of the solver's qubits and couplers.
        in_use: where the coefficients stand on the machine.
        submissions: how many there are.
        wire: leave out couplers with an idle qubit and mark idle qubits by NaN, as the client does;
            otherwise every submission has an entry for every qubit and coupler listed.

    Raises:
        TargetError: a qubit or coupler in use is not among the solver's; names it.
    """
    target = order.target
    place = np.full(len(target.qubits), -1, np.int64)
    listed = np.flatnonzero(order.qubit >= 0)
    place[order.qubit[listed]] = listed
    field_at = _listed(place[in_use.qubit], in_use.qubit[:, None], order)
    coupling_at = _listed(order.place[in_use.coupler], target.couplers[in_use.coupler], order)
    couplers = np.full(submissions, len(order.ends))
    if wire:
        for s in range(submissions):
            active = np.zeros(len(target.qubits) + 1, bool)  # one more: unknown qubits are -1
            active[in_use.qubit[in_use.field_of == s]] = True
            sent = active[order.ends[:, 0]] & active[order.ends[:, 1]]
            part = in_use.coupling_of == s
            coupling_at[part] = (np.cumsum(sent) - 1)[coupling_at[part]]
            couplers[s] = sent.sum()
    h_ptr, j_ptr = np.arange(submissions + 1) * len(order.qubit), pointers(couplers)
    return Layout(
        order,
        own_array(field_at + h_ptr[in_use.field_of]),
        own_array(coupling_at + j_ptr[in_use.coupling_of]),
        own_array(h_ptr),
        own_array(j_ptr),
        np.nan if wire else 0.0,
    )


def _listed(place: Longs, qubits: Array, order: SolverOrder) -> Longs:
    """Return ``place``, or say which qubit or coupler the solver does not list."""
    missing = np.flatnonzero(place < 0)
    if len(missing):
        names = tuple(order.target.qubit_name(int(q)) for q in qubits[missing[0]])
        what = "qubit" if len(names) == 1 else "coupler"
        raise TargetError(
            f"the solver does not list {what} {', '.join(map(str, names))}, which is in use: "
            "compile for the solver's own working graph",
            qubits=names,
        )
    return place


def physical_wire(physical: Physical, offset: float, solver: SolverOrder | object) -> WireData:
    """Return one submission as a solver's client sends it; see `Submission.wire`.

    Args:
        physical: fields and couplings.
        offset: constant of the embedded model.
        solver: what lists qubits and couplers; None means the target's own order.
    """
    target = physical.target
    order, ends = SolverOrder.of(target, solver), np.column_stack([physical.u, physical.v])
    coupler = _listed(physical.coupler, ends, order)
    in_use = InUse(physical.qubit, np.zeros_like(physical.qubit), coupler, np.zeros_like(coupler))
    layout = layout_of(order, in_use, 1, wire=True)
    return wire_data(*layout.place(physical.h, physical.j), offset)


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
