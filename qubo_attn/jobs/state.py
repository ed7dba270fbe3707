"""How the calls of a job stand, as events of its journal tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qubo_attn.jobs.plan import Call

# A call is new, on its way (nobody knows whether it was taken), taken, answered, given up, or
# replaced by calls of a repaired submission.
NEW, SENDING, SENT, DONE, FAILED, REPLACED = (
    "new", "sending", "sent", "done", "failed", "replaced",
)  # fmt: skip
# What an event may say of its call.
_FIELDS = (
    "state", "tries", "forgiven", "id", "machine", "graph", "reason", "spent", "access", "queue",
    "file",
)  # fmt: skip


@dataclass
class Progress:
    """How one call stands.

    Attributes:
        call: what it is.
        state: one of the words above.
        tries: how often it was sent.
        forgiven: tries of earlier processes, which do not count any more.
        id: of the problem; empty before it was taken.
        machine, graph: name of the sampler it was sent to, and its working graph.
        reason: why it is new again, or failed.
        spent: microseconds of machine time of earlier tries, as estimated.
        access: microseconds of machine time of the answer; None where the machine does not say.
        queue: seconds in the queue; None where the machine does not say.
        file: checksum of the answer that is kept.
        timing: of the answer.
        fetches: how often its answer came and was none.
    """

    call: Call
    state: str = NEW
    tries: int = 0
    forgiven: int = 0
    id: str = ""
    machine: str = ""
    graph: str = ""
    reason: str = ""
    spent: float = 0.0
    access: float | None = None
    queue: float | None = None
    file: str = ""
    timing: dict[str, float] = field(default_factory=dict)
    fetches: int = 0

    @property
    def estimate(self) -> float:
        """Estimated microseconds of machine time; 0 where none is known."""
        return self.call.microseconds or 0.0

    @property
    def used(self) -> float:
        """Microseconds of machine time that all its tries took so far."""
        last = self.estimate if self.access is None else self.access
        return self.spent + (last if self.state == DONE else 0.0)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take over what an event says."""
        for name in _FIELDS:
            if name in event:
                setattr(self, name, event[name])
        self.timing.update(event.get("timing", {}))


def replayed(calls: Iterable[Call], events: Iterable[Mapping[str, Any]]) -> list[Progress]:
    """Return how calls stand after all events of a journal.

    Args:
        calls: as planned; events of another version add theirs.
        events: in order.
    """
    progress = [Progress(call) for call in calls]
    for event in events:
        progress += [Progress(Call(**call)) for call in event.get("calls", ())]
        for number in event.get("replaced", ()):
            progress[number].state = REPLACED
        if "call" in event:
            progress[event["call"]].take(event)
    return progress
