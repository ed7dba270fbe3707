"""A line: one transport as the engine sees it, with its failures, its pauses and its machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from qubo_attn.errors import SubmissionError
from qubo_attn.jobs.plan import Call
from qubo_attn.jobs.retry import Retry
from qubo_attn.jobs.transport import FAILED, Retryable, Transport, TransportError
from qubo_attn.jobs.work import Work
from qubo_attn.machine.target import Target


class Line:
    """One transport, and whether it is any use at this moment.

    Attributes:
        transport: the way to the sampler.
        name: unique among the lines of a job.
        target: the machine as last seen; None for a sampler of logical models.
        looked: whether it was seen.
        error: the latest failure; None before the first.
        alive: whether it may still be used.
        given_up: whether it is not, as it failed as often as it was tried.
    """

    def __init__(self, transport: Transport, name: str, retry: Retry) -> None:
        self.transport, self.name, self.retry = transport, name, retry
        self.target: Target | None = None
        self.looked = False
        self.error: TransportError | None = None
        self.alive, self.given_up = True, False
        self._failures = Counter[str]()
        self._not_before = float("-inf")

    @property
    def ready(self) -> bool:
        """Whether it may be used now: it is alive, and no pause is on."""
        return self.alive and self.waits <= 0

    @property
    def waits(self) -> float:
        """Seconds of pause that are left."""
        return self._not_before - self.retry.clock()

    def well(self, what: str) -> None:
        """Note that a request of some kind came through."""
        self._failures[what] = 0

    def fail(self, what: str, error: Retryable) -> None:
        """Note a failure of the service: wait, or give it up after as many tries as there are.

        Args:
            what: kind of the request: others may come through meanwhile.
            error: the failure.
        """
        self.error = error
        self._failures[what] += 1
        if self._failures[what] >= self.retry.tries:
            self.alive, self.given_up = False, True
        wait = self.retry.wait(self._failures[what], error.retry_after)
        self._not_before = self.retry.clock() + wait

    def stop(self, error: TransportError) -> None:
        """Note that it is of no use until somebody acts."""
        self.error, self.alive = error, False

    # -- requests: the transport's, with failures noted in place of raised ---------------------

    def look(self) -> bool:
        """Ask for the machine of today; return whether the service said."""

        def look() -> None:
            self.target, self.looked = self.transport.refresh(), True

        return self._ask("look", look)

    def states(self, ids: Sequence[str], wait: float) -> dict[str, str]:
        """Return the state of problems by id, of one that failed with the reason."""
        states: dict[str, str] = {}

        def poll() -> None:
            for id, status in self.transport.poll(ids, wait).items():
                reason = f": {status.reason}" if status.reason and status.state == FAILED else ""
                states[id] = f"{status.state}{reason}"

        self._ask("poll", poll)
        return states

    def taken(self, run: str) -> dict[str, str] | None:
        """Return id by label of the problems of a run; None where the service does not say."""
        taken: dict[str, str] = {}
        found = self._ask("find", lambda: taken.update(self.transport.find(run)))
        return taken if found else None

    def cancel(self, ids: Sequence[str]) -> bool:
        """Cancel problems; return whether the service was told."""
        return self._ask("cancel", lambda: self.transport.cancel(ids))

    def _ask(self, what: str, request: Callable[[], None]) -> bool:
        try:
            request()
        except Retryable as error:
            self.fail(what, error)
            return False
        except TransportError as error:
            self.stop(error)
            return False
        self.well(what)
        return True

    def misfit(self, work: Work, call: Call) -> SubmissionError | None:
        """Return why a call cannot be sent here; None where it can."""
        if not self.transport.embedded or self.target is None:
            return None
        return work.misfit(call, self.target, self.transport.name)


def lines_of(transports: Sequence[Transport], retry: Retry) -> list[Line]:
    """Return a line for each transport, under names that differ."""
    names = [transport.name for transport in transports]
    return [
        Line(t, t.name if names.count(t.name) == 1 else f"{t.name} {number}", retry)
        for number, t in enumerate(transports)
    ]
