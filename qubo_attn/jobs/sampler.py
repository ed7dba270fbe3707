"""The way to any dimod sampler: a machine, a composite around one, or a solver of logical models.

Samplers that compute while they are called are called once for each `send`; those whose sample sets
arrive later (a cloud client's) have many calls under way.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from qubo_attn.backend.answers import check_answer, check_reads
from qubo_attn.backend.bqm import physical_model
from qubo_attn.backend.sampler_options import options_of
from qubo_attn.backend.solver_options import on_qubits
from qubo_attn.errors import DecodeError, SubmissionError
from qubo_attn.jobs.transport import (
    DONE,
    FAILED,
    WAITING,
    Answer,
    Receipt,
    Refused,
    Request,
    Retryable,
    Status,
    Stopped,
    TransportError,
)
from qubo_attn.machine.sampler import machine_behind
from qubo_attn.machine.target import Target

if TYPE_CHECKING:
    import dimod

# Errors of dwave-cloud-client, by name: it is not loaded to tell.
_STOPPED = ("SolverAuthenticationError", "SolverOfflineError", "SolverNotFoundError")
_GRAPH = ("dead-qubit", "dead-coupler")


class SamplerTransport:
    """The way to a dimod sampler; see `qubo_attn.jobs.transport.Transport`.

    What a sampler raises passes through, apart from errors of the network, of the cloud client, and
    of a machine that lost a qubit or coupler. An answer that is none is a `DecodeError`: the
    sampler would answer the same again.

    Args:
        sampler: any dimod sampler.
        tell_reads: whether one that does not list its keywords is told the number of reads.
    """

    exact = False
    batch = 1

    def __init__(self, sampler: dimod.Sampler, *, tell_reads: bool = True) -> None:
        self.sampler = sampler
        self.machine = machine_behind(sampler)
        self.name = type(sampler if self.machine is None else self.machine).__name__
        self.embedded = self.machine is not None
        self.graph_id = ""
        known = options_of(sampler)
        self._known = known or ()
        self._tells = "num_reads" in self._known if known is not None else tell_reads
        self._answers: dict[str, tuple[Request, Any, Mapping[str, object]]] = {}
        self._count = 0

    def send(self, requests: Sequence[Request]) -> list[Receipt | TransportError]:
        """Call the sampler once for each request."""
        return [self._call(request) for request in requests]

    def poll(self, ids: Sequence[str], wait: float) -> dict[str, Status]:
        """Return which sample sets are there; none survives its process."""
        return {id: self._status(id) for id in ids}

    def fetch(self, id: str) -> Answer:
        """Return what the sampler answered.

        Raises:
            DecodeError: it is no answer.
            Retryable, Stopped: the sampler's client says so.
        """
        request, sampleset, keywords = self._answers[id]
        index = request.submission.index
        try:
            check_answer(index, sampleset)
            check_reads(index, self.sampler, sampleset, keywords)
        except Exception as error:
            if failure := self._failure(error):
                raise failure from error
            raise
        answer = _answer_of(sampleset, request, self.embedded, self.name)
        del self._answers[id]
        return answer

    def cancel(self, ids: Sequence[str]) -> None:
        """Forget sample sets that have not come; a client's are cancelled where it can."""
        for id in ids:
            _, sampleset, _ = self._answers.pop(id, (None, None, None))
            cancel = getattr(getattr(sampleset, "_future", None), "cancel", None)
            if callable(cancel):
                cancel()

    def find(self, run: str) -> dict[str, str]:
        """Return nothing: what an earlier process called is lost with it."""
        return {}

    def refresh(self) -> Target | None:
        """Return the machine as it states itself now."""
        if self.machine is None:
            return None
        target = Target.from_sampler(self.machine)
        self.graph_id = str(target.properties.get("graph_id") or target.hash[:16])
        return target

    def versions(self) -> dict[str, str]:
        """Return the sampler's class, its package, and the machine's name."""
        package = type(self.sampler).__module__.partition(".")[0]
        facts = {"sampler": self.name, "package": package, "graph_id": self.graph_id}
        with contextlib.suppress(PackageNotFoundError):
            facts["package_version"] = version({"dwave": "dwave-system"}.get(package, package))
        if self.machine is not None:
            facts["solver"] = str(getattr(self.machine, "properties", {}).get("chip_id", ""))
        return facts

    def _call(self, request: Request) -> Receipt | TransportError:
        model = (
            physical_model(request.physical, request.offset)
            if self.embedded
            else request.submission.bqm
        )
        keywords = dict(request.parameters)
        if self.machine is not None:
            part, properties = request.submission, getattr(self.machine, "properties", None)
            keywords = on_qubits(request.physical, part.source, keywords, request.sign, properties)
        if self._tells:
            keywords["num_reads"] = request.reads
        if request.seed is not None and "seed" in self._known:
            keywords.setdefault("seed", request.seed)
        if self.embedded and "programming_seed" in self._known:
            # A stand-in is told that each call programs the machine anew.
            keywords.setdefault("programming_seed", request.programming)
        try:
            sampleset = self.sampler.sample(model, **keywords)
        except Exception as error:
            if failure := self._failure(error):
                return failure
            raise
        self._count += 1
        id = f"{request.label}#{self._count}"
        self._answers[id] = request, sampleset, keywords
        return Receipt(id, self.graph_id)

    def _status(self, id: str) -> Status:
        if id not in self._answers:
            return Status(FAILED, "the process that called the sampler is gone")
        done = getattr(self._answers[id][1], "done", None)
        return Status(DONE if done is None or done() else WAITING)

    def _failure(self, error: Exception) -> TransportError | None:
        """Return the error that the engine deals with; None where it is the caller's."""
        if isinstance(error, SubmissionError):
            dead = error.facts.get("code") in _GRAPH
            return Refused(str(error), graph=True) if dead else None
        cloud = sys.modules.get("dwave.cloud.exceptions")
        name = type(error).__name__
        if cloud is not None and isinstance(error, getattr(cloud, name, ())):
            return Stopped(str(error)) if name in _STOPPED else Retryable(f"{name}: {error}")
        # Errors of the network are errors of the system; those of files carry a name.
        if isinstance(error, OSError) and error.filename is None:
            return Retryable(f"{name}: {error}")
        return None


