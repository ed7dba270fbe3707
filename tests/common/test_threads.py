"""What rows side by side give, against one thread."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.common import threads
from qubo_attn.formulations import proofs
from qubo_attn.frontend.objectives import output


@pytest.mark.parametrize("ptr", [[0], [0, 0, 0], [0, 5], [0, 1, 1, 9, 9, 10, 14], [3, 4, 8]])
def test_parts_hold_every_row_once(ptr: list[int]) -> None:
    for count in (1, 2, 3, 9):
        with threads.limited(count):
            (found,) = threads.by_rows(
                lambda mine: (np.arange(mine.start, mine.stop),), np.array(ptr), 1
            )
        assert found.tolist() == list(range(len(ptr) - 1))


def test_threads_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUBO_ATTN_THREADS", "3")
    assert threads.threads() == 3
    with threads.limited(2):
        assert threads.threads() == 2
    for nonsense in ("", "0", "many"):
        monkeypatch.setenv("QUBO_ATTN_THREADS", nonsense)
        assert threads.threads() >= 1


def test_the_same_bytes_however_many(
    minilm: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = threads.by_rows
    for module in (proofs, output):
        monkeypatch.setattr(module, "by_rows", lambda work, ptr, least=0: plain(work, ptr, 64))
    found = set()
    for count in (1, 2, 5):
        with threads.limited(count):
            made = qa.compile(
                minilm["scores"],
                12,
                select=qa.ExactlyK(2),
                objective="output",
                values=minilm["value"],
                slots=6,
                target=None,
            )
            proof = made.certificates
            columns = (proof.weight, proof.slope, proof.lower, proof.witness)
            text = b"".join(column.tobytes() for column in columns)
            found.add((made.program.digest(), made.bound, hashlib.sha256(text).hexdigest()))
    assert len(found) == 1
