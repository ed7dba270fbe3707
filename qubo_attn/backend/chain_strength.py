"""Chain strength: a customary value, and a bound that is proved.

The bound. Let a chain C have couplings of -s on its internal couplers, fields h_q, and let X_q be
the sum of |J| over the couplers of qubit q that leave C. Take any state in which C is broken: the
qubits A of C are up, B = C - A are down, and d(A) internal couplers join A with B. Turning A down
changes the energy by at most ``-2 h(A) + 2 X(A) - 2 s d(A)``. The d(A) couplers gain 2 s each, the
fields of A change by -2 h(A), and a coupler out of A costs at most 2 |J|, whatever the qubit at its
other end does. Turning B up instead changes it by at most ``2 h(B) + 2 X(B) - 2 s d(A)``. So with

    s > max over cuts (A, B) of  min(X(A) - h(A), X(B) + h(B)) / d(A)

one of the two lowers the energy strictly, and C is whole afterwards. No other chain has changed, so
chains are mended one after another, and a state with any broken chain lies strictly above one
without: every optimum of the embedded model has whole chains, and is an optimum of the logical
model. Other chains need no strength of their own for this, so each chain may have its own.

Chains of up to `EXACT` qubits have all cuts tried; for longer ones, as the least of two numbers is
at most their mean and a cut takes at least one coupler, ``(X(C) + sum |h_q|) / 2`` serves.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

import numpy as np

from qubo_attn import kernels
from qubo_attn.backend.model import Physical
from qubo_attn.common.arrays import Floats, Longs, pointers, read_only
from qubo_attn.common.checks import MOST_UNITS, nearest, number, shown
from qubo_attn.common.vocabulary import CHAIN_STRENGTHS
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


def check_chain_strength(chosen: object) -> ChainStrength:
    """Return a choice of chain strength, or say what it must be.

    Raises:
        InputError: it is neither ``"torque"``, ``"bound"``, ``"auto"`` nor a positive number.
    """
    if isinstance(chosen, str) and chosen in CHAIN_STRENGTHS:
        return cast(ChainStrength, chosen)
    try:
        return number("chain_strength", chosen, most=MOST_UNITS, above=0)
    except InputError:
        raise InputError(
            "chain_strength must be 'auto', 'torque', 'bound', or a positive number: the prefactor "
            f"of torque compensation (customarily {PREFACTOR}), not {shown(chosen)}"
            f"{nearest(chosen, CHAIN_STRENGTHS) if isinstance(chosen, str) else ''}",
            argument="chain_strength",
        ) from None


def torque_strengths(
    coupling: Floats, edge: Longs, variables: Longs, couplers: Longs, prefactor: float = PREFACTOR
) -> Floats:
    """Return one chain strength per component, in program energy.

    Uniform torque compensation, for spins and component by component:
    ``prefactor rms(J) sqrt(mean degree)``; a component without couplers gets 1.

    Args:
        coupling: float64, value of each logical coupler, for spins.
        edge: int64, component of each coupler.
        variables, couplers: int64, how many of each a component has.
        prefactor: customarily 1.414.
    """
    largest = np.zeros(len(variables))
    np.maximum.at(largest, edge, np.abs(coupling))
    # In units of a power of two near the largest of each: squares neither overflow nor vanish.
    power = np.frexp(largest)[1]
    unit = np.ldexp(coupling, -power[edge])
    squares = np.bincount(edge, unit * unit, minlength=len(variables))
    rms = np.ldexp(np.sqrt(squares / np.maximum(couplers, 1)), power)
    strength = prefactor * rms * np.sqrt(2.0 * couplers / np.maximum(variables, 1))
    return np.where(strength > 0, strength, 1.0)


def error_margin(lengths: Longs, couplings: Longs) -> Floats:
    """Return what errors in its coefficients may add to each chain's bound, in hardware units.

    ``SIGMAS`` standard deviations of what pulls one qubit aside: the error of its field and those
    of its couplings to other chains, independent of each other.

    Args:
        lengths: int64, qubits of each chain.
        couplings: int64, couplings of each chain to other chains.
    """
    pull = FIELD_ERROR**2 + couplings / lengths * COUPLING_ERROR**2
    return np.asarray(SIGMAS * np.sqrt(pull), dtype=np.float64)


def bounds(physical: Physical) -> Floats:
    """Return a strength for each chain above which no optimum breaks it, in hardware units.

    Returns:
        float64, shape (chains,): 0 for chains of one qubit, infinity for chains that do not hang
        together.
    """
    field = np.zeros(len(physical.target.qubits))
    field[physical.qubit] = physical.h
    place = np.full(len(field), -1, np.int64)
    place[physical.chain_qubit] = np.arange(len(physical.chain_qubit))
    chain = physical.chain_of[physical.u]
    within = chain == physical.chain_of[physical.v]
    ends = np.column_stack([physical.u[~within], physical.v[~within]])
    outside = kernels.outside_couplings(ends, physical.j[~within], len(field))
    links = np.flatnonzero(within)[np.argsort(chain[within], kind="stable")]
    return kernels.chain_bounds(
        read_only(physical.chain_ptr),
        field[physical.chain_qubit],
        outside[physical.chain_qubit],
        pointers(np.bincount(chain[within], minlength=len(physical.chain_ptr) - 1)),
        place[physical.u[links]],
        place[physical.v[links]],
        EXACT,
    )
