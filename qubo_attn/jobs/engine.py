"""The engine: sends calls, collects answers, tries again, and keeps all of it in a journal.

It runs in the thread of whoever waits for answers, and has no other. A call is noted before it is
sent, and again once it was taken. Its answer is on the disk before the call is done. If the process
is killed, the journal or the call's label tells of every call whether it was taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from qubo_attn.backend.submission import Submission
from qubo_attn.errors import InputError, QuboAttnError
from qubo_attn.jobs.book import REFUSED, Book, misfits
from qubo_attn.jobs.line import Line
from qubo_attn.jobs.plan import Call
from qubo_attn.jobs.state import FAILED, NEW, REPLACED, SENDING, SENT, Progress
from qubo_attn.jobs.transport import (
    CANCELLED,
    WAITING,
    Answer,
    Receipt,
    Refused,
    Retryable,
    Stopped,
    TransportError,
    Unreadable,
)
from qubo_attn.jobs.transport import DONE as SOLVED
from qubo_attn.machine.target import Target

# How long a poll may wait for news, and a round in which nothing happened lasts, in seconds.
_WAIT, _SHORTEST, _LONGEST = 1.0, 0.01, 1.0
# How often an answer that does not read is fetched before its call is sent anew.
_FETCHES = 2
# Returns calls in the place of some that no machine takes any more.
Repair = Callable[[Target, list[Progress]], list[Call]]


class Engine:
    """Runs the calls of a job.

    Args:
        book, lines: how they stand, and the samplers that pull from the queue.
        before: called with each submission before it is sent first; None for nothing.
        repair: returns calls of today's graph; None where a call that no machine takes is an error.
        unsure: whether calls may have been sent of which the journal does not tell any more.
    """

    def __init__(
        self,
        book: Book,
        lines: Sequence[Line],
        before: Callable[[Submission], None] | None = None,
        repair: Repair | None = None,
        unsure: bool = False,
    ) -> None:
        self.book, self.lines, self._unsure = book, list(lines), unsure
        self._before, self._repair = before, repair
        self._shown = set[tuple[int, int]]()
        self._idle = _SHORTEST

    # -- what a job asks -----------------------------------------------------------------------

    def run(self, sending: bool = True) -> Iterator[int]:
        """Go on until nothing is left to do; yield the number of every call that is done.

        Args:
            sending: whether calls are sent; else those are waited for that are under way.

        Raises:
            JobError: a call was refused, failed too often, or cannot be paid; nobody answers.
            SubmissionError: a submission fits no machine, and may not be repaired.
            KeyboardInterrupt: what no machine has begun is cancelled, and a note says how to go on.
        """
        with self._interruptible():
            left = (NEW, SENDING, SENT) if sending else (SENDING, SENT)
            while self.book.of(*left):
                self.look()
                yield from self.step(sending)
            self.book.raise_failed()

    def look(self) -> None:
        """Ask every machine for its graph of today, once, and see who takes what.

        Raises:
            JobError: no sampler is of any use.
            SubmissionError: a submission fits no machine, and may not be repaired.
        """
        while unknown := [line for line in self.lines if line.alive and not line.looked]:
            for line in unknown:
                if line.ready and line.look() and self._unsure:
                    line.looked = self.book.adopt(line)
            self._check_alive()
            if not any(line.ready for line in unknown):
                self._pause()
        self._check_machines()

    def step(self, sending: bool = True) -> list[int]:
        """Send what there is room for, once, and collect what has come.

        Args:
            sending: whether anything is sent.

        Returns:
            Numbers of the calls that are done now.
        """
        self._settle()
        self._check_machines()
        sent = sending and self._send()
        done = self._collect()
        self._check_alive()
        if sending and not self.book.of(SENDING, SENT):
            self.book.raise_failed()
            self.book.check_budget()
        if sent or done:
            self._idle = _SHORTEST
        else:
            self._pause()
        return done

    def send(self) -> None:
        """Send a first wave, unless a sampler computes while it is called."""
        if all(line.transport.batch > 1 for line in self.lines):
            with self._interruptible():
                self.look()
                self._settle()
                self._send()
                self._check_alive()

    def cancel(self) -> None:
        """Cancel what no machine has begun; calls that run go on, the others are new again.

        Raises:
            JobError: a service could not be told.
        """
        for line in self.lines:
            flying = self.book.flying(line)
            ids = [p.id for p in flying]
            if not ids or not line.alive:
                continue
            if not line.cancel(ids):
                raise self.book.stopped(line)
            states = line.states(ids, 0.0)
            gone = [p for p in flying if states.get(p.id) == CANCELLED]
            self.book.note(*((p, {"state": NEW, "reason": CANCELLED}) for p in gone))

    # -- out -----------------------------------------------------------------------------------

    def _send(self) -> bool:
        """Send what there is room for; a sampler that computes gets one call."""
        sent = False
        for line in self.lines:
            while line.ready and (some := self._next(line)):
                self._post(line, some)
                sent = True
                if line.transport.batch == 1:
                    break
        return sent

    def _next(self, line: Line) -> list[Progress]:
        """Return the calls that a line sends next."""
        book = self.book
        if book.of(FAILED):
            return []  # a call was given up: what is under way is collected, nothing is added
        room = min(book.settings.in_flight - len(book.flying(line)), line.transport.batch)
        factor = book.factor
        left, chosen = book.left(factor), list[Progress]()
        for p in book.of(NEW):
            if len(chosen) >= room:
                break
            if line.misfit(book.work, p.call) is None:
                left -= factor * p.estimate
                if left < 0:
                    break
                chosen.append(p)
        return chosen

    def _post(self, line: Line, chosen: list[Progress]) -> None:
        """Send some calls, and note what came of each."""
        sending = []
        for p in chosen:
            part = p.call.version, p.call.submission
            if self._before is not None and part not in self._shown:
                self._shown.add(part)
                self._before(self.book.work.submission(p.call))
            event = {"state": SENDING, "tries": p.tries + 1, "machine": line.name}
            sending.append((p, event | {"id": ""}))
        self.book.note(*sending)
        requests = [self.book.request(p) for p in chosen]
        try:
            outcomes: Sequence[Receipt | TransportError] = line.transport.send(requests)
        except Retryable as error:
            line.fail("send", error)
            if not error.unclear:
                # The service took none of them: it was not their try.
                self.book.note(*((p, {"state": NEW, "tries": p.tries - 1}) for p in chosen))
            return
        except InputError as error:
            error.add_note(self.book.kept())
            raise
        except TransportError as error:
            outcomes = [error] * len(chosen)
        else:
            line.well("send")
        pairs = list(zip(chosen, outcomes, strict=True))
        graphs = {receipt.graph_id for receipt in outcomes if isinstance(receipt, Receipt)}
        line.looked = line.looked and graphs <= {"", line.transport.graph_id}
        self.book.note(
            *(
                (p, {"state": SENT, "id": receipt.id, "graph": receipt.graph_id})
                for p, receipt in pairs
                if isinstance(receipt, Receipt)
            )
        )
        for p, outcome in pairs:
            if not isinstance(outcome, Receipt):
                self._failed(line, p, outcome)

    def _failed(self, line: Line, p: Progress, outcome: TransportError) -> None:
        """Note why a call was not taken."""
        untried = {"state": NEW, "tries": p.tries - 1, "reason": str(outcome)}
        match outcome:
            case Refused():
                self.book.note((p, untried))
                # It may be for a graph that has changed: then today's lacks what it needs.
                if line.transport.embedded:
                    line.look()
                if line.misfit(self.book.work, p.call) is None:
                    self.book.note((p, {"state": FAILED, "reason": f"{REFUSED}{outcome}"}))
            case Stopped():
                line.stop(outcome)
                self.book.note((p, untried))
            case Retryable():
                line.fail("send", outcome)
                self.book.note((p, untried))
            case _:
                self.book.again(p, str(outcome))

    def _settle(self) -> None:
        """Find out of calls on their way whether they were taken."""
        for line in self.lines:
            unclear = [p for p in self.book.of(SENDING) if p.machine == line.name]
            if not unclear or not line.ready:
                continue
            taken = line.taken(self.book.settings.run)
            if taken is not None:
                for p in unclear:
                    id = taken.get(self.book.label(p))
                    new = {"state": NEW, "tries": p.tries - 1, "reason": "it was not taken"}
                    self.book.note((p, new if id is None else {"state": SENT, "id": id}))
        names = {line.name for line in self.lines if line.alive}
        lost = [p for p in self.book.of(SENDING, SENT) if p.machine not in names]
        if lost and names:
            # Another sampler is here, and nobody can fetch the answer from the one that is gone.
            gone = {"state": NEW, "id": "", "reason": "its sampler is gone"}
            self.book.note(*((p, gone) for p in lost))

    # -- back ----------------------------------------------------------------------------------

    def _collect(self) -> list[int]:
        """Fetch what is done; return the numbers of calls that are done now."""
        done: list[int] = []
        for line in self.lines:
            flying = self.book.flying(line)
            if not flying or not line.ready:
                continue
            # While there is something to send, nobody waits for news.
            busy = line.transport.batch == 1 or len(self.lines) > 1 or bool(self._next(line))
            states = line.states([p.id for p in flying], 0.0 if busy else _WAIT)
            come: dict[int, tuple[Progress, Answer]] = {}
            try:
                for p in flying:
                    state = states.get(p.id, WAITING)
                    if state == WAITING or p.call.number in come or not line.ready:
                        continue
                    if state == SOLVED:
                        self._fetch(line, p, come)
                    else:
                        line.looked = False  # the machine may have changed
                        self.book.again(p, state)
            finally:
                self.book.keep(list(come.values()))
            done += come
        return done

    def _fetch(self, line: Line, p: Progress, come: dict[int, tuple[Progress, Answer]]) -> None:
        """Fetch an answer, and put it beside those that have come, under its call."""
        try:
            answer = line.transport.fetch(p.id)
            line.well("fetch")
            owner = self.book.owner(line, p, answer, come)
            come[owner.call.number] = owner, answer
        except Unreadable as error:
            p.fetches += 1
            if p.fetches % _FETCHES == 0:
                self.book.again(p, str(error))
        except Retryable as error:
            line.fail("fetch", error)
        except TransportError as error:
            line.stop(error)
        except QuboAttnError as error:
            error.add_facts(call=p.call.number)
            error.add_note(self.book.kept())
            raise

    # -- samplers ------------------------------------------------------------------------------

    def _check_machines(self) -> None:
        """Replace calls that no machine takes by calls of submissions repaired for today's."""
        machines = [line for line in self.lines if line.alive]
        if lost := misfits(self.book, machines):
            calls, error = [p for p, _ in lost], lost[0][1]
            target = machines[0].target
            if self._repair is None or target is None or error.facts["code"] == "logical":
                raise error
            self.book.progress += map(Progress, self._repair(target, calls))
            gone = {"state": REPLACED, "reason": "a qubit or coupler is gone"}
            self.book.note(*((p, gone) for p in calls))

    def _check_alive(self) -> None:
        """Raise where no sampler is of any use."""
        if not any(line.alive for line in self.lines):
            raise self.book.stopped(self.lines[-1])

    def _pause(self) -> None:
        """Wait until a pause is over, or for a moment that grows while nothing happens."""
        waits = [line.waits for line in self.lines if line.alive]
        if all(wait > 0 for wait in waits):
            self.book.settings.retry.sleep(min(waits))
            return
        self.book.settings.retry.sleep(self._idle)
        self._idle = min(2 * self._idle, _LONGEST)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """On Ctrl-C cancel what no machine has begun; what came of it resuming will find out."""
        try:
            yield
        except KeyboardInterrupt as error:
            for line in self.lines:
                with contextlib.suppress(TransportError):
                    if ids := self.book.under_way(line):
                        line.transport.cancel(ids)
            self.book.journal.note([{"event": "interrupted"}])
            error.add_note(self.book.kept())
            raise