def _answer_of(sampleset: dimod.SampleSet, request: Request, embedded: bool, solver: str) -> Answer:
    """Return a sample set as arrays.

    Raises:
        DecodeError: a variable or qubit is missing; names the submission.
    """
    part, record = request.submission, sampleset.record
    reads = np.asarray(record.sample)
    if sampleset.vartype.name == "BINARY":
        reads = 2 * reads.astype(np.int8) - 1
    place = {label: column for column, label in enumerate(sampleset.variables)}
    if embedded:
        assert part.physical is not None
        target = part.physical.target
        numbers = np.unique(part.physical.chain_qubit)
        labels: list[Any] = [target.qubit_name(q) for q in numbers.tolist()]
        columns, what = target.qubits[numbers], "qubit"
    else:
        labels, columns, what = part.variables.tolist(), part.variables, "variable"
    missing = next((label for label in labels if label not in place), None)
    if missing is not None:
        raise DecodeError(
            f"submission {part.index}: the samples lack {what} {missing!r}",
            submission=part.index,
            **{what: missing},
        )
    broken = None
    if "chain_break_fraction" in record.dtype.names:
        broken = np.asarray(record.chain_break_fraction, np.float64)
    timing = sampleset.info.get("timing")
    facts = timing if isinstance(timing, Mapping) else {}
    return Answer(
        np.ascontiguousarray(reads[:, [place[label] for label in labels]], np.int8),
        np.asarray(columns, np.int64),
        np.asarray(record.energy, np.float64),
        np.asarray(record.num_occurrences, np.int64),
        broken,
        {
            str(name): float(value)
            for name, value in facts.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        },
        None,
        solver,
    )
