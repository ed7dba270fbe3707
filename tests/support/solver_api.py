"""A stand-in of the vendor's solver API on the loopback address: real HTTP for the real client.

    with SolverApi("zephyr:2") as api:
        sampler = DWaveSampler(endpoint=api.endpoint, token=api.token, cache_enabled=False)
        api.fault("submit", "http", status=502, skip=1)  # the second POST fails

Followed, from the client and the vendor's pages: GET solvers/remote/?filter= and
solvers/remote/NAME with an ETag; POST problems/ (one or a list, perhaps deflated and chunked); GET
problems/?id=&timeout= (held until one ends), ?label=&status=&solver=&max_results=; GET problems/ID,
ID/info, ID/answer, ID/messages; DELETE problems/ and problems/ID. Nothing can be uploaded.

Assumed, as no page says it: a stale graph id is answered like an unknown solver; what the machine
does not take comes back as ``{"error_code", "error_msg"}`` in the list that answers the POST. A
problem waits for the machine, one at a time, where ``occupy``, and is answered no earlier than
``latency`` seconds after it came. `solver_routes` has the routes, `solver_machine` the machine.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.solver_machine import Decoded, Machine, Refused
from tests.support.solver_reads import Reader, drawn
from tests.support.solver_routes import UNKNOWN, Routes

ENDED = ("COMPLETED", "FAILED", "CANCELLED")
UNKNOWN_SOLVER = "Solver does not exist or apitoken does not have access"


@dataclass
class Fault:
    """What goes wrong, and when; see `SolverApi.fault`."""

    on: str
    kind: str
    times: int = 1
    skip: int = 0
    status: int = 500
    retry_after: int | None = None


@dataclass
class Problem:
    """A problem that was taken: what it is, when it runs, how it ends."""

    id: str
    kind: str
    label: str | None
    params: dict[str, Any]
    data: dict[str, Any]
    machine: Machine
    solver: dict[str, Any]
    decoded: Decoded
    timing: dict[str, float]
    arrived: float
    begin: float
    ready: float
    trouble: str = ""
    forced: str = ""
    answer: Future[dict[str, Any]] = field(default_factory=Future)
    partner: Problem | None = None

    @property
    def status(self) -> str:
        now = time.time()
        if self.forced or now < self.begin:
            return self.forced or "PENDING"
        waits = self.trouble == "swapped" and self.partner is None
        if now < self.ready or waits or not self.answer.done():
            return "IN_PROGRESS"
        return {"failed": "FAILED", "cancelled": "CANCELLED"}.get(self.trouble, "COMPLETED")

    @property
    def shown(self) -> dict[str, Any]:
        """The answer, with what is wrong with it."""
        answer = dict((self.partner or self).answer.result())
        size = -(-len(self.decoded.active) // 8)
        if self.trouble == "short":
            _cut(answer, solutions=size)
        if self.trouble == "fewer":
            _cut(answer, solutions=size, energies=8, num_occurrences=4)
        return answer


def _cut(answer: dict[str, Any], **width: int) -> None:
    """Take the last bytes of columns away."""
    for name, size in width.items():
        if name in answer:
            answer[name] = _text(base64.b64decode(answer[name])[:-size])


class SolverApi:
    """The service: machines, problems and their states, faults, and its HTTP server.

    Args:
        machines: files of working graphs, ideal graphs such as ``"zephyr:2"``, or machines.
        latency: seconds from a problem to its answer, at least; problems overlap.
        reader: what reads the machine.
        occupy: whether problems wait for one another's access time, as on a machine.
        label_parts: whether ``?label=`` finds labels that hold it, or equal ones alone.
        port: to listen at; a free one when 0.
    """

    def __init__(
        self,
        *machines: str | Path | Machine,
        latency: float = 0.0,
        reader: Reader = drawn,
        occupy: bool = False,
        label_parts: bool = True,
        port: int = 0,
    ) -> None:
        built = [m if isinstance(m, Machine) else Machine.of(m) for m in machines]
        self.machines = {machine.name: machine for machine in built}
        self.latency, self.reader, self.occupy = latency, reader, occupy
        self.label_parts, self.token = label_parts, "stand-in"
        self.problems: dict[str, Problem] = {}
        self.requests: list[tuple[str, str, int]] = []  # verb, path, status; 0 where dropped
        self.faults: list[Fault] = []
        self.changed = threading.Condition(threading.RLock())
        self.connections: set[socket.socket] = set()
        self._free_at, self._pool = 0.0, ThreadPoolExecutor(1)
        self._swapped: Problem | None = None
        routes = type("Bound", (Routes,), {"service": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), routes)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # clients go as they like
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}/sapi/v2/"

    def __enter__(self) -> SolverApi:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        with self.changed:
            for connection in self.connections:
                with contextlib.suppress(OSError):  # it is closed
                    connection.shutdown(socket.SHUT_RDWR)
        self._pool.shutdown(wait=True, cancel_futures=True)

    # -- what tests turn -----------------------------------------------------------------------

    def fault(self, on: str, kind: str, **how: Any) -> None:
        """Let something go wrong.

        Args:
            on: ``solvers``, ``submit``, ``status``, ``answer``, ``cancel``: requests of that sort;
                or ``problem``.
            kind: of requests ``http`` (answered with ``status``, and ``retry_after`` seconds),
                ``reset`` (dropped, nothing is done), ``lost`` (done, but the answer is dropped),
                ``html`` (no JSON); of problems ``failed``, ``cancelled``, ``refused`` (in an answer
                to the POST), ``short`` (bytes of one read are missing), ``fewer`` (one read less
                than asked for), ``swapped`` (this one's answer for the next such one's, and back).
            **how: ``times`` (-1: for ever), ``skip`` (how many pass before), ``status``,
                ``retry_after``.
        """
        with self.changed:
            self.faults.append(Fault(on, kind, **how))

    def strike(self, on: str) -> Fault | None:
        """Return the fault that strikes this request or problem, if any."""
        with self.changed:
            for fault in self.faults:
                if fault.on != on or not fault.times:
                    continue
                if not fault.skip:
                    fault.times -= 1
                    return fault
                fault.skip -= 1
        return None

    def machine(self, name: str | None = None) -> Machine:
        return self.machines[name] if name else next(iter(self.machines.values()))

    def offline(self, name: str | None = None) -> None:
        """Take a machine offline: what waits fails, what comes is refused."""
        machine = self.machine(name)
        machine.online = False
        with self.changed:
            for problem in self.problems.values():
                if problem.status not in ENDED and problem.machine is machine:
                    problem.forced = "FAILED"
            self.changed.notify_all()

    def revoke(self) -> None:
        """Take no request with the token of before any more."""
        self.token = str(uuid.uuid4())

    def forget(self, id: str) -> None:
        """Know nothing of a problem any more."""
        with self.changed:
            del self.problems[id]

    @property
    def paid(self) -> list[str]:
        """Labels of all problems whose machine time was used, in the order in which they came."""
        with self.changed:
            return [p.label or "" for p in self.problems.values() if p.status == "COMPLETED"]

    def log(self) -> dict[str, Any]:
        """Return requests and problems so far, for those who ask over HTTP."""
        with self.changed:
            rows = [
                {"id": p.id, "label": p.label, "params": p.params, "status": p.status}
                | {"timing": p.timing, "solver": p.solver}
                for p in self.problems.values()
            ]
            return {"requests": self.requests, "problems": rows}

    # -- what routes call ----------------------------------------------------------------------

    def submit(self, job: dict[str, Any]) -> dict[str, Any]:
        """Take a problem, or say why not."""
        params, solver = job.get("params", {}), job.get("solver", {})
        machine = self.machines.get(solver.get("name"))
        fault = self.strike("problem")
        try:
            version = None if machine is None else machine.identity["version"]
            if machine is None or (solver.get("version") or version) != version:
                raise Refused(UNKNOWN_SOLVER)
            if not machine.online:
                raise Refused("Solver is offline")
            if fault and fault.kind == "refused":
                raise Refused("the problem cannot be taken")
            decoded = machine.decode(job["data"], job["type"])
            machine.check(decoded, params)
            timing = machine.timing(len(decoded.active), params)
        except Refused as refusal:
            return {"error_code": 400, "error_msg": str(refusal)}
        with self.changed:
            now = time.time()
            begin = max(now, self._free_at) if self.occupy else now
            self._free_at = begin + timing["qpu_access_time"] * 1e-6
            ready = max(now + self.latency, self._free_at if self.occupy else now)
            # fmt: off
            problem = Problem(
                str(uuid.uuid4()), job["type"], job.get("label"), params, job["data"], machine,
                machine.identity, decoded, timing, now, begin, ready, fault.kind if fault else "",
            )
            # fmt: on
            self.problems[problem.id] = problem
            if problem.trouble == "swapped":
                self._swap(problem)
            problem.answer = self._pool.submit(self._read, problem, len(self.problems))
            problem.answer.add_done_callback(lambda _: self._tell())
        return self.state(problem)

    def _swap(self, problem: Problem) -> None:
        """Let two problems answer for each other."""
        other, self._swapped = self._swapped, problem if self._swapped is None else None
        if other is not None:
            problem.partner, other.partner = other, problem

    def _tell(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def _read(self, problem: Problem, number: int) -> dict[str, Any]:
        decoded, params = problem.decoded, problem.params
        spins = self.reader(decoded, params, number)
        energies, bits = decoded.energies(spins), (spins > 0).astype(np.uint8)
        most, more = params.get("max_answers", len(bits)), {}
        if params.get("answer_mode", "histogram") == "histogram":
            _, first, count = np.unique(bits, axis=0, return_index=True, return_counts=True)
            order = np.argsort(energies[first], kind="stable")
            bits, energies = bits[first][order], energies[first][order]
            more = {"num_occurrences": _text(count[order][:most].astype("<i4").tobytes())}
        return more | {
            "format": "qp",
            "num_variables": problem.machine.size,
            "timing": problem.timing,
            "active_variables": _text(decoded.active.astype("<i4").tobytes()),
            "energies": _text(energies[:most].astype("<f8").tobytes()),
            "solutions": _text(np.packbits(bits[:most], axis=1).tobytes()),
        }

    def state(self, problem: Problem, answer: bool = False) -> dict[str, Any]:
        """Return a problem's state, with its answer where asked for and there."""
        status = problem.status
        state: dict[str, Any] = {"id": problem.id, "type": problem.kind, "solver": problem.solver}
        state |= {"label": problem.label, "status": status, "submitted_on": _when(problem.arrived)}
        if status in ENDED:
            state["solved_on"] = _when(problem.ready)
        if status == "FAILED":
            state["error_message"] = "Solver is offline" if problem.forced else "Internal error"
        return state | ({"answer": problem.shown} if answer and status == "COMPLETED" else {})

    def cancel(self, id: str) -> dict[str, Any]:
        problem = self.problems.get(id)
        if problem is None:
            return dict(UNKNOWN)
        with self.changed:
            if problem.status in ENDED:
                return {"error_code": 409, "error_msg": "Problem has been finished."}
            problem.forced = "CANCELLED"
            self.changed.notify_all()
        return self.state(problem)

    def hold(self, problems: list[Problem], seconds: float) -> None:
        """Return once one of the problems has ended, or when the time is over."""
        until = time.time() + min(seconds, 30.0)
        with self.changed:
            while (now := time.time()) < until and not any(p.status in ENDED for p in problems):
                ready = min((p.ready for p in problems if p.ready > now), default=until)
                self.changed.wait(max(min(ready, until) - now, 1e-3))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _when(seconds: float) -> str:
    stamp = datetime.fromtimestamp(seconds, UTC).isoformat()
    return stamp.replace("+00:00", "Z")
