"""Solver parameters of a machine: checked for attention, and given to qubits by their variables.

States, anneal offsets and flux biases are lists over all of a machine's qubits there. Here they may
be given by the variables of the program: each qubit of a chain then gets what its variable has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from qubo_attn.backend.model import Physical
from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.common.checks import number, shown, whole
from qubo_attn.errors import InputError
from qubo_attn.machine.anneal import anneal_schedule, is_reverse
from qubo_attn.machine.lattice import Lattice
from qubo_attn.machine.target import Target
from qubo_attn.machine.timing import CALL_TIMES, Timing

# What is given by variables here, and over qubits there.
_OF_QUBITS = ("initial_state", "anneal_offsets", "flux_biases")
# The state of a qubit that is not in use.
_NO_STATE = 3.0
_REFUSED = {
    "fast_anneal": "it takes models without fields (h = 0) alone, and rows of attention have "
    "fields; shorten annealing_time instead",
    "max_answers": "it keeps the reads of least total energy, and every row takes its own best "
    "read, which may stand in any of them; ask for fewer num_reads instead",
}


def check_solver_options(
    properties: Mapping[str, Any], options: Mapping[str, Any], variables: int | None = None
) -> None:
    """Reject solver parameters that a machine turns down, or that would spoil rows of attention.

    Ranges of the annealing time are those of the machine; `qubo_attn.backend.rules` checks them
    beside reads and run time.

    Args:
        properties: of the machine, as it states them.
        options: solver parameters by name; None stands for the machine's own.
        variables: number of the program's variables; which those are is not checked when None.

    Raises:
        InputError: names the parameter, and why it is not taken.

    Example:
        >>> check_solver_options({}, {"fast_anneal": True})
        Traceback (most recent call last):
        qubo_attn.errors.InputError: fast_anneal is not taken: it takes models without fields \
(h = 0) alone, and rows of attention have fields; shorten annealing_time instead
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name, reason in _REFUSED.items():
        if given.get(name):
            raise InputError(f"{name} is not taken: {reason}", argument=name)
    Timing.times_of({name: value for name, value in given.items() if name in CALL_TIMES})
    for name in ("programming_thermalization", "readout_thermalization"):
        _check_range(properties, name, given.get(name))
    _check_reverse(given)
    if given.get("auto_scale") and "flux_biases" in given:
        raise InputError(
            "flux_biases exclude auto_scale: leave it out, every row is scaled to the ranges",
            argument="auto_scale",
        )
    for name in _OF_QUBITS:
        if name in given:
            _check_list(name, given[name], variables, properties.get("num_qubits"))


def check_parts(parts: Iterable[tuple[Physical, Longs]], options: Mapping[str, Any]) -> None:
    """Check that what is given by variables, or over qubits, serves every submission.

    Args:
        parts: chains and variables of each, as `on_qubits` takes them.
        options: checked by `check_solver_options`.

    Raises:
        InputError: a state misses a variable or a qubit; names it.
    """
    given = {name: options[name] for name in _OF_QUBITS if options.get(name) is not None}
    for physical, variables in parts if given else ():
        on_qubits(physical, variables, given)


