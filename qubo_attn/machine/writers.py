"""Machines written as JSON, in the form that `qubo_attn.machine.readers.read_json` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qubo_attn.common.files import path_of, write_file, writing
from qubo_attn.errors import TargetError
from qubo_attn.machine.readers import Machine
from qubo_attn.machine.topology import GRIDS, ideal_graph


class Written:
    """What writes a machine to a file."""

    def to_json(self, file: str | Path) -> None:
        """Write the machine to a file that `Target.from_json` reads.

        Args:
            file: path of the file; one that is there is replaced as a whole.

        Raises:
            InputError: the file cannot be written.
            TargetError: a property, or the name of a qubit, is nothing that JSON holds.

        Example:
            >>> import tempfile
            >>> from qubo_attn import Target
            >>> target = Target.zephyr(2, missing_qubits=0.1, seed=1)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     target.to_json(f"{folder}/chip.json")
            ...     Target.from_json(f"{folder}/chip.json").hash == target.hash
            True
        """
        path = path_of("file", file)
        content = content_of(Machine(*(getattr(self, name) for name in Machine._fields)))
        text = json.dumps(content, allow_nan=False, indent=1)
        with writing(path):
            write_file(path, (text + "\n").encode())


def content_of(machine: Machine) -> dict[str, Any]:
    """Return a machine as plain data.

    A lattice is written by what it lacks, any other graph by its qubits and couplers.

    Raises:
        TargetError: a property, or the name of a qubit, is nothing that JSON holds.

    Example:
        >>> from qubo_attn.machine.readers import ideal
        >>> content_of(ideal("zephyr", (2, 4)))["missing_qubits"]
        []
    """
    content: dict[str, Any] = {
        "solver": machine.label,
        "topology": {"type": machine.topology, "shape": list(machine.shape)},
    }
    pairs = machine.qubits[machine.couplers]
    if machine.topology in GRIDS:
        qubits, couplers = ideal_graph(machine.topology, machine.shape)
        live = np.isin(qubits, machine.qubits)
        between = qubits[couplers[live[couplers].all(axis=1)]]
        size = int(qubits.max(initial=0)) + 1
        lost = ~np.isin(between @ [size, 1], pairs @ [size, 1])
        content["missing_qubits"] = qubits[~live].tolist()
        content["missing_couplers"] = between[lost].tolist()
    else:
        content |= {"qubits": machine.qubits.tolist(), "couplers": pairs.tolist()}
        if machine.names is not None:
            content["names"] = [_name(name) for name in machine.names]
    content["properties"] = {
        name: _plain(name, value) for name, value in machine.properties.items()
    }
    return content


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TargetError(f"qubit {name!r} has a name that is no text, and no file holds it")
    return name


def _plain(name: str, value: object) -> Any:
    """Return a property as JSON holds it.

    Raises:
        TargetError: it holds something else than texts, numbers, lists and dicts of them.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and np.isfinite(value):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(name, each) for key, each in value.items()}
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, bytes):
        return [_plain(name, each) for each in value]
    raise TargetError(f"property {name} holds {value!r}, and no file holds it", property=name)
