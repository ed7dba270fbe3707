"""Chain strength: a customary value, and a bound that is proved.

The bound. Let a chain C have couplings of -s on its internal couplers, fields h_q, and let X_q be
the sum of |J| over the couplers of qubit q that leave C. Take any state in which C is broken: the
qubits A of C are up, B = C - A are down, and d(A) internal couplers join A with B. Turning A down
changes the energy by at most ``-2 h(A) + 2 X(A) - 2 s d(A)``, since the d(A) couplers gain 2 s
each, the fields of A change by -2 h(A), and a coupler out of A costs at most 2 |J|, whatever the
qubit at its other end does. Turning B up instead changes it by at most
``2 h(B) + 2 X(B) - 2 s d(A)``. So with

    s > max over cuts (A, B) of  min(X(A) - h(A), X(B) + h(B)) / d(A)

one of the two lowers the energy strictly, and C is whole afterwards. No other chain has changed, so
chains are mended one after another, and a state with any broken chain lies strictly above one
without: every optimum of the embedded model has whole chains, and is an optimum of the logical
model. Other chains need no strength of their own for this, so each chain may have its own.

Chains of up to `EXACT` qubits have all cuts tried; for longer ones, as the least of two numbers is
at most their mean and a cut takes at least one coupler, ``(X(C) + sum |h_q|) / 2`` serves.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Array, Floats, Longs, pointers
from qubo_attn.common.checks import nearest
from qubo_attn.common.vocabulary import CHAIN_STRENGTHS
from qubo_attn.embedding.placement import Plan
from qubo_attn.errors import InputError
from qubo_attn.machine.limits import COUPLING_ERROR, FIELD_ERROR

ChainStrength: TypeAlias = Literal["torque", "bound", "auto"] | float

# Torque compensation (dwave-system, uniform_torque_compensation) with its customary prefactor.
PREFACTOR = 1.414
# Two to the fifteenth cuts take a fraction of a millisecond.
EXACT = 16
# Standard deviations of coefficient errors that a chain is given to stand.
SIGMAS = 2.0
# The bound is a limit from above: a strength lies over it by this share.
ABOVE = 1.0 / 64.0


def check_chain_strength(chosen: object) -> None:
    """Check a choice of chain strength.

    Raises:
        InputError: it is neither ``"torque"``, ``"bound"``, ``"auto"`` nor a positive number.
    """
    number = isinstance(chosen, (int, float)) and not isinstance(chosen, bool)
    if chosen in CHAIN_STRENGTHS or (number and 0 < chosen < np.inf):  # type: ignore[operator]
        return
    raise InputError(
        "chain_strength must be 'auto', 'torque', 'bound', or a positive number: the prefactor "
        f"of torque compensation (customarily {PREFACTOR}), not {chosen!r}"
        f"{nearest(chosen, CHAIN_STRENGTHS) if isinstance(chosen, str) else ''}",
        argument="chain_strength",
    )


def torque_strengths(
    coupling: Floats, component: Longs, edge: Longs, prefactor: float = PREFACTOR
) -> Floats:
    """Return one chain strength per component, in program energy.

    Uniform torque compensation, for spins and component by component:
    ``prefactor rms(J) sqrt(mean degree)``; a component without couplers gets 1.

    Args:
        coupling: value of each logical coupler, for spins.
        component, edge: component of each variable, and of each coupler.
        prefactor: customarily 1.414.
    """
    sizes = np.bincount(component)
    edges = np.bincount(edge, minlength=len(sizes))
    squares = kernels.square_sums(edge, len(sizes), coupling)
    rms = np.sqrt(squares / np.maximum(edges, 1))
    strength = prefactor * rms * np.sqrt(2.0 * edges / np.maximum(sizes, 1))
    return np.where(strength > 0, strength, 1.0)


def error_margin(plan: Plan, lengths: Longs) -> Floats:
    """Return what errors in its coefficients may add to each chain's bound, in hardware units.

    ``SIGMAS`` standard deviations of what pulls one qubit aside: the error of its field and those
    of its couplings to other chains, independent of each other.
    """
    count = len(lengths)
    ends = np.bincount(plan.i[plan.coupling_of], minlength=count)
    ends += np.bincount(plan.j[plan.coupling_of], minlength=count)
    pull = FIELD_ERROR**2 + ends / lengths * COUPLING_ERROR**2
    return np.asarray(SIGMAS * np.sqrt(pull), dtype=np.float64)


def bounds(
    ptr: Longs,
    qubit: Longs,
    field: Floats,
    between: Array,
    coupling: Floats,
    within: Array,
    chain: Longs,
    qubits: int,
) -> Floats:
    """Return a strength for each chain above which no optimum breaks it, in units of the fields.

    Args:
        ptr, qubit: the chains of one submission, as positions among ``qubits``.
        field: of each entry of ``qubit``.
        between, coupling: qubits, shape (m, 2), and values of the couplings between chains.
        within, chain: qubits, shape (n, 2), and chain of the couplings within chains.
        qubits: how many the machine has.

    Returns:
        0 for chains of one qubit, infinity for chains that do not hang together.
    """
    sums = kernels.outside_couplings(np.ascontiguousarray(between), coupling, qubits)
    place = np.full(qubits, -1, np.int64)
    place[qubit] = np.arange(len(qubit))
    order = np.argsort(chain, kind="stable")
    links = place[within[order]]
    link_ptr = pointers(np.bincount(chain, minlength=len(ptr) - 1))
    # Contiguous copies: the kernel is compiled for such arrays.
    u, v = links[:, 0].copy(), links[:, 1].copy()
    return kernels.chain_bounds(ptr, field, sums[qubit], link_ptr, u, v, EXACT)
