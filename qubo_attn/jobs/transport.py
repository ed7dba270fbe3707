"""Transports: how calls reach a sampler and answers come back, whatever lies between.

An engine (`qubo_attn.jobs.engine`) decides what is sent and when, keeps the journal and tries
again; a transport does one thing at a time and says what came of it. It never waits longer than a
request takes, never tries again, keeps nothing between processes, and raises nothing but the four
kinds of `TransportError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from qubo_attn.backend.model import Physical
from qubo_attn.backend.submission import Submission
from qubo_attn.common.arrays import Array, Floats, Longs
from qubo_attn.errors import QuboAttnError
from qubo_attn.machine.target import Target

# States of a problem.
WAITING, DONE, FAILED, CANCELLED = "waiting", "done", "failed", "cancelled"


class TransportError(QuboAttnError):
    """Something that a transport could not do; one of the four kinds below.

    Example:
        >>> str(Refused("too many reads"))
        'too many reads'
    """


class Retryable(TransportError):
    """It may work in a while: overload, a fault of the service, a lost connection.

    Attributes:
        retry_after: seconds that the service asks to wait; None where it says nothing.
        unclear: whether calls may have been taken although no receipt came; the engine then looks
            for their labels (`Transport.find`) before it sends them again.

    Example:
        >>> Retryable("busy", retry_after=2.0).unclear
        False
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, unclear: bool = False
    ) -> None:
        super().__init__(message, retry_after=retry_after, unclear=unclear)
        self.retry_after = retry_after
        self.unclear = unclear


class Unreadable(TransportError):
    """An answer that came and is none: it does not decode, or ends too early.

    The engine fetches it once more, and sends the call anew where that does not help.

    Example:
        >>> str(Unreadable("the answer is no JSON"))
        'the answer is no JSON'
    """


class Refused(TransportError):
    """The machine turns this call down, and would do so again: ranges, reads, run time, options.

    Attributes:
        graph: whether it may be for a working graph that has changed; the engine then asks for the
            graph of today (`Transport.refresh`).

    Example:
        >>> Refused("qubit 7 does not work", graph=True).graph
        True
    """

    def __init__(self, message: str, *, graph: bool = False) -> None:
        super().__init__(message, graph=graph)
        self.graph = graph


class Stopped(TransportError):
    """Nothing works until somebody acts: a token that is refused, a solver that is offline.

    Example:
        >>> str(Stopped("the token is not valid"))
        'the token is not valid'
    """


@dataclass(frozen=True, eq=False)
class Request:
    """One call to be sent.

    Attributes:
        call: its number in the job.
        label: unique among all requests of all jobs: the run's name, a slash, the call, and from
            the second try on another slash and the try.
        submission: what is sampled; its `rows` go into error messages.
        reads: how many.
        parameters: further keywords of the solver, as the caller gave them.
        sign: int8, shape (variables,), +1 or -1: the gauge of each chain; None without gauges.
        seed: of a sampler that takes one; None where the caller gave none.
        programming: which call of its submission it is, from 0.
    """

    call: int
    label: str
    submission: Submission
    reads: int
    parameters: Mapping[str, object] = field(default_factory=dict)
    sign: Array | None = None
    seed: int | None = None
    programming: int = 0

    @cached_property
    def physical(self) -> Physical:
        """What a machine is programmed with, `Submission.programmed`; the constant is `offset`."""
        return self.submission.programmed(self.sign)

    @property
    def offset(self) -> float:
        """The constant of the physical model."""
        return self.submission.embedded_offset


@dataclass(frozen=True)
class Receipt:
    """A call that was taken.

    Attributes:
        id: the problem's, by which it is polled, fetched and cancelled.
        graph_id: of the working graph that it was sent to; empty where there is none.
    """

    id: str
    graph_id: str = ""


@dataclass(frozen=True)
class Status:
    """How a problem stands.

    Attributes:
        state: ``"waiting"`` (in the queue or running), ``"done"`` (an answer can be fetched),
            ``"failed"`` or ``"cancelled"``.
        reason: what the service says of a failure.
    """

    state: str = WAITING
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Answer:
    """The reads of one problem, as they came: neither turned back nor unembedded.

    Attributes:
        reads: int8, shape (m, columns), spins.
        columns: int64, shape (columns,): what each column is of. For a machine, numbers of qubits
            as in ``Target.qubits``; else ids of program variables.
        energies: float64, shape (m,), as the sampler states them.
        occurrences: int64, shape (m,).
        broken: float64, shape (m,), share of broken chains where the sampler unembeds itself;
            None where it does not say.
        timing: in microseconds, by the machine's own names, e.g. ``"qpu_access_time"``.
        queue: seconds between taken and solved, machine time excluded; None where not known.
        solver: name of what answered; empty where it has none.
    """

    reads: Array
    columns: Longs
    energies: Floats
    occurrences: Longs
    broken: Floats | None = None
    timing: Mapping[str, float] = field(default_factory=dict)
    queue: float | None = None
    solver: str = ""


class Transport(Protocol):
    """The way to one sampler.

    Attributes:
        name: how messages and the journal call the sampler.
        graph_id: of the working graph as last seen; empty where the sampler has none.
        embedded: whether it takes physical models, of which `Request.physical` is sent, or logical
            ones, `Request.submission`.
        exact: whether an answer's energies are those of the model that was sent, with or without
            its constant; they are then compared with it.
        batch: most calls of one `send`; 1 for a sampler that computes while it is called.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  # see above, as for the others

    @property
    def graph_id(self) -> str: ...  # noqa: D102

    @property
    def embedded(self) -> bool: ...  # noqa: D102

    @property
    def exact(self) -> bool: ...  # noqa: D102

    @property
    def batch(self) -> int: ...  # noqa: D102

    def send(self, requests: Sequence[Request]) -> list[Receipt | TransportError]:
        """Send calls, at most `batch`; return in their order what came of each.

        Raises:
            TransportError: of all of them alike.
        """

    def poll(self, ids: Sequence[str], wait: float) -> dict[str, Status]:
        """Return how problems stand; one that is not known any more has failed.

        Args:
            ids: of problems that were sent through this transport, or by an earlier process.
            wait: seconds that it may wait until something changes; 0 means it answers at once.

        Raises:
            TransportError: the service does not say.
        """

    def fetch(self, id: str) -> Answer:
        """Return the answer of a problem that is done.

        Raises:
            Retryable: it cannot be fetched now.
            Unreadable: what came is no answer.
            Stopped: nobody may fetch it.
        """

    def cancel(self, ids: Sequence[str]) -> None:
        """Cancel problems; those that run already go on, and `poll` tells.

        Raises:
            TransportError: the service could not be told.
        """

    def find(self, run: str) -> dict[str, str]:
        """Return label and id of every problem that was taken with a label of this run.

        Args:
            run: the labels begin with it and a slash.

        Raises:
            TransportError: the service does not say.
        """

    def refresh(self) -> Target | None:
        """Return the machine as it is at this moment, past all caches; None where it is none.

        `graph_id` is that of today afterwards.

        Raises:
            TransportError: the service does not say.
        """

    def versions(self) -> dict[str, str]:
        """Return what a journal keeps of the other side: client, its version, solver, graph."""
