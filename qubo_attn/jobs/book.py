"""The book of a job: how its calls stand, what was kept of it, and what machine time is left."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qubo_attn.common.words import plural
from qubo_attn.errors import JobError, SubmissionError
from qubo_attn.jobs.answers import problem_of
from qubo_attn.jobs.journal import Journal
from qubo_attn.jobs.line import Line
from qubo_attn.jobs.retry import Retry
from qubo_attn.jobs.state import DONE, FAILED, NEW, REPLACED, SENDING, SENT, Progress
from qubo_attn.jobs.transport import CANCELLED, Answer, Request, Unreadable
from qubo_attn.jobs.work import Work

REFUSED = "refused: "
_ROWS = 3  # that a message names


@dataclass(frozen=True)
class Settings:
    """How a job is run.

    Attributes:
        run: the name its labels begin with.
        in_flight: most calls under way at each sampler.
        budget: seconds of machine time; None for any.
        retry: how often what fails is tried again.
    """

    run: str
    in_flight: int
    budget: float | None
    retry: Retry


class Book:
    """How the calls of a job stand; every change is in the journal before it holds here.

    Args:
        work: what the calls sample.
        progress: how they stand; changed as they go on.
        journal: where everything is kept.
        settings: how the job is run.
    """

    def __init__(
        self, work: Work, progress: list[Progress], journal: Journal, settings: Settings
    ) -> None:
        self.work, self.progress = work, progress
        self.journal, self.settings = journal, settings
        self._requests: dict[int, Request] = {}

    # -- calls ---------------------------------------------------------------------------------

    def of(self, *states: str) -> list[Progress]:
        """Return the calls that stand so, in order."""
        return [p for p in self.progress if p.state in states]

    def flying(self, line: Line) -> list[Progress]:
        """Return the calls that a sampler has taken and not answered."""
        return [p for p in self.of(SENT) if p.machine == line.name]

    def under_way(self, line: Line) -> list[str]:
        """Return the problems of a sampler that are under way, those looked for that are unclear.

        Raises:
            TransportError: the service does not say.
        """
        ids = [p.id for p in self.flying(line)]
        unclear = [self.label(p) for p in self.of(SENDING) if p.machine == line.name]
        taken = line.transport.find(self.settings.run) if unclear else {}
        return ids + [taken[label] for label in unclear if label in taken]

    def note(self, *changes: tuple[Progress, Mapping[str, Any]]) -> None:
        """Keep changes of calls in the journal, then take them over."""
        self.journal.note([{"call": p.call.number, **event} for p, event in changes])
        for p, event in changes:
            p.take(event)

    def label(self, p: Progress, more: int = 0) -> str:
        """Return the label of a call's latest try, or of one that comes later."""
        tries = p.tries + more
        return f"{self.settings.run}/{p.call.number}" + (f"/{tries}" if tries > 1 else "")

    def adopt(self, line: Line) -> bool:
        """Look for calls that were sent although the journal does not say so any more.

        Returns:
            Whether the service answered.
        """
        taken = line.taken(self.settings.run)
        for p in self.of(NEW):
            if id := (taken or {}).get(self.label(p, 1)):
                sent = {"state": SENT, "id": id, "tries": p.tries + 1, "machine": line.name}
                self.note((p, sent))
        return taken is not None

    def request(self, p: Progress) -> Request:
        """Return a call as it is sent; made once for each try."""
        known = self._requests.get(p.call.number)
        if known is None or known.label != self.label(p):
            known = self._requests[p.call.number] = self.work.request(p.call, self.label(p))
        return known

    def keep(self, come: Sequence[tuple[Progress, Answer]]) -> None:
        """Keep the answers of some calls, which are done then."""
        if not come:
            return
        digests = self.journal.keep({p.call.number: answer for p, answer in come})
        events = []
        for p, answer in come:
            event: dict[str, Any] = {"state": DONE, "reason": "", "queue": answer.queue}
            event["access"] = answer.timing.get("qpu_access_time")
            event["timing"] = dict(answer.timing)
            events.append((p, event | {"file": digests[p.call.number]}))
            self._requests.pop(p.call.number, None)
        self.note(*events)

    def owner(self, line: Line, p: Progress, answer: Answer, come: Container[int]) -> Progress:
        """Return the call that an answer belongs to; energies tell where answers were swapped.

        Args:
            line: where it came from; p: the call that it was fetched for.
            answer: as it came.
            come: numbers of calls whose answers have just come.

        Raises:
            Unreadable: it belongs to none that is under way.
        """
        problem = problem_of(self.request(p), answer) if line.transport.exact else ""
        if not problem:
            return p
        for other in self.flying(line):
            if other is p or other.call.number in come:
                continue
            if not problem_of(self.request(other), answer):
                # The service gave it out under the other's id: the ids change places.
                self.note((p, {"id": other.id}), (other, {"id": p.id}))
                return other
        raise Unreadable(problem)

    def again(self, p: Progress, reason: str) -> None:
        """Let a call be sent once more, or give it up after as many tries as there are."""
        spent = p.spent + (0.0 if reason == CANCELLED else self.factor * p.estimate)
        over = p.tries - p.forgiven >= self.settings.retry.tries
        self.note((p, {"state": FAILED if over else NEW, "reason": reason, "spent": spent}))

    # -- machine time --------------------------------------------------------------------------

    @property
    def used(self) -> float:
        """Microseconds of machine time so far: stated where answers came, else estimated."""
        return sum(p.used for p in self.progress)

    @property
    def factor(self) -> float:
        """How much longer a call took than estimated, at worst; 1 where none did."""
        ratios = [
            p.access / p.estimate for p in self.progress if p.access is not None and p.estimate > 0
        ]
        return max([1.0, *ratios])

    def left(self, factor: float) -> float:
        """Return microseconds that are left of the budget, calls under way taken off.

        Args:
            factor: see `factor`.
        """
        if self.settings.budget is None:
            return float("inf")
        under_way = sum(p.estimate for p in self.of(SENDING, SENT))
        return self.settings.budget * 1e6 - self.used - factor * under_way

    # -- words ---------------------------------------------------------------------------------

    def kept(self) -> str:
        """Return what a message says of the answers there are, and of how to go on."""
        calls = [p for p in self.progress if p.state != REPLACED]
        answered, place = len(self.of(DONE)), self.journal.place
        if not place:
            return f"{answered} of {len(calls)} answers had come"
        return (
            f"{answered} of {len(calls)} answers are kept in {place}; "
            f"qa.resume({place!r}, sampler) goes on with the job"
        )

    def facts(self) -> dict[str, object]:
        """Return what every error of a job carries."""
        folder = {"folder": self.journal.place} if self.journal.place else {}
        return {"answers": len(self.of(DONE)), **folder}

    def check_budget(self) -> None:
        """Raise where the next call cannot be paid.

        Raises:
            JobError: with the code ``"budget"``.
        """
        factor, waiting = self.factor, self.of(NEW)
        if not waiting or self.left(factor) >= min(factor * p.estimate for p in waiting):
            return
        raise JobError(
            f"{self.used / 1e6:.3f} of {self.settings.budget:g} s of machine time are used, and no "
            f"further call fits; a larger budget= lets it go on: {self.kept()}",
            code="budget",
            used=self.used / 1e6,
            **self.facts(),
        )

    def raise_failed(self) -> None:
        """Raise where a call was given up.

        Raises:
            JobError: names call, submission, rows and problem.
        """
        for p in self.of(FAILED):
            part, refused = self.work.submission(p.call), p.reason.startswith(REFUSED)
            rows = ", ".join(map(str, part.rows[:_ROWS])) + ", ..." * (len(part.rows) > _ROWS)
            problem = f", problem {p.id}" if p.id else ""
            tries = "was " if refused else f"failed after {p.tries} tries: "
            raise JobError(
                f"call {p.call.number} of {len(self.progress)} (submission {part.index}, "
                f"{plural(len(part.rows), 'row', 'd')}: {rows}{problem}) {tries}{p.reason}; "
                f"{self.kept()}",
                code="refused" if refused else "failed",
                call=p.call.number,
                submission=part.index,
                rows=part.rows,
                problem=p.id,
                **self.facts(),
            )

    def stopped(self, line: Line) -> JobError:
        """Return the error of a sampler that is of no use."""
        name, words = (
            line.transport.name,
            "does not answer" if line.given_up or line.alive else "takes no calls",
        )
        error = JobError(
            f"{name} {words}: {line.error}; {self.kept()}",
            code="unreachable" if line.given_up or line.alive else "stopped",
            solver=name,
            **self.facts(),
        )
        error.__cause__ = line.error
        return error


def misfits(book: Book, machines: Sequence[Line]) -> list[tuple[Progress, SubmissionError]]:
    """Return the calls to be sent that no machine takes, and why the first does not."""
    lost = []
    for p in book.of(NEW):
        errors = [line.misfit(book.work, p.call) for line in machines]
        if all(errors) and errors and errors[0] is not None:
            lost.append((p, errors[0]))
    return lost
