"""Samplers that commands name: a D-Wave solver, or a stand-in for the machine of a target."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qubo_attn.machine.target import Target

# Stand-ins for the machine of the target.
STAND_INS = ("simulated", "mock")
# Beside a job: which sampler its commands open.
FILE = "machine.json"


@dataclass(frozen=True)
class Source:
    """Where a sampler comes from.

    Attributes:
        machine: a stand-in of `STAND_INS`; None for a D-Wave solver.
        profile: of the D-Wave client's configuration file; its default one when None.
        solver: name of the solver; the profile's when None.
    """

    machine: str | None = None
    profile: str | None = None
    solver: str | None = None

    def write(self, folder: Path) -> None:
        """Keep it beside a job, which may not have begun.

        Raises:
            InputError: the folder cannot be written to.
        """
        from qubo_attn.common.files import write_file, writing

        with writing(folder / FILE):
            write_file(folder / FILE, (json.dumps(asdict(self)) + "\n").encode())

    @classmethod
    def read(cls, folder: Path, **given: str | None) -> Source:
        """Return what is kept beside a job, or what is given in its place.

        Raises:
            InputError: nothing is given, and nothing that reads is kept.
        """
        from qubo_attn.errors import InputError

        if any(given.values()):
            return cls(**given)
        try:
            return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{folder / FILE} does not say which sampler to use ({error}): give --profile, "
                "--solver or --machine",
                file=str(folder / FILE),
            ) from error


@contextlib.contextmanager
def opened(source: Source, target: Target | None) -> Iterator[Any]:
    """Open a sampler, and close it in the end.

    Args:
        source: where it comes from.
        target: the machine that a stand-in stands for.

    Raises:
        InputError: there is no such stand-in, or no machine to stand for.
        TargetError: the client has no configuration, or the service no such solver.
    """
    from qubo_attn.common.checks import one_of
    from qubo_attn.errors import InputError

    if source.machine is None:
        with _solver(source) as sampler:
            yield sampler
        return
    if one_of("machine", source.machine, STAND_INS) and (
        target is None or not target.is_structured
    ):
        raise InputError(
            f"--machine {source.machine} stands for the machine compiled for, and there is none"
        )
    if source.machine == "simulated":
        from qubo_attn.machine.simulated import SimulatedMachine

        yield SimulatedMachine(target)
        return
    yield _mock(target)


@contextlib.contextmanager
def _solver(source: Source) -> Iterator[Any]:
    from dwave.cloud.config.exceptions import ConfigFileError
    from dwave.cloud.exceptions import SolverError
    from dwave.system import DWaveSampler
    from requests.exceptions import RequestException

    from qubo_attn.errors import TargetError
    from qubo_attn.machine.solver import unreached

    chosen = {} if source.solver is None else {"solver": source.solver}
    try:
        sampler = DWaveSampler(profile=source.profile, **chosen)
    except (ConfigFileError, RequestException, SolverError, OSError, ValueError) as error:
        reason = unreached("reached", source.profile, source.solver, error)
        raise TargetError(f"{reason}; without an account, --machine simulated stands in") from error
    with sampler:
        yield sampler


def _mock(target: Any) -> Any:
    """Return the vendor's own stand-in, with the working graph of a target."""
    from dwave.system.testing import MockDWaveSampler

    return MockDWaveSampler(
        nodelist=target.qubits.tolist(),
        edgelist=target.qubits[target.couplers].tolist(),
        topology_type=target.topology,
        topology_shape=list(target.shape),
        parameter_warnings=False,
        exact_solver_cutoff=0,
        substitute_kwargs={"seed": 1},
    )
