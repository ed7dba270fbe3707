"""Answers of D-Wave solvers, read from their bytes.

Energies are little-endian doubles, numbers of qubits and occurrences whole numbers of four bytes,
reads one bit for each qubit in use, each read from a new byte on; all in base64. The client's
``decode_qp_numpy`` reads the same, into a matrix over all qubits of the machine.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Array
from qubo_attn.jobs.transport import Answer, Unreadable


def read_answer(id: str, content: Any) -> Answer:
    """Return what an answer says.

    Args:
        id: of the problem.
        content: the service's JSON, ``{"answer": {...}}``.

    Raises:
        Unreadable: it does not read; names the problem.

    Example:
        >>> answer = {"active_variables": "BwAAAA==", "energies": "AAAAAAAA8D8="}
        >>> read = read_answer("7f", {"answer": answer | {"solutions": "gA=="}})
        >>> read.columns, read.reads, read.energies
        (array([7]), array([[1]], dtype=int8), array([1.]))
    """
    try:
        return _read(content["answer"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"the answer of problem {id} does not read: {error!r}") from error


def _read(answer: Mapping[str, Any]) -> Answer:
    """Return what an answer says.

    Raises:
        ValueError: its columns are of different lengths.
    """
    qubits = _column(answer["active_variables"], "<i4").astype(np.int64)
    energies = _column(answer["energies"], "<f8") + float(answer.get("offset") or 0.0)
    rows, width = len(energies), -(-len(qubits) // 8)
    packed, counts = _column(answer["solutions"], "u1"), answer.get("num_occurrences")
    # Reads as they came are not counted.
    occurrences = np.ones(rows, np.int64) if counts is None else _column(counts, "<i4")
    if len(packed) != rows * width or len(occurrences) != rows:
        raise ValueError(
            f"{rows} energies of {len(qubits)} qubits, {len(packed)} bytes of reads, "
            f"{len(occurrences)} numbers of occurrences"
        )
    bits = np.unpackbits(packed.reshape(rows, width), axis=1, count=len(qubits))
    reads = bits.view(np.int8)
    reads *= 2
    reads -= 1
    stated = answer.get("timing") or {}
    timing = {str(k): float(v) for k, v in stated.items() if isinstance(v, Real)}
    return Answer(reads, qubits, energies, occurrences.astype(np.int64), timing=timing)


def _column(text: str, kind: str) -> Array:
    return np.frombuffer(base64.b64decode(text), kind)
