"""A service of problems in a folder: it outlives whoever sends to it, and counts what is paid.

Every problem is a file that appears at once, so that a process may be killed at any moment. The
answer is drawn with the seed of the request: the same request has the same answer.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import qubo_attn as qa
from qubo_attn.jobs.journal import _packed, _unpacked
from qubo_attn.jobs.sampler import SamplerTransport
from qubo_attn.jobs.transport import (
    CANCELLED,
    DONE,
    FAILED,
    WAITING,
    Answer,
    Receipt,
    Request,
    Status,
    TransportError,
)
from qubo_attn.machine.target import Target


class FolderService:
    """A `Transport` whose machine lives in a folder.

    Args:
        machine: samples what is sent.
        folder: of the service.
        delay: seconds that each request takes, so that there is time to be killed.
        name: of the machine.
    """

    embedded, exact, graph_id = True, True, "graph"

    def __init__(
        self,
        machine: qa.SimulatedMachine,
        folder: Path,
        delay: float = 0.0,
        name: str = "service",
        batch: int = 3,
    ) -> None:
        self.name, self.folder, self.delay, self.batch = name, folder, delay, batch
        self._way = SamplerTransport(machine)
        self._target = machine.target
        # Tests put functions here, which raise: called with the name of the request and its number.
        self.fault: Callable[[str, int], None] = lambda what, number: None
        self.after: Callable[[str, int], None] = lambda what, number: None
        self.change: Callable[[str, Answer], Answer] = lambda id, answer: answer
        self.counts: dict[str, int] = {}
        for part in ("taken", "cancelled", "failed", "ready"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def _begin(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        time.sleep(self.delay)
        self.fault(what, self.counts[what])

    def send(self, requests: Sequence[Request]) -> list[Receipt | TransportError]:
        self._begin("send")
        receipts: list[Receipt | TransportError] = []
        for request in requests:
            id = f"p{len(list((self.folder / 'taken').iterdir())):04d}-{os.urandom(3).hex()}"
            (receipt,) = self._way.send([request])
            assert isinstance(receipt, Receipt)
            part = self.folder / f".{id}"
            part.write_bytes(_packed(self._way.fetch(receipt.id)))
            os.replace(part, self.folder / f"{id}.npz")
            part.write_text(json.dumps({"id": id, "label": request.label, "call": request.call}))
            os.replace(part, self.folder / "taken" / f"{id}.json")  # from here on it is paid
            receipts.append(Receipt(id, self.graph_id))
        self.after("send", self.counts["send"])
        return receipts

    def taken(self) -> list[dict[str, Any]]:
        """Return every problem that was taken, and not cancelled."""
        gone = {p.name for p in (self.folder / "cancelled").iterdir()}
        files = sorted((self.folder / "taken").iterdir())
        return [json.loads(p.read_text()) for p in files if p.stem not in gone]

    def poll(self, ids: Sequence[str], wait: float) -> dict[str, Status]:
        self._begin("poll")
        return {id: Status(self._state(id)) for id in ids}

    def _state(self, id: str) -> str:
        if (self.folder / "cancelled" / id).exists():
            return CANCELLED
        if (self.folder / "failed" / id).exists():
            return FAILED
        # A problem is done from the second look on: there is something under way to be lost.
        seen = self.folder / "ready" / id
        if not seen.exists():
            seen.touch()
            return WAITING
        return DONE

    def fetch(self, id: str) -> Answer:
        self._begin("fetch")
        return self.change(id, _unpacked(self.folder / f"{id}.npz"))

    def cancel(self, ids: Sequence[str]) -> None:
        self._begin("cancel")
        for id in ids:
            if not (self.folder / "ready" / id).exists():
                (self.folder / "cancelled" / id).touch()

    def find(self, run: str) -> dict[str, str]:
        self._begin("find")
        files = (self.folder / "taken").iterdir()
        problems = [json.loads(p.read_text()) for p in files]
        return {p["label"]: p["id"] for p in problems if p["label"].startswith(f"{run}/")}

    def refresh(self) -> Target:
        self._begin("refresh")
        return self._target

    def versions(self) -> dict[str, str]:
        return {"service": str(self.folder)}


def same(one: qa.AttentionResult, other: qa.AttentionResult) -> bool:
    """Return whether two results are the same to the last bit."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in ("selected", "weights", "context", "feasible", "repaired", "energies")
    )
