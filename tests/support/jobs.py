"""Jobs of a few small calls, and time that passes without waiting."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import qubo_attn as qa
from tests.support.folder_service import FolderService

TARGET = "zephyr:1"


class Clock:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def retry(self, tries: int = 4) -> qa.Retry:
        return qa.Retry(tries=tries, pause=1.0, longest=8.0, clock=self, sleep=self.sleep)


def compiled_for(target: object = TARGET, queries: int = 20) -> qa.CompiledAttention:
    """Rows that take one submission each."""
    generator = np.random.default_rng(5)
    scores, values = generator.normal(size=(1, queries, 12)), generator.normal(size=(1, 12, 3))
    return qa.compile(
        scores, 1, select=qa.ExactlyK(3), objective="output", values=values, target=target
    )


def service(folder: Path, **options: object) -> FolderService:
    return FolderService(qa.SimulatedMachine(TARGET, seed=3), folder, **options)  # type: ignore[arg-type]


def lines(folder: Path) -> list[bytes]:
    """Return the lines of a journal."""
    return (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)


def labels(taken: Iterable[dict[str, Any]]) -> list[int]:
    """Return the calls of problems."""
    return [problem["call"] for problem in taken]
