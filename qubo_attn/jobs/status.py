"""How a job stands, in figures for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qubo_attn.decoding.machine_use import MachineUse
from qubo_attn.jobs.state import DONE, FAILED, NEW, REPLACED, SENDING, SENT, Progress


@dataclass(frozen=True)
class CallStatus:
    """How one call of a job stands.

    Attributes:
        number: of the call.
        submission: number of what it samples.
        reads: how many.
        state: ``"new"``, ``"sent"``, ``"done"``, ``"failed"`` or ``"replaced"`` (by calls for a
            working graph that has changed).
        id: of the problem; empty before it was taken.
        tries: how often it was sent.
        solver: name of the sampler; empty before it was sent.
        graph_id: of the working graph it was sent to.
        access: seconds of machine time; None where none is stated.
        reason: why it is new again, or failed.

    Example:
        >>> import qubo_attn as qa
        >>> machine = qa.SimulatedMachine("zephyr:2", seed=1)
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=machine)
        >>> job = compiled.submit(machine, reads=20)
        >>> [(call.number, call.reads, call.state) for call in job.status().calls]
        [(0, 20, 'new')]
    """

    number: int
    submission: int
    reads: int
    state: str
    id: str
    tries: int
    solver: str
    graph_id: str
    access: float | None
    reason: str

    @classmethod
    def of(cls, p: Progress) -> CallStatus:
        """Return the status of a call."""
        return cls(
            p.call.number,
            p.call.submission,
            p.call.reads,
            SENT if p.state == SENDING else p.state,
            p.id,
            p.tries,
            p.machine,
            p.graph,
            None if p.access is None else p.access / 1e6,
            p.reason,
        )


@dataclass(frozen=True)
class JobStatus:
    """How a job stands; made by `Job.status`.

    Attributes:
        new, sent, done, failed: how many calls stand so; of those on their way nobody knows yet
            whether they were taken, and they count as sent.
        access: seconds of machine time so far: stated where answers came, else estimated.
        machine_left: seconds of machine time that the other calls will take, as estimated; None
            where none is known.
        time_left: seconds until the last answer at the pace of this process so far; None before
            its first one.
        calls: every call.

    Example:
        >>> import qubo_attn as qa
        >>> machine = qa.SimulatedMachine("zephyr:2", seed=1)
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=machine)
        >>> job = compiled.submit(machine, reads=20)
        >>> job.status().new, len(list(job.as_completed())), job.status().done
        (1, 1, 1)
    """

    new: int
    sent: int
    done: int
    failed: int
    access: float
    machine_left: float | None
    time_left: float | None
    calls: tuple[CallStatus, ...]

    @classmethod
    def of(cls, progress: Sequence[Progress], pace: float | None) -> JobStatus:
        """Return the status of all calls.

        Args:
            progress: the calls.
            pace: seconds that an answer took so far; None before the first one.
        """
        calls = tuple(map(CallStatus.of, progress))
        states = [call.state for call in calls]
        new, sent, done, failed = (states.count(word) for word in (NEW, SENT, DONE, FAILED))
        open_ = [p for p in progress if p.state not in (DONE, REPLACED)]
        known = all(p.call.microseconds is not None for p in open_)
        return cls(
            new,
            sent,
            done,
            failed,
            sum(p.used for p in progress) / 1e6,
            sum(p.estimate for p in open_) / 1e6 if known else None,
            0.0 if not open_ else None if pace is None else pace * len(open_),
            calls,
        )

    @property
    def ids(self) -> tuple[str, ...]:
        """The problems of all calls that were taken."""
        return tuple(call.id for call in self.calls if call.id)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        states = [f"{getattr(self, name)} {name}" for name in ("done", "sent", "new", "failed")]
        lines = [", ".join(states), f"{self.access:.3f} s of machine time used"]
        if self.machine_left:
            lines[-1] += f", {self.machine_left:.3f} s to go"
        if self.time_left:
            lines.append(f"{self.time_left:.0f} s left at the pace so far")
        lines += [
            f"call {call.number} failed: {call.reason}"
            for call in self.calls
            if call.state == FAILED
        ]
        return "\n".join(lines)


def use_of(progress: Iterable[Progress]) -> MachineUse:
    """Return the problems and the machine time of the calls that were answered."""
    progress = list(progress)
    done = [p for p in progress if p.state == DONE]
    stated = any(p.access is not None for p in done)
    queues = [p.queue for p in done if p.queue is not None]
    return MachineUse(
        tuple(p.id for p in done),
        sum(p.used for p in progress) / 1e6 if stated else None,
        sum(queues) if queues else None,
        len(done),
        tuple(dict.fromkeys(p.graph for p in done if p.graph)),
        tuple(dict.fromkeys(p.machine for p in done)),
    )