def on_qubits(
    physical: Physical,
    variables: Longs,
    options: Mapping[str, Any],
    sign: Array | None = None,
    properties: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return solver parameters as a machine takes them: lists over all of its qubits.

    A state and flux biases of variables belong to the model, and turn with its gauge. A list over
    qubits belongs to the machine and goes out as it is, apart from a state, which is the model's
    however it is given.

    Args:
        physical: the submission's chains.
        variables: int64, shape (n,), the program variable behind each chain.
        options: checked by `check_solver_options`.
        sign: int8, shape (n,), the gauge of each chain; None without.
        properties: of the machine, as it states them; the target's when None.

    Raises:
        InputError: a state misses a variable, or an offset is out of its qubit's range; names it.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
        >>> part = compiled.submissions[0]
        >>> state = {0: 1, 1: 0, 2: 0}
        >>> sent = on_qubits(part.physical, part.variables, {"initial_state": state})
        >>> qubit = part.embedding[0][0]
        >>> len(sent["initial_state"]), sent["initial_state"][qubit]
        (160, 1)
    """
    sent, size = {k: v for k, v in options.items() if v is not None}, qubits_of(physical.target)
    lengths = np.diff(physical.chain_ptr)
    qubit = physical.target.qubits[physical.chain_qubit]
    turn = np.ones(len(qubit)) if sign is None else np.repeat(np.asarray(sign, float), lengths)
    for name in _OF_QUBITS:
        if name not in sent:
            continue
        value = sent[name]
        if name == "initial_state":
            sent[name] = _state(value, variables, size, qubit, lengths, turn)
        elif isinstance(value, Mapping):
            column = np.zeros(size)
            of_variables = np.array([float(value.get(v, 0.0)) for v in variables.tolist()])
            column[qubit] = np.repeat(of_variables, lengths)
            if name == "flux_biases":
                column[qubit] *= turn
            sent[name] = column.tolist()
        else:
            sent[name] = [float(entry) for entry in value]
    if "anneal_offsets" in sent:
        stated = physical.target.properties if properties is None else properties
        _check_offsets(stated.get("anneal_offset_ranges"), sent["anneal_offsets"])
    return sent


def _state(
    value: Any, variables: Longs, size: int, qubit: Longs, lengths: Longs, turn: Floats
) -> list[int]:
    """Return a state over all qubits: spins, and 3 for those that are idle.

    Raises:
        InputError: it misses a variable, or a qubit in use.
    """
    if isinstance(value, Mapping):
        missing = next((v for v in variables.tolist() if v not in value), None)
        if missing is not None:
            raise InputError(f"initial_state lacks variable {missing}", argument="initial_state")
        given = np.repeat([float(value[v]) for v in variables.tolist()], lengths)
    else:
        given = np.asarray(list(value), np.float64)[qubit]
        if (given == _NO_STATE).any():
            first = int(qubit[int(np.argmax(given == _NO_STATE))])
            raise InputError(
                f"initial_state holds 3 for qubit {first}, which is in use",
                argument="initial_state",
                qubit=first,
            )
    state = np.full(size, _NO_STATE)
    state[qubit] = np.where(given > 0, turn, -turn)
    return state.astype(int).tolist()


def qubits_of(target: Target) -> int:
    """Return how many entries a machine's lists over qubits have, those of missing ones included.

    Example:
        >>> qubits_of(Target.zephyr(2, missing_qubits=0.1))
        160
    """
    stated = target.properties.get("num_qubits")
    if stated is not None:
        return whole("num_qubits", stated, least=1)
    if target.is_grid:
        return Lattice.of(target.topology, target.shape).qubits
    return int(target.qubits.max(initial=-1)) + 1


def _check_reverse(options: Mapping[str, Any]) -> None:
    """A state belongs to an anneal that starts from one."""
    schedule, state = options.get("anneal_schedule"), options.get("initial_state")
    reverse = schedule is not None and is_reverse(anneal_schedule(schedule))
    if reverse and state is None:
        raise InputError(
            "anneal_schedule starts at the anneal fraction 1: a reverse anneal needs initial_state",
            argument="initial_state",
        )
    if state is not None and not reverse:
        raise InputError(
            "initial_state is that of a reverse anneal: give an anneal_schedule that starts at the "
            "anneal fraction 1",
            argument="anneal_schedule",
        )


def _check_range(properties: Mapping[str, Any], name: str, value: object) -> None:
    """Compare a time with the range that the machine states, if it does."""
    stated = properties.get(f"{name}_range")
    if value is None or stated is None:
        return
    low, high = stated
    if not low <= number(name, value) <= high:
        raise InputError(
            f"{name} must be from {low:g} to {high:g} microseconds, not {shown(value)}",
            argument=name,
        )


def _check_list(name: str, value: object, variables: int | None, size: int | None) -> None:
    """Check what is given by variables, or for all qubits of the machine."""
    if isinstance(value, Mapping):
        for variable in value:
            number_of = whole(f"a variable of {name}", variable)
            if variables is not None and number_of >= variables:
                raise InputError(
                    f"{name} names variable {variable}, and the program has {variables}",
                    argument=name,
                )
        entries: Iterable[object] = value.values()
    elif isinstance(value, Iterable) and not isinstance(value, str):
        entries = list(value)
        if size is not None and len(entries) != size:
            raise InputError(
                f"{name} must hold one number for each of {size} qubits, or be a dict by variable, "
                f"not {len(entries)} numbers",
                argument=name,
            )
    else:
        raise InputError(
            f"{name} must be a dict by variable or a list over qubits, not {shown(value)}",
            argument=name,
        )
    for entry in entries:
        real = number(name, entry)
        if name == "initial_state" and real not in (-1.0, 0.0, 1.0, 3.0):
            raise InputError(
                f"{name} must hold bits or spins, and 3 for qubits not in use, not {real:g}",
                argument=name,
            )


def _check_offsets(ranges: Any, offsets: list[float]) -> None:
    """Compare anneal offsets with the ranges of their qubits, where the machine states them."""
    if ranges is None:
        return
    low, high = np.asarray(ranges, np.float64).T
    bad = np.flatnonzero((offsets < low) | (offsets > high))
    if len(bad):
        q = int(bad[0])
        raise InputError(
            f"the anneal offset {offsets[q]:g} of qubit {q} is beyond [{low[q]:g}, {high[q]:g}]",
            argument="anneal_offsets",
            qubit=q,
        )
