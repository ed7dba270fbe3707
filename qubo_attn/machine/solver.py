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
        raise TargetError(
            unreached("fetched", profile, solver, error), profile=profile, solver=solver
        ) from error


def unreached(done: str, profile: str | None, solver: str | None, error: Exception) -> str:
    """Return a message that a solver is not to be had, and what helps without a token.

    Example:
        >>> print(unreached("fetched", None, None, ValueError("no token")).split(":")[0])
        a solver cannot be fetched by the default profile
    """
    where = "the default profile" if profile is None else f"profile {profile!r}"
    reason = str(error) or type(error).__name__
    if "token" in reason:
        reason += "; `dwave config create` or the variable DWAVE_API_TOKEN sets one"
    return f"{solver or 'a solver'} cannot be {done} by {where}: {reason}"
