"""A D-Wave client's solver as a machine: its definition of this moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from qubo_attn.machine.target import Target


def target_of(solver: Any) -> Target:
    """Return the machine of a client's solver.

    Args:
        solver: what ``client.get_solver`` returns.

    Raises:
        TargetError: it lists no working graph.
    """
    sampler = SimpleNamespace(
        solver=solver,
        properties=solver.properties,
        nodelist=solver.properties.get("qubits"),
        edgelist=solver.properties.get("couplers"),
    )
    return Target.from_sampler(sampler)
