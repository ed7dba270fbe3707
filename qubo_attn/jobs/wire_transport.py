"""The way to a D-Wave solver: wire data out, matrices back, by the client's public names alone.

Models, sample sets and the client's loops over answers are left out. What is sent are the bytes
that the client would send (``encode_problem_as_qp``), and what comes back is read as the client
reads it (``decode_qp_numpy``), without its matrix over all of the machine's qubits.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

from qubo_attn.backend.solver_options import on_qubits
from qubo_attn.backend.wire import SolverOrder, physical_wire
from qubo_attn.errors import TargetError
from qubo_attn.jobs.client_errors import PASSING, ask
from qubo_attn.jobs.transport import (
    CANCELLED,
    DONE,
    FAILED,
    Answer,
    Receipt,
    Refused,
    Request,
    Retryable,
    Status,
    Stopped,
    TransportError,
)
from qubo_attn.jobs.wire_answer import read_answer
from qubo_attn.machine.solver import target_of
from qubo_attn.machine.target import Target

# Problems of one POST, as the client sends them itself.
BATCH = 20
# Seconds that a request for states is held by the service.
HOLD = 2
# Problems whose states one request asks for, and problems that one list holds.
_MOST = 1000
_STATES = {"COMPLETED": DONE, "FAILED": FAILED, "CANCELLED": CANCELLED}

Found = TypeVar("Found")


def takes_wires(sampler: object) -> bool:
    """Return whether a sampler is a D-Wave solver's own: it has a client, and a working graph.

    Composites change models on their way, and stand-ins have no client.

    Example:
        >>> import dimod
        >>> takes_wires(dimod.ExactSolver())
        False
    """
    solver, client = getattr(sampler, "solver", None), getattr(sampler, "client", None)
    properties = getattr(solver, "properties", None)
    graph = isinstance(properties, Mapping) and {"qubits", "couplers"} <= set(properties)
    return graph and hasattr(solver, "identity") and hasattr(client, "config")


class WireTransport:
    """The way to one D-Wave solver; see `qubo_attn.jobs.transport.Transport`.

    Args:
        sampler: a ``DWaveSampler``; its client and its solver are used, and neither is changed.

    Attributes:
        name: of the solver.
        graph_id: of the working graph as last seen.
        embedded: True: models over qubits.
        exact: True: the service states the energies of what it was sent.
        batch: most problems of one POST.
    """

    embedded = True
    exact = True
    batch = BATCH

    def __init__(self, sampler: Any) -> None:
        from dwave.cloud import api

        self._client, self._solver = sampler.client, sampler.solver
        # An engine tries again, and packing takes more time than sending.
        self._problems = api.Problems.from_config(
            sampler.client.config,
            retry={"total": 0},
            compress_qpu_problem_data=False,
        )
        self._order: SolverOrder | None = None
        self._queued: dict[str, float] = {}

    @property
    def name(self) -> str:
        """Name of the solver."""
        return str(self._solver.identity.name)

    @property
    def graph_id(self) -> str:
        """Id of the working graph as last seen; empty where the solver states none."""
        return str(getattr(self._solver, "graph_id", None) or "")

    # -- out -----------------------------------------------------------------------------------

    def send(self, requests: Sequence[Request]) -> list[Receipt | TransportError]:
        """Send calls; return in their order what came of each.

        Raises:
            InputError: a state, an offset or a flux bias does not fit; nothing is sent.
            TransportError: of all of them alike.
        """
        outcomes: dict[int, Receipt | TransportError] = {}
        jobs, sent = [], []
        for place, request in enumerate(requests):
            try:
                jobs.append(self._job(request))
                sent.append(place)
            except TargetError as error:
                outcomes[place] = Refused(str(error), graph=True)
        states = self._ask(lambda: self._problems.submit_problems(jobs), posts=True) if jobs else []
        if len(states) != len(jobs):
            raise Retryable(
                f"{self.name} answered {len(states)} states to {len(jobs)} problems", unclear=True
            )
        wrong = {place: s for place, s in zip(sent, states, strict=True) if not hasattr(s, "id")}
        outcomes |= {
            place: Receipt(state.id, _graph_of(state) or self.graph_id)
            for place, state in zip(sent, states, strict=True)
            if place not in wrong
        }
        outcomes |= self._refusals(wrong)
        return [outcomes[place] for place in range(len(requests))]

    def _job(self, request: Request) -> Any:
        """Return a call as the client sends it.

        Raises:
            TargetError: a qubit or coupler in use is none of the solver's.
            InputError: a state, an offset or a flux bias does not fit.
        """
        from dwave.cloud.api import models

        physical, part = request.physical, request.submission
        options = {"num_reads": request.reads, **request.parameters}
        properties = self._solver.properties
        if self._order is None or self._order.target is not physical.target:
            self._order = SolverOrder.of(physical.target, self._solver)
        return models.ProblemJob(
            data=physical_wire(physical, request.offset, self._order),
            params=on_qubits(physical, part.source, options, request.sign, properties),
            solver=self._solver.identity,
            type="ising",
            label=request.label,
        )

    def _refusals(self, wrong: Mapping[int, Any]) -> dict[int, TransportError]:
        """Return what to make of problems that were not taken: the solver of today tells."""
        outcomes: dict[int, TransportError] = {}
        changed: bool | None = None
        for place, error in wrong.items():
            code, text = int(error.error_code), f"{self.name}: {error.error_msg}"
            if code in PASSING or code >= 500:
                outcomes[place] = Retryable(text)
                continue
            if changed is None:
                try:
                    today = self._today()
                except TransportError as trouble:
                    return outcomes | {p: trouble for p in wrong if p not in outcomes}
                changed = str(getattr(today, "graph_id", None) or "") != self.graph_id
            outcomes[place] = Refused(text, graph=changed)
        return outcomes

    # -- back ----------------------------------------------------------------------------------

    def poll(self, ids: Sequence[str], wait: float) -> dict[str, Status]:
        """Return how problems stand, once one has ended or a while has passed.

        Args:
            ids: of the problems.
            wait: seconds that the service may hold the request, two at most; 0 for none.

        Raises:
            TransportError: the service does not say.
        """
        hold = min(math.ceil(wait), HOLD) or None
        states: dict[str, Status] = {}
        for start in range(0, len(ids), _MOST):
            states |= self._poll(list(ids[start : start + _MOST]), hold)
        return states

    def _poll(self, ids: list[str], hold: int | None) -> dict[str, Status]:
        from dwave.cloud.api.exceptions import ResourceNotFoundError

        try:
            listed = self._ask(
                lambda: self._problems.get_problem_statuses(ids, timeout=hold),
                besides=ResourceNotFoundError,
            )
        except ResourceNotFoundError:
            if len(ids) == 1:
                return {ids[0]: Status(FAILED, f"{self.name} does not know this problem")}
            return {id: status for each in ids for id, status in self._poll([each], None).items()}
        states = {state.id: self._state(state) for state in listed}
        return {id: states.get(id, Status()) for id in ids}

    def _state(self, state: Any) -> Status:
        if state.solved_on is not None:
            self._queued[state.id] = (state.solved_on - state.submitted_on).total_seconds()
        reason = str(getattr(state, "error_message", None) or "")
        return Status(_STATES.get(str(state.status.value), Status().state), reason)

    def fetch(self, id: str) -> Answer:
        """Return the answer of a problem that is done.

        Raises:
            Retryable: it cannot be fetched now.
            Unreadable: what came is no answer.
            Stopped: nobody may fetch it.
        """
        session = self._problems.session
        session.set_accept(
            media_type="application/vnd.dwave.sapi.problem-answer+json",
            accept_version=">=2.1,<4",
            ask_version="3.0.0",
        )
        try:
            content = self._ask(lambda: json.loads(session.get(f"{id}/answer").content))
        finally:
            session.unset_accept()
        answer = read_answer(id, content)
        queue = self._queued.pop(id, None)
        if queue is not None:
            queue = max(queue - answer.timing.get("qpu_access_time", 0.0) * 1e-6, 0.0)
        return dataclasses.replace(answer, queue=queue, solver=self.name)

    # -- besides -------------------------------------------------------------------------------

    def cancel(self, ids: Sequence[str]) -> None:
        """Cancel problems; those that have ended stay as they are.

        Raises:
            TransportError: the service could not be told.
        """
        for start in range(0, len(ids), _MOST):
            part = list(ids[start : start + _MOST])
            self._ask(lambda part=part: self._problems.cancel_problems(part))  # type: ignore[misc]

    def find(self, run: str) -> dict[str, str]:
        """Return label and id of every problem that was taken with a label of this run.

        Raises:
            TransportError: the service does not say.
        """
        # No page says whether a service lists labels that hold a text, or that are it: where the
        # first finds none, the latest problems are looked through.
        for label in (run, None):
            listed = self._ask(
                lambda label=label: self._problems.list_problems(  # type: ignore[misc]
                    label=label, max_results=_MOST
                )
            )
            ids = {p.label: p.id for p in listed if (p.label or "").startswith(f"{run}/")}
            if ids:
                return ids
        return {}

    def refresh(self) -> Target:
        """Return the machine as it is at this moment, past the client's cache of definitions.

        Raises:
            Stopped: it is offline, or there is none of its name.
            TransportError: the service does not say.
        """
        self._solver, self._order = self._today(), None
        return target_of(self._solver)

    def versions(self) -> dict[str, str]:
        """Return what a journal keeps of the other side."""
        return {
            "client": f"dwave-cloud-client {version('dwave-cloud-client')}",
            "solver": self.name,
            "graph_id": self.graph_id,
        }

    def _today(self) -> Any:
        """Return the solver by a definition that is fetched now."""
        from dwave.cloud.exceptions import SolverNotFoundError

        try:
            return self._ask(
                lambda: self._client.get_solver(name=self.name, refresh=True),
                besides=SolverNotFoundError,
            )
        except SolverNotFoundError as error:
            raise Stopped(f"{self.name} is offline, or no solver has its name: {error}") from error

    def _ask(self, what: Callable[[], Found], **how: Any) -> Found:
        return ask(self.name, what, **how)


def _graph_of(state: Any) -> str:
    found = getattr(state.solver, "version", None)
    return str(getattr(found, "graph_id", None) or "")
