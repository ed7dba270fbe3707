from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.embedding.cache import ENVIRONMENT

TARGET = qa.Target.zephyr(2)
SCORES = np.random.default_rng(5).normal(size=(2, 3, 6))


def compiled(cache: qa.EmbeddingCache, target: qa.Target = TARGET) -> qa.CompiledAttention:
    return qa.compile(SCORES, 2, select=qa.ExactlyK(2), target=target, cache=cache)


def digest(artifact: qa.CompiledAttention) -> bytes:
    return b"".join(
        part.physical.chain_qubit.tobytes() + part.physical.h.tobytes()
        for part in artifact.submissions
        if part.physical is not None
    )


def test_second_compile_hits_and_equals_the_first(tmp_path: Path) -> None:
    first = qa.EmbeddingCache(tmp_path)
    a = digest(compiled(first))
    assert (first.counts.hits, first.counts.misses, first.counts.written) == (0, 1, 1)
    second = qa.EmbeddingCache(tmp_path)
    again = compiled(second)
    assert (second.counts.hits, second.counts.misses, second.counts.bad) == (1, 0, 0)
    assert again.report().cache["hits"] == 1
    assert digest(again) == a


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "garbage", "pickle"])
def test_damage_changes_nothing_but_the_time(tmp_path: Path, damage: str) -> None:
    a = digest(compiled(qa.EmbeddingCache(tmp_path)))
    (file,) = tmp_path.glob("*/*.packing")
    data = file.read_bytes()
    file.write_bytes(
        {
            "empty": b"",
            "truncated": data[: len(data) // 2],
            "flipped": data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
            "garbage": b"not an embedding",
            "pickle": b"0" * 64 + b"\n\x80\x04N.",
        }[damage]
    )
    cache = qa.EmbeddingCache(tmp_path)
    assert digest(compiled(cache)) == a
    assert (cache.counts.hits, cache.counts.bad, cache.counts.misses) == (0, 1, 1)
    assert file.read_bytes() == data


def test_a_file_for_another_graph_is_not_believed(tmp_path: Path) -> None:
    """A well-formed file whose content does not fit the live graph is a miss."""
    cache = qa.EmbeddingCache(tmp_path)
    compiled(cache)
    lossy = qa.Target.zephyr(2, missing_qubits=0.2, seed=3)
    compiled(cache, lossy)
    ideal_file, lossy_file = sorted(
        tmp_path.glob("*/*.packing"),
        key=lambda f: "missing" in str(next(e for e in cache.entries() if e.path == f).facts),
    )
    lossy_file.write_bytes(ideal_file.read_bytes())
    fresh = qa.EmbeddingCache(tmp_path)
    again = compiled(fresh, lossy)
    assert fresh.counts.bad == 1
    assert again.placement is not None
    assert again.placement.chain_qubit.max() < len(lossy.qubits)


def test_an_unwritable_folder_warns_once_and_goes_on(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    cache = qa.EmbeddingCache(blocked / "below")
    with pytest.warns(UserWarning, match="embeddings cannot be kept in"):
        first = compiled(cache)
    compiled(cache, qa.Target.zephyr(3))  # warnings are errors: none comes twice
    assert first.submissions


def test_the_environment_moves_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "here"))
    assert qa.EmbeddingCache().folder == tmp_path / "here"
    monkeypatch.delenv(ENVIRONMENT)
    assert qa.EmbeddingCache().folder.name == "qubo-attn"


def test_entries_and_clear(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    compiled(cache)
    (entry,) = cache.entries()
    assert entry.readable
    assert entry.facts["shape"] == "K6"
    entry.path.write_bytes(b"x")
    assert [e.readable for e in cache.entries()] == [False]
    assert cache.clear() == 1
    assert list(cache.entries()) == []


def test_another_process_hits_and_gets_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import numpy as np, qubo_attn as qa, hashlib\n"
        "s = np.random.default_rng(5).normal(size=(2, 3, 6))\n"
        "c = qa.compile(s, 2, select=qa.ExactlyK(2), target='zephyr:2')\n"
        "d = hashlib.sha256(c.submissions[0].physical.j.tobytes()).hexdigest()\n"
        "print(c.report().cache['hits'], d)\n"
    )
    seen = []
    for turn in range(3):
        folder = tmp_path / ("a" if turn < 2 else "b")
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=os.environ | {ENVIRONMENT: str(folder), "PYTHONHASHSEED": str(turn)},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.append(result.stdout.split())
    assert [hits for hits, _ in seen] == ["0", "1", "0"]
    assert len({value for _, value in seen}) == 1
