"""A D-Wave client's solver as a machine: its definition of this moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from qubo_attn.errors import TargetError
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


def fetch_target(profile: str | None = None, solver: str | None = None) -> Target:
    """Return a machine by its definition of this moment, past the client's cache of definitions.

    Args:
        profile: of the client's configuration file; its default one when None.
        solver: name of the solver; that of the profile when None, and without one the largest that
            is online.

    Raises:
        TargetError: the client has no configuration, or the service no such solver.
    """
    from dwave.cloud import Client
    from dwave.cloud.config.exceptions import ConfigFileError
    from dwave.cloud.exceptions import SolverError
    from requests.exceptions import RequestException

    try:
        with Client.from_config(profile=profile, client="qpu") as client:
            chosen = {} if solver is None else {"name": solver}
            largest = "-num_active_qubits"
            return target_of(client.get_solver(refresh=True, order_by=largest, **chosen))
    except (ConfigFileError, RequestException, SolverError, OSError, ValueError) as error:
        where = "the default profile" if profile is None else f"profile {profile!r}"
        what = "a solver" if solver is None else solver
        reason = str(error) or type(error).__name__
        raise TargetError(
            f"{what} cannot be fetched by {where}: {reason}", profile=profile, solver=solver
        ) from error
